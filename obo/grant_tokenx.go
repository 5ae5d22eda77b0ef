package obo

import "net/url"

const (
	tokenExchangeGrant = "urn:ietf:params:oauth:grant-type:token-exchange" // RFC 8693 §2.1
	jwtType            = "urn:ietf:params:oauth:token-type:jwt"            // RFC 8693 §3
	accessTokenType    = "urn:ietf:params:oauth:token-type:access_token"
)

// tokenXExchange is RFC 8693. The audience is an app of the platform, cluster:namespace:app.
func tokenXExchange(r Request) question {
	return question{form: url.Values{
		"grant_type":         {tokenExchangeGrant},
		"subject_token_type": {jwtType},
		"subject_token":      {r.UserToken},
		"audience":           {r.Target},
	}}
}

package obo

import "net/url"

const jwtBearerGrant = "urn:ietf:params:oauth:grant-type:jwt-bearer" // RFC 7523 §2.1

// entraClientCredentials is RFC 6749 §4.4. The scope is an API's ".default": what the app was granted there.
func entraClientCredentials(r Request) question {
	return question{form: url.Values{"grant_type": {"client_credentials"}, "scope": {r.Target}}}
}

// entraOnBehalfOf is Entra ID's own: the user's token is the assertion of a JWT bearer grant.
func entraOnBehalfOf(r Request) question {
	return question{form: url.Values{
		"grant_type":          {jwtBearerGrant},
		"requested_token_use": {"on_behalf_of"},
		"assertion":           {r.UserToken},
		"scope":               {r.Target},
	}}
}

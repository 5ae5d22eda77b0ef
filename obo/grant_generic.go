package obo

import (
	"net/url"
	"strings"
)

// clientCredentials is RFC 6749 §4.4 at any provider: the target is a scope, or the address of an API (RFC 8707 §2.2).
func clientCredentials(r Request) question {
	return question{form: url.Values{"grant_type": {"client_credentials"}, parameterFor(r.Target, "scope"): {r.Target}}}
}

// tokenExchange is RFC 8693 §2.1 at any provider: the target is the name of a client, or the address of an API.
func tokenExchange(r Request) question {
	return question{form: url.Values{
		"grant_type":           {tokenExchangeGrant},
		"subject_token":        {r.UserToken},
		"subject_token_type":   {accessTokenType},
		"requested_token_type": {accessTokenType},

		parameterFor(r.Target, "audience"): {r.Target},
	}}
}

// parameterFor is "resource" for an address, which that parameter must be, and the given one for a name.
func parameterFor(target, name string) string {
	if strings.HasPrefix(target, "https://") || strings.HasPrefix(target, "http://") {
		return "resource"
	}
	return name
}

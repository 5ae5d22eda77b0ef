package obo

import (
	"net/url"

	"postern/oidc"
)

// maskinportenGrant is RFC 7523 §2.1: what is asked for stands in a JWT that the client signs, and nothing beside it.
func maskinportenGrant(signed *oidc.JWTGrant) grant {
	return func(r Request) question {
		return question{
			form:       url.Values{"grant_type": {jwtBearerGrant}},
			credential: signed.For(oidc.GrantClaims{Scope: r.Target, Resource: r.Resource, AuthorizationDetails: r.AuthorizationDetails}),
		}
	}
}

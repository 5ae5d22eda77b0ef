package devidp

import "time"

// DefaultMaskinportenLifetime is the life of tokens whose scopes have none of their own.
const DefaultMaskinportenLifetime = 2 * time.Minute

// What tokens of Maskinporten say if nothing else is asked for. The organisation is made up.
const (
	DefaultMaskinportenScope = "postern:test/read"
	DefaultConsumer          = "0192:314159268"
	DefaultDelegationSource  = "https://www.altinn.no" // where one organisation lets another act for it
	SystemUser               = "urn:altinn:systemuser" // the type of authorization_details that everybody has
)

// maskinporten gives organisations tokens for each other's APIs. Its issuer ends in a slash, and there is no authorization endpoint.
func maskinporten() *issuer {
	return &issuer{
		name: Maskinporten, title: "Maskinporten", path: "/maskinporten/",
		paths: map[Endpoint]string{ //nolint:gosec // addresses, no credentials
			EndpointMetadata: "/maskinporten/.well-known/oauth-authorization-server",
			EndpointKeys:     "/maskinporten/jwk",
			EndpointToken:    "/maskinporten/token",
		},
		grants: []string{GrantJWTBearer}, tokens: (*exchange).issueToOrganisation,
		metadata: func(s site) map[string]any {
			return map[string]any{
				"issuer":                                s.issuer(),
				"token_endpoint":                        s.url(EndpointToken),
				"jwks_uri":                              s.url(EndpointKeys),
				"grant_types_supported":                 s.at.grants,
				"token_endpoint_auth_methods_supported": []string{"private_key_jwt"},
				"token_endpoint_auth_signing_alg_values_supported": maskinportenAlgorithms(),
			}
		},
	}
}

// maskinportenClaims is the claim set of an organisation's token. There is nobody in it: no sub.
func (s site) maskinportenClaims(clientID string, life time.Duration) map[string]any {
	return map[string]any{
		"iss": s.issuer(), "aud": "unspecified", "iat": s.now.Unix(), "exp": s.now.Add(life).Unix(), "jti": s.idp.guid(),
		"client_id": clientID, "client_amr": string(PrivateKeyJWT), "consumer": organisation(DefaultConsumer),
		"scope": DefaultMaskinportenScope, "token_type": "Bearer",
	}
}

// organisation is an organisation's number as both Maskinporten and ID-porten write it (ISO 6523).
func organisation(id string) map[string]any {
	return map[string]any{"authority": "iso6523-actorid-upis", "ID": id}
}

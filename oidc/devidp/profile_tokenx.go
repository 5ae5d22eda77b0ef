package devidp

import (
	"maps"
	"time"
)

// What minted tokens of TokenX say if nothing else is asked for. Client ids are cluster:namespace:app.
const (
	DefaultTokenXAudience = "dev-gcp:team-a:app"      //nolint:gosec // a client id, no credential
	DefaultTokenXCaller   = "dev-gcp:team-a:frontend" //nolint:gosec // a client id, no credential
)

// DefaultTokenXLifetime is the life of exchanged tokens of a provider that was given none.
const DefaultTokenXLifetime = 15 * time.Minute

// tokenX gives apps tokens for each other on behalf of a citizen. Its metadata is where RFC 8414 §5 lets old providers have it, behind
// the issuer, and names an authorization endpoint that is not there, as that of tokendings does.
func tokenX() *issuer {
	return &issuer{
		name: TokenX, title: "TokenX", path: "/tokenx",
		paths: map[Endpoint]string{
			EndpointMetadata: "/tokenx/.well-known/oauth-authorization-server",
			EndpointKeys:     "/tokenx/jwks",
			EndpointToken:    "/tokenx/token",
		},
		grants: []string{GrantTokenExchange}, tokens: (*exchange).exchangeToken,
		metadata: func(s site) map[string]any {
			return map[string]any{
				"issuer":                                s.issuer(),
				"authorization_endpoint":                s.issuer() + "/authorization",
				"token_endpoint":                        s.url(EndpointToken),
				"jwks_uri":                              s.url(EndpointKeys),
				"grant_types_supported":                 s.at.grants,
				"token_endpoint_auth_methods_supported": []string{"private_key_jwt"},
				"token_endpoint_auth_signing_alg_values_supported": []string{"RS256"},
				"subject_types_supported":                          []string{"public"},
			}
		},
	}
}

// tokenXLevels is what NAV's TokenX makes of the levels of ID-porten. Never changed.
var tokenXLevels = map[string]string{LevelSubstantial: "Level3", LevelHigh: "Level4"}

// tokenXClaims is all claims of the citizen's token, with those of the exchange laid over them, as tokendings makes it: what the login
// client could do (scope, consumer) is in there too, and means nothing to the app that gets it.
func (s site) tokenXClaims(subject map[string]any, audience, caller string, life time.Duration) map[string]any {
	claims := maps.Clone(subject)
	if level, mapped := tokenXLevels[text(subject, "acr")]; mapped && s.idp.cfg.TokenXMapACR {
		claims["acr"] = level
	}
	if _, chained := claims["idp"]; !chained {
		claims["idp"] = subject["iss"]
	}
	claims["iss"], claims["aud"], claims["client_id"] = s.issuer(), audience, caller
	claims["iat"], claims["nbf"], claims["exp"] = s.now.Unix(), s.now.Unix(), s.now.Add(life).Unix()
	claims["jti"] = s.idp.guid()
	return claims
}

package oidc

import (
	"crypto/elliptic"
	"encoding/json"
	"net/http"
	"net/url"
	"testing"

	"postern/config"
)

func BenchmarkVerifyIDToken(b *testing.B) {
	for _, alg := range []string{"RS256", "ES256"} {
		b.Run(alg, func(b *testing.B) {
			p := newIDP(b)
			p.metadata["id_token_signing_alg_values_supported"] = []string{alg}
			if alg == "ES256" {
				p.setKey("k1", alg, ecKey(b, elliptic.P256()))
			}
			w := newWorld(b, p)
			tokens := Tokens{Access: NewToken("a"), ID: NewToken(signJWT(b, p.key, "JWT", p.idClaims("n")))}
			md, err := w.provider.Metadata(b.Context())
			must(b, err)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := w.client.verifyIDToken(b.Context(), md, tokens); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// What a session that comes from the store costs.
func BenchmarkRestoreIdentity(b *testing.B) {
	p := newIDP(b)
	claims, err := json.Marshal(p.idClaims("n"))
	must(b, err)
	granted := `{"groups":["43451d82-19cd-4828-918d-cbf7d5b572ec"],"scp":"defaultaccess"}`
	text := string(claims)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := RestoreIdentity(EntraID, text, granted); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAuthorize(b *testing.B) {
	w := newWorld(b, newIDP(b))
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := w.client.Authorize(b.Context(), AuthorizationRequest{RedirectURI: testRedirect}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkClientAssertion(b *testing.B) {
	auth, err := NewAuthenticator(Credentials{ClientID: testClientID, JWK: config.NewSecret(jwkJSON(b, rsaOnce(), map[string]any{"alg": "RS256"}))}, Deps{})
	must(b, err)
	b.ReportAllocs()
	for b.Loop() {
		if err := auth.Authenticate(&Metadata{Issuer: testIssuer}, url.Values{}, http.Header{}); err != nil {
			b.Fatal(err)
		}
	}
}

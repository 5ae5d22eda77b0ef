package oidc

import (
	"crypto"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"postern/config"
)

func withJWK(t testing.TB, key crypto.Signer, members map[string]any) worldOption {
	text := jwkJSON(t, key, members)
	return withOpenID(func(c *config.OpenID) { c.ClientJWK = config.NewSecret(text) })
}

// wonderwall.md appendix B 5.
func TestPrivateKeyOfEachAlgorithmAuthenticates(t *testing.T) {
	t.Parallel()
	for alg, key := range map[string]crypto.Signer{
		"RS256": rsaOnce(), "RS384": rsaOnce(), "RS512": rsaOnce(), "PS256": rsaOnce(), "PS384": rsaOnce(), "PS512": rsaOnce(),
		"ES256": ecKey(t, elliptic.P256()), "ES384": ecKey(t, elliptic.P384()), "ES512": ecKey(t, elliptic.P521()), "EdDSA": edKey(t),
	} {
		t.Run(alg, func(t *testing.T) {
			t.Parallel()
			p := newIDP(t)
			p.clientKey = key.Public()
			_, err := newWorld(t, p, withJWK(t, key, map[string]any{"alg": alg, "kid": "client-key"})).login(AuthorizationRequest{})
			must(t, err)
		})
	}
}

func TestAssertionHoldsWhatItShouldAndNothingElse(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_700_000_000, 0)
	for typ, newType := range map[string]bool{"JWT": false, "client-authentication+jwt": true} {
		auth, err := NewAuthenticator(Credentials{
			ClientID: testClientID, Secret: config.NewSecret("unused: the key wins"), NewJWTType: newType,
			JWK: config.NewSecret(jwkJSON(t, rsaOnce(), map[string]any{"alg": "RS256", "kid": "client-key"})),
		}, Deps{Now: func() time.Time { return now }})
		must(t, err)
		form, header := url.Values{}, http.Header{}
		must(t, auth.Authenticate(&Metadata{Issuer: testIssuer, TokenEndpoint: testIssuer + "/token"}, form, header))
		if diff := cmp.Diff([]string{"client_assertion", "client_assertion_type", "client_id"}, sortedKeys(form)); diff != "" || len(header) > 0 {
			t.Errorf("%s %v", diff, header)
		}
		jwt, err := parseJWT(form.Get("client_assertion"))
		must(t, err)
		if jwt.alg != "RS256" || jwt.kid != "client-key" || jwt.typ != typ {
			t.Errorf("header: %+v", jwt)
		}
		var claims map[string]any
		must(t, json.Unmarshal([]byte(jwt.payload), &claims))
		if len(claims["jti"].(string)) < 40 {
			t.Errorf("jti %v", claims["jti"])
		}
		delete(claims, "jti")
		at := float64(now.Unix())
		want := map[string]any{"iss": testClientID, "sub": testClientID, "aud": testIssuer, "iat": at, "nbf": at, "exp": at + 30}
		if diff := cmp.Diff(want, claims); diff != "" {
			t.Error(diff)
		}
	}
}

func TestAssertionForManyTenantsNamesTheTokenEndpoint(t *testing.T) {
	t.Parallel()
	auth, err := NewAuthenticator(Credentials{
		ClientID: testClientID, JWK: config.NewSecret(jwkJSON(t, rsaOnce(), map[string]any{"alg": "RS256"})),
	}, Deps{})
	must(t, err)
	form := url.Values{}
	must(t, auth.Authenticate(&Metadata{Issuer: "https://l/{tenantid}/v2.0", TokenEndpoint: "https://l/token"}, form, nil))
	jwt, err := parseJWT(form.Get("client_assertion"))
	must(t, err)
	if aud, _ := jwt.claims.text("aud"); aud != "https://l/token" {
		t.Error(aud)
	}
}

func TestSecretIsPostedUnlessOnlyBasicIsOffered(t *testing.T) {
	t.Parallel()
	const id, secret = "client:1 å", "s&cret+/=%"
	auth, err := NewAuthenticator(Credentials{ClientID: id, Secret: config.NewSecret(secret)}, Deps{})
	must(t, err)
	for name, tc := range map[string]struct {
		methods []string
		basic   bool
	}{
		"nothing said":       {nil, false},
		"both":               {[]string{"client_secret_basic", "client_secret_post"}, false},
		"post":               {[]string{"client_secret_post"}, false},
		"basic":              {[]string{"client_secret_basic"}, true},
		"basic and keys":     {[]string{"private_key_jwt", "client_secret_basic"}, true},
		"neither of the two": {[]string{"private_key_jwt"}, false},
	} {
		form, header := url.Values{}, http.Header{}
		must(t, auth.Authenticate(&Metadata{TokenEndpointAuthMethodsSupported: tc.methods}, form, header))
		if !tc.basic {
			if form.Get("client_id") != id || form.Get("client_secret") != secret || len(header) > 0 {
				t.Errorf("%s: %v %v", name, form, header)
			}
			continue
		}
		user, pass, _ := (&http.Request{Header: header}).BasicAuth()
		// RFC 6749 §2.3.1: the client id may hold a colon only because both are encoded first.
		if user != "client%3A1+%C3%A5" || pass != "s%26cret%2B%2F%3D%25" || len(form) > 0 {
			t.Errorf("%s: %q %q %v", name, user, pass, form)
		}
	}
}

func TestLoginWithBasic(t *testing.T) {
	t.Parallel()
	p := newIDP(t)
	p.authMethod = "client_secret_basic"
	p.metadata["token_endpoint_auth_methods_supported"] = []string{"client_secret_basic"}
	_, err := newWorld(t, p).login(AuthorizationRequest{})
	must(t, err)
}

func TestFederatedTokenIsReadAnewForEveryAttempt(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "token")
	auth, err := NewAuthenticator(Credentials{ClientID: testClientID, FederatedTokenFile: file}, Deps{})
	must(t, err)
	for _, token := range []string{"one.two.three", "four.five.six\n"} {
		must(t, os.WriteFile(file, []byte(token), 0o600))
		form := url.Values{}
		must(t, auth.Authenticate(&Metadata{}, form, nil))
		want := url.Values{"client_id": {testClientID}, "client_assertion_type": {jwtBearerAssertion}, "client_assertion": {strings.TrimSpace(token)}}
		if diff := cmp.Diff(want, form); diff != "" {
			t.Error(diff)
		}
	}
	for _, bad := range []string{"", " \n", strings.Repeat("x", maxToken+1)} {
		must(t, os.WriteFile(file, []byte(bad), 0o600))
		if err := auth.Authenticate(&Metadata{}, url.Values{}, nil); err == nil {
			t.Errorf("%d bytes: no error", len(bad))
		}
	}
	must(t, os.Remove(file))

	p := newIDP(t)
	w := newWorld(t, p, withOpenID(func(c *config.OpenID) { c.ClientSecret, c.FederatedTokenFile = config.Secret{}, file }))
	_, err = w.login(AuthorizationRequest{})
	wantTrouble(t, err, "read federated token")
	if p.count("/token") != 0 {
		t.Error("called without a credential")
	}
}

func TestUnusableCredentialIsAClearErrorThatShowsNothing(t *testing.T) {
	t.Parallel()
	weak, err := rsa.GenerateKey(rand.Reader, 1024) //nolint:gosec // must be refused
	must(t, err)
	private := jwkJSON(t, rsaOnce(), map[string]any{"alg": "RS256"})
	for name, tc := range map[string]struct{ jwk, want string }{
		"not JSON":            {"MIIEvQIBADANBgkqhkiG9w0BAQEFAASC", "not a JSON web key"},
		"a set":               {`{"keys":[` + private + `]}`, "not a JSON web key"},
		"public":              {jwkJSON(t, rsaOnce().Public(), map[string]any{"alg": "RS256"}), "not a private"},
		"symmetric":           {`{"kty":"oct","k":"c2VjcmV0","alg":"HS256"}`, "not a private"},
		"no alg":              {jwkJSON(t, rsaOnce(), nil), `no "alg"`},
		"alg none":            {jwkJSON(t, rsaOnce(), map[string]any{"alg": "none"}), "is not one of"},
		"alg of another type": {jwkJSON(t, rsaOnce(), map[string]any{"alg": "ES256"}), "not a key for"},
		"curve of another":    {jwkJSON(t, ecKey(t, elliptic.P384()), map[string]any{"alg": "ES256"}), "not a key for"},
		"too short":           {jwkJSON(t, weak, map[string]any{"alg": "RS256"}), "2048"},
		"Ed25519 of one byte": {`{"kty":"OKP","crv":"Ed25519","alg":"EdDSA","x":"AA","d":"AA"}`, "do not make a key"},
		"cut in half":         {private[:len(private)/2], "not a JSON web key"},
		"primes of another":   {jwkJSON(t, rsaOnce(), map[string]any{"alg": "RS256", "n": numberOf(t, rsaTwoOnce())}), "belong together"},
	} {
		_, err := NewClient(config.OpenID{ClientID: testClientID, ClientJWK: config.NewSecret(tc.jwk)}, nil, Deps{})
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v, want %q", name, err, tc.want)
			continue
		}
		if strings.Contains(err.Error(), "MII") || len(err.Error()) > 200 {
			t.Errorf("%s: the error shows the key: %v", name, err)
		}
	}
	for want, cfg := range map[string]config.OpenID{
		"client id is missing":         {ClientSecret: config.NewSecret("x")},
		"client credential is missing": {ClientID: testClientID},
		"is not one of openid, azure":  {ClientID: testClientID, ClientSecret: config.NewSecret("x"), Provider: "google"},
	} {
		if _, err := NewClient(cfg, nil, Deps{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

func numberOf(t *testing.T, key crypto.Signer) any {
	t.Helper()
	var m map[string]any
	must(t, json.Unmarshal([]byte(jwkJSON(t, key.Public(), nil)), &m))
	return m["n"]
}

func TestRandomnessThatFailsIsTroubleAndNoWeakSecret(t *testing.T) {
	t.Parallel()
	w := newWorld(t, newIDP(t), func(_ *ProviderConfig, _ *config.OpenID, d *Deps) { d.Rand = noRandom{} })
	_, _, err := w.client.Authorize(t.Context(), AuthorizationRequest{RedirectURI: testRedirect})
	wantTrouble(t, err, "random")
}

type noRandom struct{}

func (noRandom) Read([]byte) (int, error) { return 0, errors.New("no entropy") }

package devidp_test

import (
	"crypto/rand"
	"crypto/rsa"
	"net/http"
	"net/url"
	"sync"
	"testing"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwk"

	"postern/oidc/devidp"
)

// The cast of the grants for apps: the app of the other tests calls the API, and a stranger has no business there.
const (
	apiID         = "b1f4c7a2-0f57-4c1e-8f2b-6a3f0d7c9e03"
	appName       = "dev-gcp:team-a:app"
	apiName       = "dev-gcp:team-c:api"
	strangerName  = "dev-gcp:team-b:other"
	maskinportner = "b1f4c7a2-0f57-4c1e-8f2b-6a3f0d7c9e04"
	onBehalfOf    = "urn:ietf:params:oauth:grant-type:jwt-bearer"
	exchange      = "urn:ietf:params:oauth:grant-type:token-exchange"
)

// appKeys are RSA keys for TokenX and Maskinporten, the same for all tests: making them takes a while.
var appKeys = sync.OnceValue(func() []jwk.Key {
	keys := make([]jwk.Key, 2)
	for i := range keys {
		raw, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			panic(err)
		}
		if keys[i], err = jwk.FromRaw(raw); err != nil {
			panic(err)
		}
		if err := keys[i].Set(jwk.KeyIDKey, "app-key"); err != nil {
			panic(err)
		}
	}
	return keys
})

// newApps is a world in which the app may call the API, by all issuers.
func newApps(t *testing.T, change ...func(*devidp.Config)) *world {
	t.Helper()
	return newWorld(t, append([]func(*devidp.Config){func(c *devidp.Config) {
		app := &c.Clients[0]
		app.TokenX.JWKS = encode(t, appKeys()[0])
		app.Maskinporten = devidp.MaskinportenClient{
			ID: maskinportner, JWKS: encode(t, appKeys()[0]), Scopes: []string{"nav:test/read", "nav:test/write"},
			Consumers: []string{"0192:987654321"},
		}
		c.Clients[1].TokenX.JWKS = encode(t, appKeys()[1])
		c.Clients = append(c.Clients, devidp.ClientConfig{
			ID: apiID, Name: apiName, Secret: secret + "3", PreAuthorized: []string{appName}, Scopes: []string{"defaultaccess", "orders.read"},
			Roles: []string{"orders.write"}, TokenX: devidp.TokenXClient{JWKS: encode(t, appKeys()[1]), Inbound: []string{appName}},
		})
	}}, change...)...)
}

// api is the registration of the API in a configuration that newApps has made.
func api(change func(*devidp.ClientConfig)) func(*devidp.Config) {
	return func(c *devidp.Config) { change(&c.Clients[2]) }
}

func appForm(changes ...string) url.Values {
	return with(url.Values{
		"grant_type": {"client_credentials"}, "client_id": {clientID}, "client_secret": {secret}, "scope": {"api://" + apiID + "/.default"},
	}, changes...)
}

func onBehalfForm(assertion string, changes ...string) url.Values {
	return with(url.Values{
		"grant_type": {onBehalfOf}, "requested_token_use": {"on_behalf_of"}, "assertion": {assertion},
		"client_id": {clientID}, "client_secret": {secret}, "scope": {"api://" + apiID + "/.default"},
	}, changes...)
}

// exchangeForm is a good request at TokenX, if the subject token is.
func (w *world) exchangeForm(subject string, changes ...string) url.Values {
	w.Helper()
	return with(url.Values{
		"grant_type": {exchange}, "client_assertion": {w.tokenXAssertion(nil)}, "subject_token": {subject}, "audience": {apiName},
		"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
		"subject_token_type":    {"urn:ietf:params:oauth:token-type:jwt"},
	}, changes...)
}

func (w *world) tokenXAssertion(changes map[string]any, header ...string) string {
	w.Helper()
	now := w.clock().Unix()
	return sign(w, appKeys()[0], jwa.RS256, lay(map[string]any{
		"iss": appName, "sub": appName, "aud": w.srv.URL + "/tokenx", "iat": now, "nbf": now, "exp": now + 30, "jti": rand.Text(),
	}, changes), append([]string{"typ", "JWT"}, header...)...)
}

func (w *world) exchange(form url.Values) answer {
	w.Helper()
	return w.postTo(w.srv.URL+"/tokenx/token", form)
}

// grantOf signs a good grant for Maskinporten; changes are laid over it.
func (w *world) grantOf(changes map[string]any) string {
	w.Helper()
	now := w.clock().Unix()
	return sign(w, appKeys()[0], jwa.RS256, lay(map[string]any{
		"iss": maskinportner, "aud": w.srv.URL + "/maskinporten/", "scope": "nav:test/read", "iat": now, "exp": now + 60, "jti": rand.Text(),
	}, changes))
}

func (w *world) maskinporten(grant string, changes ...string) answer {
	w.Helper()
	return w.postTo(w.srv.URL+"/maskinporten/token", with(url.Values{"grant_type": {onBehalfOf}, "assertion": {grant}}, changes...))
}

// good takes the access token out of an answer that must have one.
func (w *world) good(a answer) string {
	w.Helper()
	if a.status != http.StatusOK || a.text("access_token") == "" {
		w.Fatalf("%d %v", a.status, a.body)
	}
	return a.text("access_token")
}

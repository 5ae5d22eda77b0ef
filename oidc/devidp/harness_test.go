package devidp_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwk"
	"github.com/lestrrat-go/jwx/v2/jws"

	"postern/oidc/devidp"
)

const (
	clientID  = "b1f4c7a2-0f57-4c1e-8f2b-6a3f0d7c9e01"
	otherID   = "b1f4c7a2-0f57-4c1e-8f2b-6a3f0d7c9e02"
	secret    = "a secret + of 100 % oddity"
	redirect  = "http://app.localhost:8080/oauth2/callback"
	signedOut = "http://app.localhost:8080/oauth2/logout/callback"
	verifier  = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk" // RFC 7636 appendix B
	challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
	ownScope  = "openid offline_access api://" + clientID + "/.default"
)

var keyFile string // the same signing keys for most tests: making them takes a while

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "devidp")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	var file []byte
	for range 4 { // one for each issuer
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			panic(err)
		}
		file = append(file, pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})...)
	}
	keyFile = filepath.Join(dir, "key.pem")
	if err := os.WriteFile(keyFile, file, 0o600); err != nil {
		panic(err)
	}
	return m.Run()
}

// world is a provider, a browser and a client.
type world struct {
	*testing.T
	idp     *devidp.IdP
	srv     *httptest.Server
	browser *http.Client // keeps cookies, follows redirects within the provider only
	key     jwk.Key      // the client's, private

	mu  sync.Mutex
	now time.Time
}

func (w *world) clock() time.Time { w.mu.Lock(); defer w.mu.Unlock(); return w.now }
func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

func newKey(t testing.TB, kid string, alg jwa.SignatureAlgorithm) jwk.Key {
	t.Helper()
	raw, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	key, err := jwk.FromRaw(raw)
	must(t, err)
	must(t, key.Set(jwk.KeyIDKey, kid))
	must(t, key.Set(jwk.AlgorithmKey, alg))
	return key
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func encode(t testing.TB, v any) json.RawMessage {
	t.Helper()
	raw, err := json.Marshal(v)
	must(t, err)
	return raw
}

func newWorld(t *testing.T, change ...func(*devidp.Config)) *world {
	t.Helper()
	w := &world{T: t, now: time.Now().Truncate(time.Second), key: newKey(t, "client-key", jwa.ES256)}
	cfg := devidp.Config{
		KeyFile: keyFile, Now: w.clock,
		Clients: []devidp.ClientConfig{{
			ID: clientID, Name: "dev-gcp:team-a:app", Secret: secret, JWKS: encode(t, w.key),
			RedirectURIs: []string{redirect, redirect + "?x=1"}, PostLogoutRedirectURIs: []string{signedOut}, Scopes: []string{"defaultaccess", "orders.read"},
		}, {
			ID: otherID, Name: "dev-gcp:team-b:other", Secret: secret + "2",
			RedirectURIs: []string{"http://other.localhost/cb"}, PostLogoutRedirectURIs: []string{"http://other.localhost/out"},
		}},
	}
	for _, f := range change {
		f(&cfg)
	}
	var err error
	w.idp, err = devidp.New(cfg)
	must(t, err)
	w.srv = httptest.NewServer(w.idp)
	t.Cleanup(w.srv.Close)
	w.browser = w.newBrowser()
	return w
}

func (w *world) newBrowser() *http.Client {
	jar, err := cookiejar.New(nil)
	must(w, err)
	return &http.Client{Jar: jar, CheckRedirect: func(r *http.Request, _ []*http.Request) error {
		if "http://"+r.URL.Host != w.srv.URL {
			return http.ErrUseLastResponse
		}
		return nil
	}}
}

func (w *world) url(path string) string { return w.srv.URL + "/" + devidp.DefaultTenantID + path }
func (w *world) issuer() string         { return w.url("/v2.0") }

// with lays changes over parameters; an empty value takes one away.
func with(base url.Values, changes ...string) url.Values {
	q := maps.Clone(base)
	for i := 0; i < len(changes); i += 2 {
		if q.Set(changes[i], changes[i+1]); changes[i+1] == "" {
			q.Del(changes[i])
		}
	}
	return q
}

func authorization(changes ...string) url.Values {
	return with(url.Values{
		"client_id": {clientID}, "redirect_uri": {redirect}, "response_type": {"code"}, "response_mode": {"query"}, "scope": {ownScope},
		"state": {"the-state"}, "nonce": {"the-nonce"}, "code_challenge": {challenge}, "code_challenge_method": {"S256"},
	}, changes...)
}

func (w *world) authorize(q url.Values) *http.Response {
	w.Helper()
	return w.get(w.url("/oauth2/v2.0/authorize?" + q.Encode()))
}

func (w *world) get(to string) *http.Response {
	w.Helper()
	r, err := w.browser.Get(to)
	must(w, err)
	w.Cleanup(func() { _ = r.Body.Close() })
	return r
}

// choose answers a login page and returns what the client gets.
func (w *world) choose(page *http.Response, persona, claims string) url.Values {
	w.Helper()
	r, err := devidp.Answer(w.browser, page, persona, claims)
	must(w, err)
	return w.sent(r)
}

// sent is the parameters of a redirect to the client.
func (w *world) sent(r *http.Response) url.Values {
	w.Helper()
	to, err := r.Location()
	if err != nil {
		w.Fatalf("no redirect to the client but status %d: %s", r.StatusCode, body(w, r))
	}
	if got := to.Scheme + "://" + to.Host + to.Path; got != redirect {
		w.Fatalf("redirected to %s", got)
	}
	return to.Query()
}

func body(t testing.TB, r *http.Response) string {
	t.Helper()
	raw, err := io.ReadAll(r.Body)
	must(t, err)
	return string(raw)
}

// login logs kari in on a fresh page and returns the code.
func (w *world) login(persona string, changes ...string) string {
	w.Helper()
	w.browser = w.newBrowser()
	answer := w.choose(w.authorize(authorization(changes...)), persona, "")
	if answer.Get("code") == "" {
		w.Fatalf("no code but error %s", answer.Get("error"))
	}
	return answer.Get("code")
}

func codeForm(code string, changes ...string) url.Values {
	return with(url.Values{
		"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {redirect}, "code_verifier": {verifier},
		"client_id": {clientID}, "client_secret": {secret},
	}, changes...)
}

func refreshForm(token string, changes ...string) url.Values {
	return with(url.Values{
		"grant_type": {"refresh_token"}, "refresh_token": {token}, "client_id": {clientID}, "client_secret": {secret},
	}, changes...)
}

// answer is a response of the token endpoint.
type answer struct {
	status int
	header http.Header
	body   map[string]any
}

func (a answer) text(name string) string { s, _ := a.body[name].(string); return s }

// code is the AADSTS number of an error, 0 for success.
func (a answer) code() int {
	codes, _ := a.body["error_codes"].([]any)
	if len(codes) != 1 {
		return 0
	}
	n, _ := codes[0].(float64)
	return int(n)
}

func (w *world) post(path string, form url.Values, change ...func(*http.Request)) answer {
	w.Helper()
	return w.postTo(w.url(path), form, change...)
}

func (w *world) postTo(to string, form url.Values, change ...func(*http.Request)) answer {
	w.Helper()
	r, err := http.NewRequest(http.MethodPost, to, strings.NewReader(form.Encode()))
	must(w, err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for _, f := range change {
		f(r)
	}
	response, err := http.DefaultClient.Do(r)
	must(w, err)
	defer response.Body.Close()
	a := answer{status: response.StatusCode, header: response.Header}
	if err := json.NewDecoder(response.Body).Decode(&a.body); err != nil {
		w.Fatalf("%s answered %d without JSON: %v", r.URL.Path, response.StatusCode, err)
	}
	return a
}

func (w *world) token(form url.Values, change ...func(*http.Request)) answer {
	w.Helper()
	return w.post("/oauth2/v2.0/token", form, change...)
}

// tokens logs somebody in and redeems the code.
func (w *world) tokens(persona string, changes ...string) answer {
	w.Helper()
	a := w.token(codeForm(w.login(persona, changes...)))
	if a.status != http.StatusOK {
		w.Fatalf("token endpoint answered %d: %v", a.status, a.body)
	}
	return a
}

// verified checks a token with the published keys and returns its claims.
func (w *world) verified(raw string) map[string]any {
	w.Helper()
	set, err := jwk.Fetch(w.Context(), w.url("/discovery/v2.0/keys"))
	must(w, err)
	payload, err := jws.Verify([]byte(raw), jws.WithKeySet(set, jws.WithInferAlgorithmFromKey(true)))
	must(w, err)
	var claims map[string]any
	must(w, json.Unmarshal(payload, &claims))
	return claims
}

// assertion signs a client assertion; changes are laid over good claims, nil takes one away.
func (w *world) assertion(changes map[string]any, header ...string) string {
	w.Helper()
	now := w.clock().Unix()
	claims := map[string]any{
		"iss": clientID, "sub": clientID, "aud": w.issuer(), "iat": now, "nbf": now, "exp": now + 60, "jti": rand.Text(),
	}
	return sign(w, w.key, jwa.ES256, lay(claims, changes), header...)
}

func lay(claims, changes map[string]any) map[string]any {
	for name, value := range changes {
		if claims[name] = value; value == nil {
			delete(claims, name)
		}
	}
	return claims
}

func sign(t testing.TB, key jwk.Key, alg jwa.SignatureAlgorithm, claims map[string]any, header ...string) string {
	t.Helper()
	h := jws.NewHeaders()
	for i := 0; i < len(header); i += 2 {
		must(t, h.Set(header[i], header[i+1]))
	}
	raw, err := jws.Sign(encode(t, claims), jws.WithKey(alg, key, jws.WithProtectedHeaders(h)))
	must(t, err)
	return string(raw)
}

func withAssertion(form url.Values, assertion string) url.Values {
	return with(form, "client_secret", "", "client_assertion", assertion,
		"client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
}

func basicAuth(id, secret string) func(*http.Request) {
	return func(r *http.Request) {
		pair := url.QueryEscape(id) + ":" + url.QueryEscape(secret)
		r.Header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(pair)))
	}
}

func (w *world) metadata() map[string]any {
	w.Helper()
	r := w.get(w.url("/v2.0/.well-known/openid-configuration"))
	var m map[string]any
	must(w, json.Unmarshal([]byte(body(w, r)), &m))
	return m
}

func list(v any) string { return strings.Trim(fmt.Sprint(v), "[]") }

func split3(raw string) (string, string, string) {
	parts := strings.Split(raw, ".")
	if len(parts) != 3 {
		return "", "", ""
	}
	return parts[0], parts[1], parts[2]
}

func verifies(w *world, raw string) bool {
	w.Helper()
	set, err := jwk.Fetch(w.Context(), w.url("/discovery/v2.0/keys"))
	must(w, err)
	_, err = jws.Verify([]byte(raw), jws.WithKeySet(set, jws.WithInferAlgorithmFromKey(true)))
	return err == nil
}

func newRSAKey(t testing.TB, kid string) jwk.Key {
	t.Helper()
	raw, err := rsa.GenerateKey(rand.Reader, 2048)
	must(t, err)
	key, err := jwk.FromRaw(raw)
	must(t, err)
	must(t, key.Set(jwk.KeyIDKey, kid))
	return key
}

// named is the same key by another name.
func named(t testing.TB, key jwk.Key, kid string) jwk.Key {
	t.Helper()
	copied, err := key.Clone()
	must(t, err)
	must(t, copied.Remove(jwk.KeyIDKey))
	if kid != "" {
		must(t, copied.Set(jwk.KeyIDKey, kid))
	}
	return copied
}

package oidc

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwk"
	"golang.org/x/oauth2"

	"postern/config"
)

const (
	testIssuer   = "https://idp.example"
	testClientID = "client-1"
	testRedirect = "https://app.example/oauth2/callback"
	testSecret   = "s3cret-of-the-client"
	testTenant   = "62366534-1ec3-4962-8869-9b5535279d0b"
)

// Keys are made once; tests only read them.
var (
	rsaOnce    = sync.OnceValue(func() crypto.Signer { k, _ := rsa.GenerateKey(rand.Reader, 2048); return k })
	rsaTwoOnce = sync.OnceValue(func() crypto.Signer { k, _ := rsa.GenerateKey(rand.Reader, 2048); return k })
)

func ecKey(t testing.TB, curve elliptic.Curve) crypto.Signer {
	t.Helper()
	k, err := ecdsa.GenerateKey(curve, rand.Reader)
	must(t, err)
	return k
}

func edKey(t testing.TB) crypto.Signer {
	t.Helper()
	_, k, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	return k
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// jwkJSON writes a key, public or private, as a JWK with these members; nil removes one.
func jwkJSON(t testing.TB, key any, members map[string]any) string {
	t.Helper()
	k, err := jwk.FromRaw(key)
	must(t, err)
	text, err := json.Marshal(k)
	must(t, err)
	var m map[string]any
	must(t, json.Unmarshal(text, &m))
	maps.Copy(m, members)
	maps.DeleteFunc(m, func(_ string, v any) bool { return v == nil })
	text, err = json.Marshal(m)
	must(t, err)
	return string(text)
}

func signJWT(t testing.TB, key *signingKey, typ string, claims map[string]any) string {
	t.Helper()
	payload, err := json.Marshal(claims)
	must(t, err)
	signed, err := key.sign(payload, typ)
	must(t, err)
	return signed
}

// idp is a small strict provider in memory. Its zero hooks behave; each hook bends one thing.
type idp struct {
	t   testing.TB
	now func() time.Time

	mu         sync.Mutex
	issuer     string
	key        *signingKey
	published  []string // JWKs
	metadata   map[string]any
	pending    map[string]url.Values // by code
	pushed     map[string]url.Values // by request_uri
	assertions map[string]bool       // jti seen
	calls      map[string]int        // by path
	forms      []url.Values          // of token and PAR calls

	claims     func(map[string]any)                              // of each id token
	access     func() string                                     // access token
	answer     func(map[string]any)                              // of the token endpoint
	intercept  func(w http.ResponseWriter, r *http.Request) bool // true: it has answered
	clientKey  crypto.PublicKey                                  // for client assertions; nil: secret
	authMethod string                                            // "client_secret_basic" checks the header
}

func newIDP(t testing.TB) *idp {
	p := &idp{
		t: t, now: time.Now, issuer: testIssuer,
		pending: map[string]url.Values{}, pushed: map[string]url.Values{}, assertions: map[string]bool{}, calls: map[string]int{},
	}
	p.setKey("k1", "RS256", rsaOnce())
	p.metadata = p.defaultMetadata()
	return p
}

func (p *idp) defaultMetadata() map[string]any {
	return map[string]any{
		"issuer":                 p.issuer,
		"authorization_endpoint": p.issuer + "/authorize",
		"token_endpoint":         p.issuer + "/token",
		"jwks_uri":               p.issuer + "/jwks",
		"end_session_endpoint":   p.issuer + "/logout",
	}
}

func (p *idp) set(change func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change()
}

func (p *idp) count(path string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.calls[path]
}

// setKey signs with a key from now on, and publishes this one only.
func (p *idp) setKey(kid, alg string, private crypto.Signer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.key = &signingKey{alg: jwa.SignatureAlgorithm(alg), kid: kid, private: private}
	p.published = []string{jwkJSON(p.t, private.Public(), map[string]any{"kid": kid, "alg": alg, "use": "sig"})}
}

// RoundTrip serves without a network, so that tests run in a synctest bubble.
func (p *idp) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	rec := httptest.NewRecorder()
	p.ServeHTTP(rec, r)
	return rec.Result(), nil
}

func (p *idp) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	p.calls[r.URL.Path]++
	intercept := p.intercept
	p.mu.Unlock()
	if intercept != nil && intercept(w, r) {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	switch r.URL.Path {
	case "/.well-known/openid-configuration":
		must(p.t, json.NewEncoder(w).Encode(p.metadata))
	case "/jwks":
		fmt.Fprintf(w, `{"keys":[%s]}`, strings.Join(p.published, ","))
	case "/par", "/token":
		must(p.t, r.ParseForm())
		p.forms = append(p.forms, r.PostForm)
		if err := p.checkClient(r); err != nil {
			refuse(w, http.StatusUnauthorized, "invalid_client", err.Error())
			return
		}
		if r.URL.Path == "/par" {
			uri := fmt.Sprintf("urn:ietf:params:oauth:request_uri:%d", len(p.pushed))
			p.pushed[uri] = r.PostForm
			w.WriteHeader(http.StatusCreated)
			fmt.Fprintf(w, `{"request_uri":%q,"expires_in":60}`, uri)
			return
		}
		p.token(w, r.PostForm)
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

func refuse(w http.ResponseWriter, status int, code, description string) {
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"error": code, "error_description": description})
}

func (p *idp) checkClient(r *http.Request) error {
	form := r.PostForm
	if p.clientKey == nil {
		id, secret := form.Get("client_id"), form.Get("client_secret")
		if p.authMethod == "client_secret_basic" {
			user, pass, _ := r.BasicAuth()
			id, _ = url.QueryUnescape(user)
			secret, _ = url.QueryUnescape(pass)
			if form.Has("client_secret") {
				return errors.New("secret twice")
			}
		}
		if id != testClientID || secret != testSecret {
			return errors.New("wrong secret")
		}
		return nil
	}
	if form.Get("client_assertion_type") != "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" || form.Has("client_secret") {
		return errors.New("wrong client_assertion_type")
	}
	jwt, err := parseJWT(form.Get("client_assertion"))
	if err != nil {
		return err
	}
	if err := verifySignature(jwt, &verificationKey{alg: jwt.alg, public: p.clientKey}); err != nil {
		return err
	}
	var c struct {
		Iss, Sub, Aud, Jti string
		Iat, Nbf, Exp      int64
	}
	if err := json.Unmarshal([]byte(jwt.payload), &c); err != nil {
		return err
	}
	now := p.now().Unix()
	switch {
	case c.Iss != testClientID || c.Sub != testClientID || c.Aud != p.issuer:
		return errors.New("wrong iss, sub or aud")
	case c.Jti == "" || p.assertions[c.Jti]:
		return errors.New("jti missing or used")
	case c.Exp <= now || c.Exp-c.Iat > 60 || c.Iat > now || c.Nbf != c.Iat:
		return errors.New("wrong times")
	}
	p.assertions[c.Jti] = true
	return nil
}

func (p *idp) token(w http.ResponseWriter, form url.Values) {
	nonce := ""
	switch form.Get("grant_type") {
	case "authorization_code":
		asked, ok := p.pending[form.Get("code")]
		delete(p.pending, form.Get("code"))
		challenge := oauth2.S256ChallengeFromVerifier(form.Get("code_verifier"))
		if !ok || asked.Get("redirect_uri") != form.Get("redirect_uri") || asked.Get("code_challenge") != challenge ||
			asked.Get("code_challenge_method") != "S256" {
			refuse(w, http.StatusBadRequest, "invalid_grant", "code, verifier or redirect_uri is wrong")
			return
		}
		nonce = asked.Get("nonce")
	case "refresh_token":
		if !strings.HasPrefix(form.Get("refresh_token"), "refresh-") {
			refuse(w, http.StatusBadRequest, "invalid_grant", "unknown refresh token")
			return
		}
	default:
		refuse(w, http.StatusBadRequest, "unsupported_grant_type", "")
		return
	}
	access := "opaque-access"
	if p.access != nil {
		access = p.access()
	}
	answer := map[string]any{
		"access_token": access, "token_type": "Bearer", "expires_in": 3600,
		"refresh_token": fmt.Sprintf("refresh-%d", p.calls["/token"]), "id_token": signJWT(p.t, p.key, "JWT", p.idClaims(nonce)),
	}
	if p.answer != nil {
		p.answer(answer)
	}
	must(p.t, json.NewEncoder(w).Encode(answer))
}

func (p *idp) idClaims(nonce string) map[string]any {
	now := p.now().Unix()
	claims := map[string]any{
		"iss": p.issuer, "sub": "sub-1", "aud": testClientID, "iat": now, "exp": now + 3600, "nonce": nonce, "sid": "sid-1", "name": "Kari",
	}
	if nonce == "" {
		delete(claims, "nonce")
	}
	if p.claims != nil {
		p.claims(claims)
	}
	maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
	return claims
}

// follow plays the browser and the person: it takes the authorization URL and returns the code.
func (p *idp) follow(target string) string {
	u, err := url.Parse(target)
	must(p.t, err)
	p.mu.Lock()
	defer p.mu.Unlock()
	asked := u.Query()
	if uri := asked.Get("request_uri"); uri != "" {
		asked = p.pushed[uri]
	}
	code := fmt.Sprintf("code-%d", len(p.pending)+p.calls["/token"]*1000)
	p.pending[code] = asked
	return code
}

// world is a provider with its login client, ready.
type world struct {
	*idp
	provider *Provider
	client   *Client
}

type worldOption func(*ProviderConfig, *config.OpenID, *Deps)

func withOpenID(change func(*config.OpenID)) worldOption {
	return func(_ *ProviderConfig, c *config.OpenID, _ *Deps) { change(c) }
}

func withProvider(change func(*ProviderConfig)) worldOption {
	return func(p *ProviderConfig, _ *config.OpenID, _ *Deps) { change(p) }
}

// build makes provider and client for p without reading anything yet.
func build(t testing.TB, p *idp, options ...worldOption) *world {
	t.Helper()
	pc := ProviderConfig{Name: "openid", WellKnownURL: p.issuer + "/.well-known/openid-configuration"}
	cc := config.OpenID{Provider: "openid", ClientID: testClientID, ClientSecret: config.NewSecret(testSecret)}
	d := Deps{HTTP: &http.Client{Transport: p, Timeout: callTimeout}}
	for _, option := range options {
		option(&pc, &cc, &d)
	}
	provider, err := NewProvider(pc, d)
	must(t, err)
	client, err := NewClient(cc, provider, d)
	must(t, err)
	return &world{idp: p, provider: provider, client: client}
}

func newWorld(t testing.TB, p *idp, options ...worldOption) *world {
	t.Helper()
	w := build(t, p, options...)
	must(t, w.provider.refresh(context.Background()))
	w.provider.note(nil)
	return w
}

// login goes the whole way.
func (w *world) login(r AuthorizationRequest) (Grant, error) {
	r.RedirectURI = testRedirect
	pending, target, err := w.client.Authorize(context.Background(), r)
	if err != nil {
		return Grant{}, err
	}
	return w.client.Redeem(context.Background(), pending, AuthorizationResponse{Code: w.follow(target), State: pending.State})
}

func wantInvalid(t testing.TB, err error, reason string) {
	t.Helper()
	e := (*InvalidTokenError)(nil)
	if !errors.As(err, &e) || !strings.Contains(e.Error(), reason) {
		t.Fatalf("got %v, want an InvalidTokenError about %q", err, reason)
	}
}

func wantTrouble(t testing.TB, err error, about string) *TroubleError {
	t.Helper()
	e := (*TroubleError)(nil)
	if !errors.As(err, &e) || !strings.Contains(e.Error(), about) {
		t.Fatalf("got %v, want a TroubleError about %q", err, about)
	}
	return e
}

func b64(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

// testToken signs claims with a key under a header of one's own making.
func testToken(t testing.TB, key *signingKey, header, payload string) string {
	t.Helper()
	input := b64(header) + "." + b64(payload)
	return input + "." + signRaw(t, key, input)
}

// signRaw signs RS256 only.
func signRaw(t testing.TB, key *signingKey, input string) string {
	t.Helper()
	h := crypto.SHA256.New()
	h.Write([]byte(input))
	sig, err := key.private.Sign(rand.Reader, h.Sum(nil), crypto.SHA256)
	must(t, err)
	return base64.RawURLEncoding.EncodeToString(sig)
}

func sortedKeys(v url.Values) []string { return slices.Sorted(maps.Keys(v)) }

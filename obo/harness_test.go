package obo

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"postern/config"
	"postern/oidc"
)

// rsaKey is made once; tests only read it.
var rsaKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

func b64(number *big.Int) string { return base64.RawURLEncoding.EncodeToString(number.Bytes()) }

// jwks is the public half as a provider would publish it.
func jwks() string {
	key := rsaKey()
	return fmt.Sprintf(`{"keys":[{"kty":"RSA","kid":"k","alg":"RS256","n":%q,"e":"AQAB"}]}`, b64(key.N))
}

// clientJWK is the private half as an app gets it.
func clientJWK() config.Secret {
	key := rsaKey()
	return config.NewSecret(fmt.Sprintf(`{"kty":"RSA","kid":"client-key","alg":"RS256","n":%q,"e":"AQAB","d":%q,"p":%q,"q":%q,"dp":%q,"dq":%q,"qi":%q}`,
		b64(key.N), b64(key.D), b64(key.Primes[0]), b64(key.Primes[1]), b64(key.Precomputed.Dp), b64(key.Precomputed.Dq), b64(key.Precomputed.Qinv)))
}

// idp is a provider whose token endpoint is a function, reached without a network, so that time can be a test's own.
type idp struct {
	name   string
	answer func(call int, form url.Values) (status int, body string)
	header http.Header // of answers of the token endpoint
	delay  func(call int) time.Duration

	mu    sync.Mutex
	forms []url.Values
}

func (p *idp) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method == http.MethodGet {
		return response(r, http.StatusOK, nil, jwks()), nil
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	p.forms = append(p.forms, form)
	call := len(p.forms)
	p.mu.Unlock()
	if p.delay != nil {
		timer := time.NewTimer(p.delay(call))
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	}
	status, text := p.answer(call, form)
	if status == 0 {
		return nil, io.ErrUnexpectedEOF
	}
	if status == brokenOff {
		r := response(r, http.StatusOK, p.header, text)
		r.Body = io.NopCloser(io.MultiReader(r.Body, iotest.ErrReader(io.ErrUnexpectedEOF)))
		return r, nil
	}
	return response(r, status, p.header, text), nil
}

// brokenOff is the status of a 200 whose body does not come to its end.
const brokenOff = -1

func response(r *http.Request, status int, header http.Header, body string) *http.Response {
	if header == nil {
		header = http.Header{}
	}
	return &http.Response{
		StatusCode: status, ProtoMajor: 1, ProtoMinor: 1, Header: header, Request: r,
		Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)),
	}
}

func (p *idp) calls() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.forms)
}

func (p *idp) last() url.Values {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.forms[len(p.forms)-1]
}

// numbered answers each call with a token of its own.
func numbered(lifetime int) func(int, url.Values) (int, string) {
	return func(call int, _ url.Values) (int, string) {
		return http.StatusOK, fmt.Sprintf(`{"access_token":"token-%d","token_type":"Bearer","expires_in":%d}`, call, lifetime)
	}
}

// newTestBroker puts a broker in front of these providers. Everything that it starts ends with the test.
func newTestBroker(t testing.TB, cfg Config, idps ...*idp) *Broker {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	var providers []Provider
	for _, p := range idps {
		deps := oidc.Deps{HTTP: &http.Client{Transport: p, Timeout: 2500 * time.Millisecond}}
		base := "https://" + strings.ReplaceAll(p.name, "_", "-") + ".example"
		provider, err := oidc.NewProvider(oidc.ProviderConfig{
			Name: p.name, Issuer: base, JWKSURI: base + "/jwks", TokenEndpoint: base + "/token",
		}, deps)
		if err != nil {
			t.Fatal(err)
		}
		go provider.Run(ctx)
		credentials := oidc.Credentials{ClientID: "client-1", JWK: clientJWK(), OmitClientID: p.name == oidc.TokenX}
		auth, err := oidc.NewAuthenticator(credentials, deps)
		if err != nil {
			t.Fatal(err)
		}
		providers = append(providers, Provider{
			Name: p.name, Endpoint: oidc.NewTokenEndpoint(provider, auth, deps), Credentials: credentials, Deps: deps,
		})
	}
	b, err := NewBroker(providers, cfg, Deps{Jitter: func() float64 { return 0.5 }})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// userToken is one that says when it ends; nobody here verifies it.
func userToken(name string, end time.Time) string {
	payload, err := json.Marshal(map[string]any{"sub": name, "exp": end.Unix()})
	if err != nil {
		panic(err)
	}
	return "e30." + base64.RawURLEncoding.EncodeToString(payload) + ".c2ln"
}

// claimsOf reads a JWT without looking at its signature.
func claimsOf(t testing.TB, token string, part int) map[string]any {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("%q is no JWT", token)
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[part])
	if err != nil {
		t.Fatal(err)
	}
	var claims map[string]any
	if err := json.Unmarshal(payload, &claims); err != nil {
		t.Fatal(err)
	}
	return claims
}

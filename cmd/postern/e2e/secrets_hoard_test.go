package e2e

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// hoard is every secret that a story has seen, and what others could read meanwhile.
type hoard struct {
	mu      sync.Mutex
	secrets map[string]string // what each is, by the secret
	shown   map[string]string // by where
}

// newHoard knows of the story's own secrets, by what they are, and of the key that every world has.
func newHoard(secrets map[string]string) *hoard {
	h := &hoard{secrets: map[string]string{}, shown: map[string]string{}}
	for name, secret := range secrets {
		h.keep(name, secret)
	}
	raw, _ := base64.StdEncoding.DecodeString(testKey)
	h.keep("encryption key", testKey)
	h.keep("encryption key, bytes", string(raw))
	return h
}

func (h *hoard) keep(name, secret string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.secrets[secret] == "" {
		h.secrets[secret] = name
	}
}

// token keeps a token, and its parts: claims and a signature are worth as much.
func (h *hoard) token(name, token string) {
	token = strings.TrimPrefix(token, "Bearer ")
	h.keep(name, token)
	if parts := strings.Split(token, "."); len(parts) == 3 {
		h.keep(name+", claims", parts[1])
		h.keep(name+", signature", parts[2])
	}
}

// person keeps who an id token is about.
func (h *hoard) person(t *testing.T, idToken string) (sid string) {
	t.Helper()
	known := claims(t, idToken)
	for _, name := range []string{"sub", "sid", "oid", "nonce", "name", "preferred_username"} {
		if text, is := known[name].(string); is {
			h.keep(name, text)
		}
	}
	sid, _ = known["sid"].(string)
	return sid
}

// cookies keeps those of a browser.
func (h *hoard) cookies(c *Client, address string) {
	for name, value := range c.Cookies(address) {
		h.keep("cookie "+name, value)
	}
}

// all is every secret by what it is.
func (h *hoard) all() map[string]string {
	h.mu.Lock()
	defer h.mu.Unlock()
	all := map[string]string{}
	for secret, name := range h.secrets {
		unique := name
		for n := 2; all[unique] != ""; n++ {
			unique = fmt.Sprintf("%s (%d)", name, n)
		}
		all[unique] = secret
	}
	return all
}

// show keeps an answer that must not tell secrets.
func (h *hoard) show(name string, r *Response) *Response {
	h.shown[name] += fmt.Sprintf("%d %s\n", r.StatusCode, r.Body)
	return r
}

// provider is [DevIDP] with the hoard on the line: the provider itself shows no test the secrets that it is sent.
func (h *hoard) provider(t testing.TB, _ string, redirectURIs, postLogoutURIs []string, flags ...string) *DevProvider {
	t.Helper()
	port := FreePort(t)
	line := httptest.NewServer(h.listen("127.0.0.1:" + port))
	t.Cleanup(line.Close)
	origin := strings.Replace(line.URL, "127.0.0.1", "idp.localhost", 1)
	p := DevIDP(t, port, redirectURIs, postLogoutURIs, append(flags, "--base-url="+origin)...)
	p.Issuer = origin + strings.TrimPrefix(p.Issuer, p.origin())
	return p
}

// What is secret of what a provider is sent, and of what it answers.
var (
	sentSecrets = []string{
		"code", "state", "nonce", "code_verifier", "client_assertion", "client_secret", "assertion", "subject_token", "refresh_token", "token", "id_token_hint",
	}
	toldSecrets = []string{"access_token", "refresh_token", "id_token"}
)

func (h *hoard) listen(target string) http.Handler {
	hear := func(values url.Values) {
		for _, name := range sentSecrets {
			for _, value := range values[name] {
				h.token(name, value)
			}
		}
	}
	return &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			sent, _ := io.ReadAll(r.In.Body)
			r.Out.Body = io.NopCloser(bytes.NewReader(sent))
			r.Out.URL.Scheme, r.Out.URL.Host, r.Out.Host = "http", target, r.In.Host
			hear(r.In.URL.Query())
			if form, err := url.ParseQuery(string(sent)); err == nil {
				hear(form)
			}
			if _, password, has := r.In.BasicAuth(); has {
				h.keep("client_secret", password)
				h.keep("client_secret, with the id", strings.TrimPrefix(r.In.Header.Get("Authorization"), "Basic "))
			}
		},
		ModifyResponse: func(r *http.Response) error {
			body, err := io.ReadAll(r.Body)
			r.Body = io.NopCloser(bytes.NewReader(body))
			var told map[string]any
			if json.Unmarshal(body, &told) == nil {
				for _, name := range toldSecrets {
					if text, is := told[name].(string); is {
						h.token(name, text)
					}
				}
			}
			if to, err := r.Location(); err == nil {
				hear(to.Query())
			}
			return err
		},
	}
}

// knows fails the test if the story has not come by a secret of each of these kinds.
func (h *hoard) knows(t testing.TB, names ...string) {
	t.Helper()
	all := h.all()
	for _, name := range names {
		if all[name] == "" {
			t.Errorf("the story has seen no %s", name)
		}
	}
}

// loginLink is what a refusal's page carries of the request: the person's own address, back to the same person, for the way on after the login
// (contract 3.1: a deep link survives login with its query). It stands in that link and nowhere else, and the page is stored by nobody.
var loginLink = regexp.MustCompile(`href="[^"]*/oauth2/login\?redirect=[^"]*"`)

// kept fails the test if a secret was written to the log, is in the metrics or at a probe, or was shown. The operator is told of whom they asked,
// and a person of themself.
func (h *hoard) kept(t testing.TB, programs ...*Process) {
	t.Helper()
	for _, p := range programs {
		p.Log.Without(t, h.all())
		if p.alive() {
			h.shown["metrics of "+p.Addr] = p.Metrics(t)
			_, h.shown["/readyz of "+p.Addr] = p.Readyz(t)
		}
	}
	for where, text := range h.shown {
		h.wants(t, where, loginLink.ReplaceAllString(text, ""), "sub", "sid", "oid", "name", "preferred_username")
	}
}

// wants fails the test if a secret is shown, but for those that may be there.
func (h *hoard) wants(t testing.TB, where, text string, allowed ...string) {
	t.Helper()
	secrets := h.all()
	maps.DeleteFunc(secrets, func(name, _ string) bool {
		for _, one := range allowed {
			if name == one || strings.HasPrefix(name, one+" (") {
				return true
			}
		}
		return false
	})
	for _, name := range leaks(text, secrets) {
		t.Errorf("%s: shows the %s", where, name)
	}
}

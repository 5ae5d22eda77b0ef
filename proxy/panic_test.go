package proxy

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"postern/config"
	"postern/oidc"
	"postern/proxy/policy"
)

// trap panics with what it was given, as a mistake of ours might.
type trap struct {
	http.ResponseWriter
	set bool // in Write: the head of the answer is out
}

func (t *trap) Write(p []byte) (int, error) {
	if t.set {
		panic("hush: " + string(p))
	}
	return t.ResponseWriter.Write(p)
}

// RoundTrip is a call to the provider, which answers what it is asked for and not what it is told.
func (t *trap) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method == http.MethodPost {
		sent, _ := io.ReadAll(r.Body)
		panic("hush: " + string(sent))
	}
	w := httptest.NewRecorder()
	_, _ = io.WriteString(w, `{"issuer":"https://idp.example","authorization_endpoint":"https://idp.example/a","token_endpoint":"https://idp.example/t",
		"pushed_authorization_request_endpoint":"https://idp.example/par","jwks_uri":"https://idp.example/k",
		"keys":[{"kty":"OKP","crv":"Ed25519","alg":"EdDSA","kid":"k","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}`)
	return w.Result(), nil
}

// clientThrough is a client of the provider at the other end of a transport.
func clientThrough(t testing.TB, way http.RoundTripper) *oidc.Client {
	t.Helper()
	deps := oidc.Deps{HTTP: &http.Client{Transport: way}}
	provider, err := oidc.NewProvider(oidc.ProviderConfig{Name: oidc.OpenID, WellKnownURL: "https://idp.example/.well-known/openid-configuration"}, deps)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	t.Cleanup(stop)
	go provider.Run(ctx)
	client, err := oidc.NewClient(config.OpenID{ClientID: "client", ClientSecret: config.NewSecret("secret-of-the-client")}, provider, deps)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := provider.Metadata(t.Context()); err != nil {
		t.Fatal(err)
	}
	return client
}

// S-37: whatever panics while a request is served, and with whatever in its hands, the log says where, and neither log nor answer says what.
func TestS37PanicsShowNoSecret(t *testing.T) {
	t.Parallel()
	const person = "01017012345"
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "of the app: "+person) }))
	t.Cleanup(app.Close)
	const target = "/p/" + person + "?fnr=" + person
	for name, test := range map[string]struct {
		path   string
		write  bool // to answer is what panics
		decide bool // to decide is
		status int
	}{
		"deciding":              {target, false, true, 500},
		"answering for the app": {target, true, false, 200},
		"answering ourselves":   {"/oauth2/session", true, false, 200},
		"asking the provider":   {"/oauth2/login?redirect=" + target, false, false, 500},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var log bytes.Buffer
			var cookie string
			d := newDoor(t, strings.TrimPrefix(app.URL, "http://"), func(_ *Config, deps *Deps) {
				deps.Log = slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
				deps.Client = clientThrough(t, &trap{})
				open := policy.WithoutFile(policy.Settings{})
				deps.Policy = func() *policy.Policy {
					if test.decide && cookie != "" {
						panic("hush: " + cookie)
					}
					return open
				}
			})
			cookie = d.cookie
			w := httptest.NewRecorder()
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://app.localhost"+test.path, nil)
			r.Header["Cookie"] = []string{cookie}
			func() {
				defer func() { _ = recover() }() // net/http cuts the connection of an answer that was begun
				d.ServeHTTP(&trap{ResponseWriter: w, set: test.write}, r)
			}()
			said := log.String() + w.Body.String()
			if w.Code != test.status || strings.Count(said, `"msg":"panic"`) != 1 || !strings.Contains(said, "panic_test.go") {
				t.Errorf("%d %s", w.Code, said)
			}
			for _, secret := range []string{"hush", person, strings.TrimPrefix(cookie, "postern.session="), "secret-of-the-client", "code_challenge"} {
				if strings.Contains(said, secret) {
					t.Errorf("%.20q is shown:\n%s", secret, said)
				}
			}
		})
	}
}

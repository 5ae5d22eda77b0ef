package proxy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"postern/config"
	"postern/obo"
	"postern/oidc"
	"postern/oidc/correlation"
	"postern/proxy/policy"
	"postern/session/redistest"
)

// exchanger stands for obo.Broker. What it does for a target is said by the target's first word.
type exchanger struct {
	mu    sync.Mutex
	asked []obo.Request
	meet  sync.WaitGroup // of those for "together"
}

func (e *exchanger) Exchange(ctx context.Context, r obo.Request) (obo.Token, error) {
	e.mu.Lock()
	e.asked = append(e.asked, r)
	e.mu.Unlock()
	switch r.Target {
	case "refused":
		return obo.Token{}, &oidc.RefusalError{Provider: r.Provider, Op: "exchange token", Status: 400, Code: "invalid_grant", Words: "hush"}
	case "ended":
		return obo.Token{}, &oidc.InvalidTokenError{Reason: "it has expired"}
	case "trouble":
		return obo.Token{}, &oidc.TroubleError{Provider: r.Provider, Op: "exchange token", RetryAfter: 7 * time.Second, Err: errors.New("hush")}
	case "silent":
		<-ctx.Done()
		return obo.Token{}, context.Cause(ctx)
	case "late":
		<-ctx.Done()
		return obo.Token{}, context.DeadlineExceeded
	case "panic":
		panic("hush")
	case "together":
		e.meet.Done()
		e.meet.Wait()
	}
	return obo.Token{Access: oidc.NewToken(r.Target + "-for-" + r.UserToken[:1]), ExpiresIn: 3600}, nil
}

func (e *exchanger) requests() []obo.Request {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.asked
}

// echoApp answers with the headers whose names begin with X-Token, one a line.
func echoApp(t testing.TB) string {
	t.Helper()
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, name := range []string{"X-Token", "X-Token-2", "X_token", "X-Token-3"} {
			for _, value := range r.Header[name] {
				fmt.Fprintf(w, "%s: %s\n", name, value)
			}
		}
	}))
	t.Cleanup(app.Close)
	return strings.TrimPrefix(app.URL, "http://")
}

func withTokens(broker Exchanger, tokens ...config.UpstreamToken) func(*Config, *Deps) {
	return func(c *Config, d *Deps) {
		for i := range tokens {
			if tokens[i].Provider == "" {
				tokens[i].Provider = oidc.EntraID
			}
		}
		c.Identity.UpstreamTokens, d.Tokens = tokens, broker
	}
}

func get(h http.Handler, path string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("GET", "http://app.localhost"+path, nil)
	r.RequestURI = path
	for i := 0; i < len(header); i += 2 {
		r.Header[header[i]] = append(r.Header[header[i]], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestS43UserGetsTokensForOtherAPIs(t *testing.T) {
	t.Parallel()
	broker := &exchanger{}
	d := newDoor(t, echoApp(t), withTokens(broker,
		config.UpstreamToken{Header: "x-token", Target: "orders", Required: true},
		config.UpstreamToken{Header: "X-Token-2", Target: "billing", Paths: []string{"/bills/**", "/sum"}},
	))
	forged := []string{"X-Token", "forged", "X_token", "forged", "X-Token-2", "forged"}
	for path, want := range map[string]string{
		"/":                "X-Token: orders-for-a\n",
		"/bills/1":         "X-Token: orders-for-a\nX-Token-2: billing-for-a\n",
		"/sum?x":           "X-Token: orders-for-a\nX-Token-2: billing-for-a\n",
		"/bills/..%2f../x": "X-Token: orders-for-a\n", // not in every reading
	} {
		if w := get(d, path, append(forged, "Cookie", d.cookie)...); w.Code != 200 || w.Body.String() != want {
			t.Errorf("%s: %d %q; want %q", path, w.Code, w.Body, want)
		}
		if w := get(d, path, forged...); w.Code != 200 || w.Body.String() != "" {
			t.Errorf("%s, nobody: %d %q", path, w.Code, w.Body)
		}
	}
	want := obo.Request{Provider: oidc.EntraID, Target: "orders", UserToken: strings.Repeat("a", 1100), RefusalAge: 60, User: "entra_id 7d1a4a5e-0b5c-4f0e-9a53-5f1d0c6e2b11 AbCdEfGhIjKlMnOpQrStUvWxYz0123456789"}
	for _, got := range broker.requests() {
		if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(obo.Request{}, "Target")); diff != "" {
			t.Error(diff)
		}
	}
	if n := len(broker.requests()); n != 6 {
		t.Errorf("%d tokens were asked for; want 6", n)
	}
}

func TestS43TokenThatCannotBeHad(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		target, provider string
		required         bool
		status           int
		code, retry      string
	}{
		{"refused", "", false, 200, "", ""},
		{"refused", "", true, 403, "downstream_refused", ""},
		{"ended", "", false, 200, "", ""},
		{"ended", "", true, 403, "downstream_refused", ""},
		{"trouble", "", false, 200, "", ""},
		{"trouble", "", true, 503, "downstream_unavailable", "7"},
		{"panic", "", false, 200, "", ""},
		{"panic", "", true, 500, "internal_error", ""},
		{"orders", oidc.TokenX, false, 200, "", ""}, // which takes no tokens of Entra ID
		{"orders", oidc.TokenX, true, 403, "downstream_refused", ""},
	} {
		name := fmt.Sprintf("%s %s %v", test.target, test.provider, test.required)
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			broker := &exchanger{}
			d := newDoor(t, echoApp(t), withTokens(broker,
				config.UpstreamToken{Header: "X-Token", Target: test.target, Provider: test.provider, Required: test.required},
				config.UpstreamToken{Header: "X-Token-2", Target: "fine"},
			))
			w := get(d, "/", "Cookie", d.cookie)
			if w.Code != test.status || w.Header().Get("Retry-After") != test.retry || strings.Contains(w.Body.String(), "hush") {
				t.Errorf("%d %s, Retry-After %q", w.Code, w.Body, w.Header().Get("Retry-After"))
			}
			if test.status == 200 && w.Body.String() != "X-Token-2: fine-for-a\n" || test.code != "" && !strings.Contains(w.Body.String(), `"`+test.code+`"`) {
				t.Errorf("%s; want %s", w.Body, test.code)
			}
			for _, asked := range broker.requests() {
				if asked.Provider == oidc.TokenX {
					t.Error("the token was sent to a provider that does not know it")
				}
			}
		})
	}
}

func TestS43TokensAreAskedForTogether(t *testing.T) {
	t.Parallel()
	broker := &exchanger{}
	broker.meet.Add(3) // each waits until all are there
	d := newDoor(t, echoApp(t), withTokens(broker,
		config.UpstreamToken{Header: "X-Token", Target: "together"}, config.UpstreamToken{Header: "X-Token-2", Target: "together"},
		config.UpstreamToken{Header: "X-Token-3", Target: "together", Required: true},
	))
	if w := get(d, "/", "Cookie", d.cookie); w.Code != 200 || strings.Count(w.Body.String(), "together-for-a") != 3 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestS43NobodyWaitsLongForWhatIsNotNeeded(t *testing.T) {
	t.Parallel()
	broker := &exchanger{}
	d := newDoor(t, echoApp(t), withTokens(broker,
		config.UpstreamToken{Header: "X-Token", Target: "refused", Required: true}, config.UpstreamToken{Header: "X-Token-2", Target: "silent", Required: true},
	))
	if w := get(d, "/", "Cookie", d.cookie); w.Code != 403 { // of one that is lost nobody waits for the other
		t.Errorf("%d %s", w.Code, w.Body)
	}
	d = newDoor(t, echoApp(t), withTokens(broker, config.UpstreamToken{Header: "X-Token", Target: "late"}))
	took := redistest.Took(func() {
		if w := get(d, "/", "Cookie", d.cookie); w.Code != 200 || w.Body.String() != "" {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	})
	if took > 2*optionalPatience {
		t.Errorf("an optional token cost %s", took)
	}
}

func TestS43AppsHaveNoUserToActFor(t *testing.T) {
	t.Parallel()
	broker := &exchanger{}
	h, token := newBearerDoor(t, echoApp(t), withTokens(broker, config.UpstreamToken{Header: "X-Token", Target: "orders", Required: true}))
	for path, status := range map[string]int{"/": 200, "/isalive": 200, "/admin/x": 403} {
		if w := get(h, path, "Authorization", "Bearer "+token, "X-Token", "forged"); w.Code != status || strings.Contains(w.Body.String(), "X-Token") {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
	for path, status := range map[string]int{"/": 401, "/isalive": 200} {
		if w := get(h, path, "Authorization", "Bearer forged", "X-Token", "forged"); w.Code != status || strings.Contains(w.Body.String(), "X-Token") {
			t.Errorf("%s, forged: %d %s", path, w.Code, w.Body)
		}
	}
	if asked := broker.requests(); len(asked) > 0 {
		t.Errorf("asked for %v", asked)
	}
}

// TestS43OnlyWhoIsAdmittedHasTokens: whoever a policy does not admit has none, on public paths and in report mode either (S-15).
func TestS43OnlyWhoIsAdmittedHasTokens(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		users   string
		reports bool
		want    map[string]int // path to status; 0 is 200 with a token
	}{
		"admitted":           {"users: {allowAll: true}\n", false, map[string]int{"/": 0, "/isalive": 0}},
		"not admitted":       {"users: {groups: [5c2a7e0c-7c1f-4d8e-8a0b-1f0f6f1c2aff]}\n", false, map[string]int{"/": 403, "/isalive": 200}},
		"and only reported":  {"users: {groups: [5c2a7e0c-7c1f-4d8e-8a0b-1f0f6f1c2aff]}\n", true, map[string]int{"/": 200, "/isalive": 200}},
		"admitted, reported": {"users: {allowAll: true}\n", true, map[string]int{"/": 0}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rules, _, err := policy.Load([]policy.File{{Name: "policy.yaml", Data: []byte(
				"apiVersion: postern/v1\napp: {cluster: dev, namespace: team, name: api}\n" + test.users + "paths: [{match: /isalive, public: true}]\n")}}, policy.Settings{})
			if err != nil {
				t.Fatal(err)
			}
			broker := &exchanger{}
			d := newDoor(t, echoApp(t), withTokens(broker, config.UpstreamToken{Header: "X-Token", Target: "orders", Required: true}), func(c *Config, deps *Deps) {
				c.PolicyFiles, c.PolicyReports, deps.Policy = true, test.reports, func() *policy.Policy { return rules }
			})
			for path, want := range test.want {
				before := len(broker.requests())
				w := get(d, path, "Cookie", d.cookie)
				if has := strings.Contains(w.Body.String(), "X-Token: "); has != (want == 0) || want != 0 && w.Code != want {
					t.Errorf("%s: %d %s", path, w.Code, w.Body)
				}
				if asked := len(broker.requests()) > before; asked != (want == 0) {
					t.Errorf("%s: asked %v", path, asked)
				}
			}
		})
	}
}

// A path that is open to nobody in particular is not closed by a token that a user cannot have.
func TestS43RequiredTokenDoesNotCloseAPublicPath(t *testing.T) {
	t.Parallel()
	rules, _, err := policy.Load([]policy.File{{Name: "policy.yaml", Data: []byte(
		"apiVersion: postern/v1\napp: {cluster: dev, namespace: team, name: api}\nusers: {allowAll: true}\npaths: [{match: /isalive, public: true}]\n")}}, policy.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	for _, target := range []string{"refused", "trouble"} {
		d := newDoor(t, echoApp(t), withTokens(&exchanger{}, config.UpstreamToken{Header: "X-Token", Target: target, Required: true}), func(c *Config, deps *Deps) {
			c.PolicyFiles, deps.Policy = true, func() *policy.Policy { return rules }
		})
		if w := get(d, "/isalive", "Cookie", d.cookie); w.Code != 200 || w.Body.Len() > 0 {
			t.Errorf("%s: %d %s", target, w.Code, w.Body)
		}
		if w := get(d, "/", "Cookie", d.cookie); w.Code < 400 {
			t.Errorf("%s, on another path: %d", target, w.Code)
		}
	}
}

func TestS43UpgradesHaveTokensToo(t *testing.T) {
	t.Parallel()
	broker := &exchanger{}
	d := newDoor(t, echoApp(t), withTokens(broker, config.UpstreamToken{Header: "X-Token", Target: "orders"}))
	w := get(d, "/", "Cookie", d.cookie, "Connection", "Upgrade", "Upgrade", "websocket", "Origin", "http://app.localhost")
	if w.Code != 200 || w.Body.String() != "X-Token: orders-for-a\n" { // the app refuses the upgrade and answers
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestS43WhatIsLeftOutIsLogged(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	d := newDoor(t, echoApp(t), withTokens(&exchanger{}, config.UpstreamToken{Header: "X-Token", Target: "trouble"}), func(_ *Config, deps *Deps) {
		deps.Log = slog.New(correlation.NewHandler(slog.NewJSONHandler(&log, nil)))
	})
	get(d, "/", "Cookie", d.cookie)
	if got := log.String(); !strings.Contains(got, `"header":"X-Token"`) || !strings.Contains(got, `"level":"WARN"`) || !strings.Contains(got, `"request_id":"`) {
		t.Errorf("%s", got)
	}
}

func TestUpstreamTokensThatCannotWorkAreRefusedAtStart(t *testing.T) {
	t.Parallel()
	token := config.UpstreamToken{Header: "X-Token", Provider: oidc.EntraID, Target: "t"}
	if _, err := newDownstream([]config.UpstreamToken{token}, nil); err == nil {
		t.Error("nobody is there to get it from")
	}
	token.Paths = []string{"/a", "/[b"}
	if _, err := newDownstream([]config.UpstreamToken{token}, &exchanger{}); err == nil || !strings.HasPrefix(err.Error(), "upstream-tokens: entry 1: ") {
		t.Error(err)
	}
}

// BenchmarkDownstream is what two tokens that the broker has cost a request, beside a request without any.
func BenchmarkDownstream(b *testing.B) {
	upstream := benchUpstream(b)
	for name, tokens := range map[string][]config.UpstreamToken{
		"none": nil, "two": {{Header: "X-Token", Target: "orders"}, {Header: "X-Token-2", Target: "billing", Required: true}},
	} {
		b.Run(name, func(b *testing.B) {
			d := newDoor(b, upstream, withTokens(kept{}, tokens...))
			r := benchRequest(d.cookie)
			b.ReportAllocs()
			for b.Loop() {
				w := httptest.NewRecorder()
				d.ServeHTTP(w, r)
				if w.Code != http.StatusOK {
					b.Fatal(w.Code)
				}
				_, _ = io.Copy(io.Discard, w.Body)
			}
		})
	}
}

type kept struct{}

func (kept) Exchange(context.Context, obo.Request) (obo.Token, error) {
	return obo.Token{Access: oidc.NewToken("kept")}, nil
}

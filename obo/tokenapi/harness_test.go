package tokenapi

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"postern/obo"
	"postern/oidc"
	"postern/oidc/correlation"
)

const (
	pathToken      = "/api/v1/token"
	pathExchange   = "/api/v1/token/exchange"
	pathIntrospect = "/api/v1/introspect"
)

// broker answers as it is told to, and remembers what it was asked.
type broker struct {
	mu     sync.Mutex
	asked  []obo.Request
	answer func(obo.Request) (obo.Token, error)
}

func (b *broker) Machine(_ context.Context, r obo.Request) (obo.Token, error)  { return b.get(r) }
func (b *broker) Exchange(_ context.Context, r obo.Request) (obo.Token, error) { return b.get(r) }

func (b *broker) get(r obo.Request) (obo.Token, error) {
	b.mu.Lock()
	b.asked = append(b.asked, r)
	b.mu.Unlock()
	return b.answer(r)
}

// last is what was asked last, or nothing.
func (b *broker) last() obo.Request {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.asked) == 0 {
		return obo.Request{}
	}
	return b.asked[len(b.asked)-1]
}

type introspector func(provider, token string) (oidc.Introspection, error)

func (f introspector) Introspect(_ context.Context, provider, token string) (oidc.Introspection, error) {
	return f(provider, token)
}

// world is a handler with everything around it.
type world struct {
	*Handler
	t        testing.TB
	broker   *broker
	logged   *bytes.Buffer
	registry *prometheus.Registry
}

func newWorld(t testing.TB, change ...func(*Config, *Deps)) *world {
	t.Helper()
	w := &world{t: t, logged: new(bytes.Buffer), registry: prometheus.NewRegistry()}
	w.broker = &broker{answer: func(obo.Request) (obo.Token, error) {
		return obo.Token{Access: oidc.NewToken("token-1"), ExpiresIn: 3600}, nil
	}}
	cfg, d := Config{}, Deps{
		Broker: w.broker, Registerer: w.registry, Log: slog.New(correlation.NewHandler(slog.NewJSONHandler(w.logged, &slog.HandlerOptions{Level: slog.LevelDebug}))),
		Introspector: introspector(func(provider, token string) (oidc.Introspection, error) {
			if token == "good" {
				return oidc.Introspection{JSON: []byte(`{"active":true,"iss":"` + provider + `"}`)}, nil
			}
			return oidc.Introspection{JSON: []byte(`{"active":false,"error":"not good"}`), Reason: "signature"}, nil
		}),
	}
	for _, f := range change {
		f(&cfg, &d)
	}
	w.Handler = New(cfg, d)
	return w
}

// do sends a request as a client in the app does.
func (w *world) do(method, path, contentType, body string, change ...func(*http.Request)) *httptest.ResponseRecorder {
	w.t.Helper()
	r := httptest.NewRequestWithContext(w.t.Context(), method, path, strings.NewReader(body))
	r.RemoteAddr, r.Host = "127.0.0.1:41000", "127.0.0.1:3000"
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	for _, f := range change {
		f(r)
	}
	rec := httptest.NewRecorder()
	w.ServeHTTP(rec, r)
	return rec
}

func (w *world) json(path, body string, change ...func(*http.Request)) *httptest.ResponseRecorder {
	w.t.Helper()
	return w.do(http.MethodPost, path, contentJSON, body, change...)
}

func (w *world) form(path, body string) *httptest.ResponseRecorder {
	w.t.Helper()
	return w.do(http.MethodPost, path, contentForm, body)
}

// said reads an answer, which is always JSON of exactly that type.
func (w *world) said(rec *httptest.ResponseRecorder, status int) map[string]any {
	w.t.Helper()
	var said map[string]any
	if err := json.Unmarshal(rec.Body.Bytes(), &said); err != nil {
		w.t.Fatalf("%d %s: %v", rec.Code, rec.Body, err)
	}
	if rec.Code != status {
		w.t.Fatalf("%d %s, want %d", rec.Code, rec.Body, status)
	}
	if types := rec.Header().Values("Content-Type"); len(types) != 1 || types[0] != "application/json" {
		w.t.Errorf("Content-Type %q", types)
	}
	if rec.Header().Get("Cache-Control") != "no-store" {
		w.t.Errorf("Cache-Control %q", rec.Header().Get("Cache-Control"))
	}
	return said
}

// wantError compares an error answer of two members.
func (w *world) wantError(rec *httptest.ResponseRecorder, status int, code, description string) {
	w.t.Helper()
	said := w.said(rec, status)
	if said["error"] != code || said["error_description"] != description || len(said) != 2 {
		w.t.Errorf("%s\nwant %s: %s", rec.Body, code, description)
	}
}

func formOf(pairs ...string) string {
	values := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		values.Set(pairs[i], pairs[i+1])
	}
	return values.Encode()
}

func fails(err error) func(*Config, *Deps) {
	return func(_ *Config, d *Deps) {
		d.Broker = &broker{answer: func(obo.Request) (obo.Token, error) { return obo.Token{}, err }}
	}
}

package proxy

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"postern/config"
	"postern/oidc"
	"postern/oidc/devidp"
	"postern/proxy/forward"
	"postern/proxy/policy"
)

// newBearerDoor is a front door that takes tokens of an app of Entra ID, and such a token.
func newBearerDoor(b testing.TB, upstream string, changes ...func(*Config, *Deps)) (*Handler, string) {
	b.Helper()
	const client = "aaaaaaaa-0000-4000-8000-00000000000a"
	idp, err := devidp.New(devidp.Config{Clients: []devidp.ClientConfig{{ID: client, Secret: "s", RedirectURIs: []string{"http://localhost/cb"}}}})
	if err != nil {
		b.Fatal(err)
	}
	server := httptest.NewServer(idp)
	b.Cleanup(server.Close)
	provider, err := oidc.NewProvider(oidc.ProviderConfig{
		Name: oidc.EntraID, WellKnownURL: idp.WellKnown(devidp.Entra, server.URL), AllowTestProvider: true,
	}, oidc.Deps{})
	if err != nil {
		b.Fatal(err)
	}
	go provider.Run(b.Context())
	verifier, err := oidc.NewVerifier([]oidc.Acceptance{{
		Name: oidc.EntraID, Provider: provider, Audiences: []string{client}, Applications: map[string]string{client: "dev:team:app"},
	}}, 0, oidc.Deps{})
	if err != nil {
		b.Fatal(err)
	}
	rules, _, err := policy.Load([]policy.File{{Name: "policy.yaml", Data: []byte(
		"apiVersion: postern/v1\napp: {cluster: dev, namespace: team, name: api}\ninbound: {rules: [{application: app}]}\n" +
			"paths: [{match: /isalive, public: true}, {match: /admin/**, require: {kind: user}}]\n")}}, policy.Settings{})
	if err != nil {
		b.Fatal(err)
	}
	cfg, deps := Config{
		Front:    config.Front{CSRF: "cross-site", PathStrictness: "readings", LoginRate: 50},
		Upstream: config.Upstream{Host: upstream}, Cookie: config.Cookie{Prefix: "postern"}, PolicyFiles: true,
		Identity: config.Identity{Headers: []string{"postern"}, MaxBytes: 6 << 10}, Limits: config.Limits{Cookies: 100, BodyBytes: 1 << 20},
	}, Deps{
		Bearer: verifier, Policy: func() *policy.Policy { return rules }, Registerer: prometheus.NewRegistry(),
		Log: slog.New(slog.NewJSONHandler(struct{ io.Writer }{io.Discard}, nil)),
	}
	for _, change := range changes {
		change(&cfg, &deps)
	}
	h, err := New(cfg, deps)
	if err != nil {
		b.Fatal(err)
	}
	token, err := idp.Mint(devidp.MintRequest{Profile: devidp.MintEntraApp, Base: server.URL})
	if err != nil {
		b.Fatal(err)
	}
	return h, token
}

// BenchmarkBearer is the whole way of a request with a token that is known.
func BenchmarkBearer(b *testing.B) {
	h, token := newBearerDoor(b, benchUpstream(b))
	r := benchRequest("")
	r.Header["Authorization"] = []string{"Bearer " + token}
	b.ReportAllocs()
	for b.Loop() {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != http.StatusOK {
			b.Fatal(w.Code, w.Body)
		}
	}
}

// BenchmarkBearerDecision is everything but the reverse proxy.
func BenchmarkBearerDecision(b *testing.B) {
	h, token := newBearerDoor(b, "127.0.0.1:1")
	r := benchRequest("")
	r.Header["Authorization"] = []string{"Bearer " + token}
	v := &visit{}
	v.waits.Context = b.Context()
	v.ctx.Begin(&v.waits, h.ids, r.Header)
	h.tracer.Begin(&v.scope, &v.ctx, r.Header, false, "")
	b.ReportAllocs()
	for b.Loop() {
		path, err := policy.Read(forward.RawPath(r))
		if err != nil {
			b.Fatal(err)
		}
		p := &v.passage
		*p = passage{policy: h.policy()}
		p.route = p.policy.Route(policy.Request{Path: path, Method: r.Method})
		if err := h.establish(v, r, p); err != nil {
			b.Fatal(err)
		}
		if p.policy.Decide(&p.route, p.who.identity.Caller()).Outcome != policy.Admitted {
			b.Fatal("refused")
		}
	}
}

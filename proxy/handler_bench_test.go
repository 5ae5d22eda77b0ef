package proxy

import (
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"postern/config"
	"postern/oidc"
	"postern/oidc/trace"
	"postern/proxy/forward"
	"postern/proxy/policy"
	"postern/session"
)

const benchClaims = `{"iss":"https://login.example/t/v2.0","aud":"client","sub":"AbCdEfGhIjKlMnOpQrStUvWxYz0123456789","oid":"a1b9d0d6-52a8-4b7e-9d53-0c1d2e3f4a01",` +
	`"tid":"7d1a4a5e-0b5c-4f0e-9a53-5f1d0c6e2b11","name":"Kari Saksbehandler","preferred_username":"kari@trygdeetaten.example","NAVident":"Z990001",` +
	`"groups":["5c2a7e0c-7c1f-4d8e-8a0b-1f0f6f1c2a01","5c2a7e0c-7c1f-4d8e-8a0b-1f0f6f1c2a02"],"sid":"0e7b1a52-3c64-4f0f-9d1b-7a52c1f2d301"}`

// door is a front door with one session in memory, and the cookie that opens it.
type door struct {
	*Handler
	cookie string
}

func newDoor(t testing.TB, upstream string, changes ...func(*Config, *Deps)) door {
	t.Helper()
	ring := testRing(t, "A")
	provider, err := oidc.NewProvider(oidc.ProviderConfig{Name: oidc.EntraID, WellKnownURL: "https://login.example/t/v2.0/.well-known/openid-configuration"}, oidc.Deps{})
	if err != nil {
		t.Fatal(err)
	}
	login := config.OpenID{Provider: "azure", ClientID: "client", ClientSecret: config.NewSecret("secret")}
	client, err := oidc.NewClient(login, provider, oidc.Deps{})
	if err != nil {
		t.Fatal(err)
	}
	sessions := session.NewManager(session.ManagerConfig{
		Session: config.Session{MaxLifetime: time.Hour, CacheTTL: 30 * time.Second}, CookieName: "postern.session", Provider: oidc.EntraID,
	}, ring, session.NewMemoryStore(0, session.Deps{}), client, session.Deps{})
	t.Cleanup(func() { _ = sessions.Close(t.Context()) })
	identity, err := oidc.RestoreIdentity(oidc.EntraID, benchClaims, "")
	if err != nil {
		t.Fatal(err)
	}
	_, cookie, err := sessions.Create(t.Context(), oidc.Grant{Identity: identity, Tokens: oidc.Tokens{
		Access: oidc.NewToken(strings.Repeat("a", 1100)), Refresh: oidc.NewToken("r"), ID: oidc.NewToken("i"), Expiry: time.Now().Add(time.Hour),
	}}, session.Login{})
	if err != nil {
		t.Fatal(err)
	}
	ingress, _ := url.Parse("http://app.localhost")
	cfg, deps := Config{
		Front:    config.Front{Ingress: []*url.URL{ingress}, CSRF: "cross-site", PathStrictness: "readings", LoginRate: 50},
		Upstream: config.Upstream{Host: upstream}, Cookie: config.Cookie{Prefix: "postern"}, OpenID: login,
		Identity: config.Identity{Headers: []string{"postern"}, MaxBytes: 6 << 10}, Limits: config.Limits{Cookies: 100, BodyBytes: 1 << 20},
	}, Deps{Client: client, Sessions: sessions, Ring: ring, Log: slog.New(slog.NewJSONHandler(struct{ io.Writer }{io.Discard}, nil)), Registerer: prometheus.NewRegistry()}
	for _, change := range changes {
		change(&cfg, &deps)
	}
	h, err := New(cfg, deps)
	if err != nil {
		t.Fatal(err)
	}
	return door{h, "postern.session=" + cookie}
}

// bareProxy is what Postern is measured against: a tuned reverse proxy that sets the same headers and knows nobody.
func bareProxy(upstream string, headers http.Header) http.Handler {
	target := &url.URL{Scheme: "http", Host: upstream}
	return &httputil.ReverseProxy{
		Rewrite: func(pr *httputil.ProxyRequest) {
			pr.SetURL(target)
			pr.Out.Host = pr.In.Host
			for name, values := range headers {
				pr.Out.Header[name] = values
			}
		},
		Transport:  &http.Transport{MaxIdleConnsPerHost: 256, DisableCompression: true, DialContext: (&net.Dialer{Timeout: 5 * time.Second}).DialContext},
		BufferPool: new(pooled),
	}
}

// pooled keeps copy buffers as the real proxy does.
type pooled struct{ sync.Pool }

func (p *pooled) Get() []byte {
	if kept, ok := p.Pool.Get().(*[32 << 10]byte); ok {
		return kept[:]
	}
	return new([32 << 10]byte)[:]
}

func (p *pooled) Put(buffer []byte) { p.Pool.Put((*[32 << 10]byte)(buffer)) }

func benchUpstream(b *testing.B) string {
	b.Helper()
	body := []byte(strings.Repeat("x", 1024))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(body) }))
	b.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

func benchRequest(cookie string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "http://app.localhost/cases/42?tab=notes", nil)
	r.RequestURI = "/cases/42?tab=notes"
	r.Header = http.Header{
		"Accept": {"text/html,application/xhtml+xml"}, "Accept-Encoding": {"gzip, br"}, "Accept-Language": {"nb,en;q=0.8"}, "User-Agent": {"Mozilla/5.0"},
		"Sec-Fetch-Site": {"same-origin"}, "Sec-Fetch-Mode": {"cors"}, "Sec-Fetch-Dest": {"empty"}, "Referer": {"http://app.localhost/"},
	}
	if cookie != "" {
		r.Header["Cookie"] = []string{"theme=dark; " + cookie}
	}
	return r
}

// BenchmarkHandler is the whole way of a request to an app on loopback and back.
func BenchmarkHandler(b *testing.B) {
	upstream := benchUpstream(b)
	d, quiet, loud := newDoor(b, upstream), newDoor(b, upstream, traced(0)), newDoor(b, upstream, traced(1))
	told := http.Header{}
	told["Authorization"] = []string{"Bearer " + strings.Repeat("a", 1100)}
	for _, name := range []string{"Auth", "Provider", "Kind", "Subject", "User", "Username", "Name", "Tenant", "Object", "Groups"} {
		told["X-Postern-"+name] = []string{"0e7b1a52-3c64-4f0f-9d1b-7a52c1f2d301"}
	}
	for name, run := range map[string]struct {
		handler http.Handler
		cookie  string
	}{
		"bare":         {bareProxy(upstream, told), d.cookie},
		"session":      {d, d.cookie},
		"anonymous":    {d, ""},
		"not recorded": {quiet, quiet.cookie},
		"recorded":     {loud, loud.cookie},
	} {
		b.Run(name, func(b *testing.B) {
			r := benchRequest(run.cookie)
			b.ReportAllocs()
			for b.Loop() {
				w := httptest.NewRecorder()
				run.handler.ServeHTTP(w, r)
				if w.Code != http.StatusOK {
					b.Fatal(w.Code)
				}
			}
		})
	}
}

// traced records a share of the requests, for nobody.
func traced(ratio float64) func(*Config, *Deps) {
	return func(_ *Config, d *Deps) {
		d.Tracer = trace.New(trace.Config{Sampler: trace.Sampler{Ratio: ratio}, Sink: nowhere{}})
	}
}

type nowhere struct{}

func (nowhere) Take(*trace.Record) {}

// BenchmarkDecision is everything but the reverse proxy: target, path, caller, policy.
func BenchmarkDecision(b *testing.B) {
	d := newDoor(b, "127.0.0.1:1")
	r, v := benchRequest(d.cookie), new(visit)
	v.ctx.Begin(r.Context(), d.ids, r.Header)
	b.ReportAllocs()
	for b.Loop() {
		if forward.CheckTarget(r, d.hosts...) != nil {
			b.Fatal("refused")
		}
		path, err := policy.Read(forward.RawPath(r))
		if err != nil {
			b.Fatal(err)
		}
		p := passage{visit: v, in: d.ingresses.match(r.Host, "", forward.RawPath(r)), policy: d.policy()}
		p.route = p.policy.Route(policy.Request{Path: path, Method: r.Method})
		if err := d.establishSession(r, &p); err != nil || p.who.identity == nil {
			b.Fatal(err)
		}
		if p.policy.Decide(&p.route, p.who.identity.Caller()).Outcome != policy.Admitted {
			b.Fatal("refused")
		}
	}
}

package proxy

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"testing"

	"postern/config"
	"postern/oidc"
)

func BenchmarkIdentityWrite(b *testing.B) {
	for name, sets := range map[string][]string{"postern": {"postern"}, "all": {"postern", "claims", "oauth2-proxy", "easyauth"}} {
		b.Run(name, func(b *testing.B) {
			w := newIdentityHeaders(config.Identity{Headers: sets, MaxBytes: 6 << 10})
			id := sessionIdentity(b, oidc.EntraID, entraClaims)
			h := http.Header{}
			b.ReportAllocs()
			for b.Loop() {
				w.write(h, id, "session", "access-token")
			}
		})
	}
}

// BenchmarkIdentityDerive is what is made once a caller.
func BenchmarkIdentityDerive(b *testing.B) {
	w := newIdentityHeaders(config.Identity{Headers: []string{"postern"}, MaxBytes: 6 << 10})
	id := sessionIdentity(b, oidc.EntraID, entraClaims)
	b.ReportAllocs()
	for b.Loop() {
		w.valuesOf(id)
	}
}

func TestIdentityWriteAllocates(t *testing.T) {
	for want, sets := range map[float64][]string{0: {"postern", "claims"}, 1: {"postern", "claims", "oauth2-proxy", "easyauth"}} {
		w := newIdentityHeaders(config.Identity{Headers: sets, MaxBytes: 6 << 10})
		id := sessionIdentity(t, oidc.EntraID, entraClaims)
		h := http.Header{}
		w.write(h, id, "session", "access-token")
		if got := testing.AllocsPerRun(100, func() { w.write(h, id, "session", "access-token") }); got > want {
			t.Errorf("%v: %v allocations; want at most %v", sets, got, want)
		}
	}
}

func TestCheckTargetAllocatesNothing(t *testing.T) {
	r := httptest.NewRequest("GET", "/api/v1/s%C3%B8k?q=1", nil)
	if n := testing.AllocsPerRun(100, func() { _, _ = checkTarget(r), rawPath(r) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkCheckTarget(b *testing.B) {
	r := httptest.NewRequest("GET", "/api/v1/orders/12345/lines?page=2", nil)
	b.ReportAllocs()
	for b.Loop() {
		if checkTarget(r) != nil {
			b.Fatal("refused")
		}
	}
}

// BenchmarkUpstream compares with a bare ReverseProxy on the same transport and buffers; neither opens a socket towards the app.
func BenchmarkUpstream(b *testing.B) {
	answer := roundTrip(func(r *http.Request) (*http.Response, error) {
		return &http.Response{
			StatusCode: 200, ProtoMajor: 1, ProtoMinor: 1, Request: r, ContentLength: 0, Body: http.NoBody,
			Header: http.Header{"Content-Type": {"text/plain"}, "Content-Length": {"0"}},
		}, nil
	})
	u := newUpstream(config.Upstream{Host: "app"}, ownForTest, func(http.ResponseWriter, *http.Request, upstreamError) { b.Error("failed") })
	u.transport = answer
	target, _ := url.Parse("http://app")
	bare := &httputil.ReverseProxy{Rewrite: func(pr *httputil.ProxyRequest) {
		pr.SetURL(target)
		pr.Out.Host = pr.In.Host
	}, Transport: answer, BufferPool: u.buffers}
	r := httptest.NewRequest("GET", "/api/v1/orders?page=2", nil)
	r.Header = twentyHeaders()
	w := &discard{header: http.Header{}}
	m := newManaged(nil)
	b.Run("bare", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			bare.ServeHTTP(w, r)
			clear(w.header)
		}
	})
	b.Run("ours", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			u.serve(w, r, outgoing{errand: preparing(func(out, _ *http.Request) { m.strip(out.Header) })})
			clear(w.header)
		}
	})
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

type discard struct{ header http.Header }

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) Write(p []byte) (int, error) { return io.Discard.Write(p) }
func (d *discard) WriteHeader(int)             {}

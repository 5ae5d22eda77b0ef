package forward

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"testing"
)

func TestCheckTargetAllocatesNothing(t *testing.T) {
	r := httptest.NewRequest("GET", "/api/v1/s%C3%B8k?q=1", nil)
	if n := testing.AllocsPerRun(100, func() { _, _ = CheckTarget(r), RawPath(r) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkCheckTarget(b *testing.B) {
	r := httptest.NewRequest("GET", "/api/v1/orders/12345/lines?page=2", nil)
	b.ReportAllocs()
	for b.Loop() {
		if CheckTarget(r) != nil {
			b.Fatal("refused")
		}
	}
}

// BenchmarkForward compares with a bare ReverseProxy on the same transport and buffers; neither opens a socket towards the app.
func BenchmarkForward(b *testing.B) {
	answer := roundTrip(func(r *http.Request) (*http.Response, error) {
		return &http.Response{
			StatusCode: 200, ProtoMajor: 1, ProtoMinor: 1, Request: r, ContentLength: 0, Body: http.NoBody,
			Header: http.Header{"Content-Type": {"text/plain"}, "Content-Length": {"0"}},
		}, nil
	})
	u := New(Server{Scheme: "http", Host: "app", Transport: answer, Withheld: NewManaged(nil)}, func(http.Header) {}, func(http.ResponseWriter, *http.Request, Error) { b.Error("failed") })
	target, _ := url.Parse("http://app")
	bare := &httputil.ReverseProxy{Rewrite: func(pr *httputil.ProxyRequest) {
		pr.SetURL(target)
		pr.Out.Host = pr.In.Host
	}, Transport: answer, BufferPool: u.buffers}
	r := httptest.NewRequest("GET", "/api/v1/orders?page=2", nil)
	r.Header = twentyHeaders()
	w := &discard{header: http.Header{}}
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
			u.Serve(w, r, Outgoing{})
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

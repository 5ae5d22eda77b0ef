package egress

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
	"time"

	"postern/obo"
	"postern/oidc"
)

// BenchmarkEgress is the whole way of a call whose user and token are known, beside a reverse proxy that only sets a token.
func BenchmarkEgress(b *testing.B) {
	body := []byte(strings.Repeat("x", 1024))
	target := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(body) }))
	b.Cleanup(target.Close)
	at, err := url.Parse(target.URL)
	if err != nil {
		b.Fatal(err)
	}
	user, err := oidc.RestoreIdentity(oidc.EntraID, `{"sub":"s-1","oid":"o-1"}`, "")
	if err != nil {
		b.Fatal(err)
	}
	s := newSidecar(b, func(_ *Config, d *Deps) { d.Users, d.Tokens = knows{user}, cached(strings.Repeat("t", 1100)) }, orders(target.URL))
	bare := &httputil.ReverseProxy{
		Rewrite: func(pr *httputil.ProxyRequest) {
			pr.SetURL(at)
			pr.Out.Header["Authorization"] = []string{"Bearer " + strings.Repeat("t", 1100)}
		},
		Transport: &http.Transport{MaxIdleConnsPerHost: 256, DisableCompression: true, DialContext: (&net.Dialer{Timeout: 5 * time.Second}).DialContext},
	}
	for name, handler := range map[string]http.Handler{"bare": bare, "egress": s.handler} {
		b.Run(name, func(b *testing.B) {
			r := httptest.NewRequest(http.MethodGet, "http://127.0.0.1:3003/orders/42?lines=2", nil)
			r.RequestURI = "/orders/42?lines=2"
			r.Header = http.Header{
				"Accept": {"application/json"}, "User-Agent": {"app/1"}, "Authorization": {"Bearer " + strings.Repeat("a", 1100)}, "X-Postern-User": {"A123456"},
				"Traceparent": {"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}, "Cookie": {"a=b"},
			}
			b.ReportAllocs()
			for b.Loop() {
				w := httptest.NewRecorder()
				handler.ServeHTTP(w, r)
				if w.Code != http.StatusOK {
					b.Fatal(w.Code, w.Body)
				}
				_, _ = io.Copy(io.Discard, w.Body)
			}
		})
	}
}

// knows is a verifier that has seen every token.
type knows struct{ user *oidc.Identity }

func (k knows) Verify(context.Context, string) (*oidc.Identity, error) { return k.user, nil }

// cached is a broker that has every token.
type cached string

func (c cached) Machine(context.Context, obo.Request) (obo.Token, error) {
	return obo.Token{Access: oidc.NewToken(string(c)), Cached: true}, nil
}

func (c cached) Exchange(context.Context, obo.Request) (obo.Token, error) {
	return obo.Token{Access: oidc.NewToken(string(c)), Cached: true}, nil
}

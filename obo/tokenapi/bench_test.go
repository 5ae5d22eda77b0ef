package tokenapi

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"postern/obo"
	"postern/oidc"
)

// A token as Entra ID makes them, about.
var benchToken = strings.Repeat("eyJ0eXAiOiJKV1Qi", 94)

// sink is a ResponseWriter that keeps nothing.
type sink struct{ header http.Header }

func (s *sink) Header() http.Header         { return s.header }
func (s *sink) Write(b []byte) (int, error) { return len(b), nil }
func (s *sink) WriteHeader(int)             {}

type body struct{ strings.Reader }

func (*body) Close() error { return nil }

// constant is what the handlers are measured against: a handler that reads the request and answers the same bytes each time.
func constant(answer []byte) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(answer)
	})
}

type benchCase struct {
	name, path, body string
	answer           []byte
}

func benchCases(b *testing.B) (http.Handler, []benchCase) {
	b.Helper()
	token := obo.Token{Access: oidc.NewToken(benchToken), ExpiresIn: 3599, Cached: true}
	looked := oidc.Introspection{JSON: []byte(`{"active":true,"iss":"https://login.example/v2.0","pad":"` + strings.Repeat("x", 900) + `"}`)}
	h := New(Config{}, Deps{
		Broker:       &stillBroker{token},
		Introspector: introspector(func(string, string) (oidc.Introspection, error) { return looked, nil }),
		Registerer:   prometheus.NewRegistry(),
	})
	granted := appendToken(nil, benchToken, 3599)
	return h, []benchCase{
		{"token", pathToken, `{"identity_provider":"entra_id","target":"api://cluster.namespace.app/.default"}`, granted},
		{"exchange", pathExchange, `{"identity_provider":"tokenx","target":"cluster:namespace:app","user_token":"` + benchToken + `"}`, granted},
		{"introspect", pathIntrospect, `{"identity_provider":"entra_id","token":"` + benchToken + `"}`, looked.JSON},
	}
}

type stillBroker struct{ token obo.Token }

func (s *stillBroker) Machine(_ context.Context, _ obo.Request) (obo.Token, error) {
	return s.token, nil
}

func (s *stillBroker) Exchange(_ context.Context, _ obo.Request) (obo.Token, error) {
	return s.token, nil
}

// reportCPU adds the processor's time to the wall's: the machine may have other things to do.
func reportCPU(b *testing.B) {
	spent := func() int64 {
		var used syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
			b.Fatal(err)
		}
		return used.Utime.Nano() + used.Stime.Nano()
	}
	before := spent()
	b.Cleanup(func() { b.ReportMetric(float64(spent()-before)/float64(b.N), "cpu-ns/op") })
}

// The handlers alone, beside one that answers a constant of the same size.
func BenchmarkHandler(b *testing.B) {
	h, cases := benchCases(b)
	for _, tc := range cases {
		for name, handler := range map[string]http.Handler{tc.name: h, tc.name + "/constant": constant(tc.answer)} {
			b.Run(name, func(b *testing.B) {
				r := httptest.NewRequestWithContext(b.Context(), http.MethodPost, tc.path, http.NoBody)
				r.RemoteAddr, r.Host = "127.0.0.1:41000", "127.0.0.1:3000"
				r.Header.Set("Content-Type", contentJSON)
				read, w := new(body), &sink{http.Header{}}
				r.Body, r.ContentLength = read, int64(len(tc.body))
				b.ReportAllocs()
				reportCPU(b)
				for b.Loop() {
					read.Reset(tc.body)
					clear(w.header)
					handler.ServeHTTP(w, r)
				}
			})
		}
	}
}

// The same behind a server on a connection that stays open; the client's own work is in both.
func BenchmarkServed(b *testing.B) {
	h, cases := benchCases(b)
	for _, tc := range cases {
		for name, handler := range map[string]http.Handler{tc.name: h, tc.name + "/constant": constant(tc.answer)} {
			b.Run(name, func(b *testing.B) {
				server := httptest.NewServer(handler)
				defer server.Close()
				client := server.Client()
				b.ReportAllocs()
				reportCPU(b)
				for b.Loop() {
					resp, err := client.Post(server.URL+tc.path, contentJSON, strings.NewReader(tc.body))
					if err != nil || resp.StatusCode != http.StatusOK {
						b.Fatal(resp, err)
					}
					_, _ = io.Copy(io.Discard, resp.Body)
					resp.Body.Close()
				}
			})
		}
	}
}

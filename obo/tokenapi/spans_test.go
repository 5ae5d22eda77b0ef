package tokenapi

import (
	"net/http/httptest"
	"strings"
	"testing"

	"postern/oidc/trace"
)

// recorded keeps the names of spans.
type recorded struct{ names []string }

func (r *recorded) Take(span *trace.Record) { r.names = append(r.names, span.Name) }

// What a caller makes up is in no name of a span.
func TestNamesOfSpansAreOurs(t *testing.T) {
	t.Parallel()
	sink := &recorded{}
	w := newWorld(t, func(_ *Config, d *Deps) {
		d.Tracer = trace.New(trace.Config{Sampler: trace.Sampler{Ratio: 1}, Sink: sink})
	})
	for _, asked := range [][2]string{{"POST", pathToken}, {"MADEUP", pathToken}, {"POST", "/made/up"}} {
		r := httptest.NewRequest(asked[0], "http://127.0.0.1"+asked[1], strings.NewReader(`{"identity_provider":"entra_id","target":"x"}`))
		r.RemoteAddr = "127.0.0.1:1"
		r.Header.Set("Content-Type", "application/json")
		w.ServeHTTP(httptest.NewRecorder(), r)
	}
	if got := strings.Join(sink.names, ", "); got != "POST /api/v1/token, token API, token API" {
		t.Error(got)
	}
}

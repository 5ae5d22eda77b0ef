package proxy

import (
	"net/http/httptest"
	"testing"

	"postern/oidc/trace"
)

// spans keeps what was recorded.
type spans struct{ all []*trace.Record }

func (s *spans) Take(r *trace.Record) { s.all = append(s.all, r) }

// S-37: a span tells of a path what a log line tells, and of a method only what is one.
func TestS37SpansTellNoMoreThanLogLines(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{
		"/a/01017012345/b": "/a/***********/b",
		"/a/eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln/b": "/a/[token]/b",
		"/a/%C2%9B31m": "/a/**31m",
	} {
		sink := &spans{}
		d := newDoor(t, "127.0.0.1:1", func(_ *Config, deps *Deps) {
			deps.Tracer = trace.New(trace.Config{Sampler: trace.Sampler{Ratio: 1}, Sink: sink})
		})
		d.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("MADEUP", "http://app.localhost"+path, nil))
		told := map[string]string{}
		for _, span := range sink.all {
			for _, a := range span.Attributes {
				told[a.Key] += a.Text
			}
		}
		if told["url.path"] != want || told["http.request.method"] != "_OTHER" {
			t.Errorf("%s: %v", path, told)
		}
	}
}

package correlation

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"
)

const traceID = "4bf92f3577b34da6a3ce929d0e0e4736"

// S-37: a request id is taken over only if it is one.
func TestS37RequestID(t *testing.T) {
	t.Parallel()
	ids := NewRequestIDs()
	for given, taken := range map[string]bool{
		"abc-123_X.y": true, "": false, strings.Repeat("a", 64): true, strings.Repeat("a", 65): false,
		"a b": false, "a\"b": false, "<x>": false, "æ": false, "a\nb": false, "01017012345": false, "x-01017012345-x": false, "0101701234": true, "0101701234-5": true,
	} {
		if got := ids.Of(http.Header{HeaderRequestID: {given}}); (got == given) != taken || !validRequestID(got) {
			t.Errorf("given %q, used %q", given, got)
		}
	}
	if got := ids.Of(http.Header{HeaderRequestID: {"a", "b"}}); got == "a" || got == "b" {
		t.Error("one of two ids was taken")
	}
	if a, b := ids.Of(nil), ids.Of(nil); a == b {
		t.Errorf("two requests have the id %q", a)
	}
}

func TestMadeTraceIDsHoldNobodysNumber(t *testing.T) {
	t.Parallel()
	form, person := regexp.MustCompile(`^[0-9a-f]{32}$`), regexp.MustCompile(`[0-9]{11}`)
	for range 2000 { // one in nine random ones has such a run
		if id := newTraceID(); !form.MatchString(id) || person.MatchString(id) {
			t.Fatalf("made %q", id)
		}
	}
}

// lines runs write with a logger as the program has it, and returns what was written.
func lines(t *testing.T, write func(log *slog.Logger)) (all []map[string]any) {
	t.Helper()
	var out bytes.Buffer
	write(slog.New(NewHandler(slog.NewJSONHandler(&out, nil))))
	for line := range bytes.Lines(out.Bytes()) {
		var one map[string]any
		if err := json.Unmarshal(line, &one); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		all = append(all, one)
	}
	return all
}

func request(parent context.Context, header http.Header) *Context {
	c := new(Context)
	c.Begin(parent, NewRequestIDs(), header)
	return c
}

func TestEveryLineOfARequestCarriesItsIDs(t *testing.T) {
	t.Parallel()
	ctx := request(t.Context(), http.Header{HeaderRequestID: {"r-1"}, "Traceparent": {"00-" + traceID + "-00f067aa0ba902b7-01"}})
	derived, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Hour)
	defer cancel()
	got := lines(t, func(log *slog.Logger) {
		log.InfoContext(ctx, "first", "n", 1)
		log.With("with", 1).LogAttrs(derived, slog.LevelWarn, "second", slog.Int("n", 2))
		log.ErrorContext(Detach(context.Background(), derived), "third", "n", 3)
	})
	if len(got) != 3 {
		t.Fatalf("%d lines", len(got))
	}
	for i, line := range got {
		if line["request_id"] != "r-1" || line["trace_id"] != traceID || line["n"] != float64(i+1) {
			t.Errorf("%v", line)
		}
	}
}

func TestMadeIDsStayTheSame(t *testing.T) {
	t.Parallel()
	ctx := request(t.Context(), nil)
	got := lines(t, func(log *slog.Logger) {
		log.InfoContext(ctx, "first")
		log.InfoContext(Detach(t.Context(), ctx), "second")
	})
	if got[0]["request_id"] != got[1]["request_id"] || got[0]["trace_id"] != got[1]["trace_id"] || got[0]["request_id"] != ctx.RequestID() || got[0]["trace_id"] != ctx.TraceID() {
		t.Errorf("%v", got)
	}
}

func TestLinesOfNoRequestHaveNoIDs(t *testing.T) {
	t.Parallel()
	work := context.Background()
	if Detach(work, t.Context()) != work {
		t.Error("ids of nothing")
	}
	for _, line := range lines(t, func(log *slog.Logger) { log.InfoContext(t.Context(), "start") }) {
		if len(line) != 3 { // time, level and message
			t.Errorf("%v", line)
		}
	}
}

func TestDetachedWorkOutlivesItsRequest(t *testing.T) {
	t.Parallel()
	parent, cancel := context.WithCancel(t.Context())
	ctx := Detach(context.Background(), request(parent, nil))
	cancel()
	if err := ctx.Err(); err != nil {
		t.Error(err)
	}
}

// What is not written costs nothing, whatever the request carries.
func TestARequestWithoutALineCostsNothing(t *testing.T) {
	ids, header := NewRequestIDs(), http.Header{HeaderRequestID: {"r-1"}, "Traceparent": {"00-" + traceID + "-00f067aa0ba902b7-01"}}
	log := slog.New(NewHandler(slog.DiscardHandler))
	c, parent := new(Context), t.Context()
	if n := testing.AllocsPerRun(100, func() {
		c.Begin(parent, ids, header)
		log.LogAttrs(c, slog.LevelDebug, "request")
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

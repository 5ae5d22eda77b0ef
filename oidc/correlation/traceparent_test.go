package correlation

import (
	"net/http"
	"strings"
	"testing"
)

const someTraceParent = "00-" + traceID + "-00f067aa0ba902b7-01"

func TestTraceparentIsReadStrictly(t *testing.T) {
	t.Parallel()
	for text, valid := range map[string]bool{
		someTraceParent:                                          true,
		"00-" + traceID + "-00f067aa0ba902b7-00":                 true,
		"cc-" + traceID + "-00f067aa0ba902b7-01-future":          true,
		"00-" + traceID + "-00f067aa0ba902b7-01-future":          false,
		"cc-" + traceID + "-00f067aa0ba902b7-01future":           false,
		"ff-" + traceID + "-00f067aa0ba902b7-01":                 false,
		strings.ToUpper(someTraceParent):                         false,
		"00-" + strings.Repeat("0", 32) + "-00f067aa0ba902b7-01": false,
		"00-" + traceID + "-0000000000000000-01":                 false,
		"00-" + traceID + "-00f067aa0ba902b7-0g":                 false,
		"00-" + traceID + "_00f067aa0ba902b7-01":                 false,
		someTraceParent[:54]:                                     false, "": false,
		"cc-" + traceID + "-00f067aa0ba902b7-01-" + strings.Repeat("x", 1000): false,
	} {
		want := ""
		if valid {
			want = traceID
		}
		if got := TraceID(http.Header{"Traceparent": {text}}); got != want {
			t.Errorf("%q: %q", text, got)
		}
	}
	if got := TraceID(http.Header{"Traceparent": {someTraceParent, someTraceParent}}); got != "" {
		t.Errorf("of two parents %q is taken", got)
	}
}

func FuzzTraceparent(f *testing.F) {
	f.Add(someTraceParent)
	f.Add("ff--")
	f.Fuzz(func(t *testing.T, text string) {
		id := TraceID(http.Header{"Traceparent": {text}})
		if id != "" && (len(id) != 32 || !strings.Contains(text, id) || id != strings.ToLower(id)) {
			t.Errorf("%q gives %q", text, id)
		}
	})
}

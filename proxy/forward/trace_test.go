package forward

import (
	"net/http/httptest"
	"strings"
	"testing"
)

// S-37: no run of eleven digits, the length of a national identity number, is ever written.
func TestS37DigitsAreMasked(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"/p/01017012345":         "/p/***********",
		"/p/0101701234":          "/p/0101701234",
		"/a/01017012345/b/12":    "/a/***********/b/12",
		"012345678901234":        "***************",
		"":                       "",
		"/x%3001017012345":       "/x%*************",
		"a01017012345b010170123": "a***********b010170123",
	} {
		if got := MaskDigits(text); got != want {
			t.Errorf("MaskDigits(%q) = %q, want %q", text, got, want)
		}
	}
	if got := MaskDigits("/" + strings.Repeat("a", 501) + "01017012345"); strings.Contains(got, "0101") {
		t.Errorf("digits survive the cut: %s", got)
	}
	if got := MaskDigits(strings.Repeat("x", 5000)); len(got) > 600 {
		t.Errorf("%d bytes of a long text", len(got))
	}
}

// S-37: a request id is taken over only if it is one.
func TestS37RequestID(t *testing.T) {
	t.Parallel()
	ids := NewRequestIDs()
	for given, taken := range map[string]bool{
		"abc-123_X.y": true, "": false, strings.Repeat("a", 64): true, strings.Repeat("a", 65): false,
		"a b": false, "a\"b": false, "<x>": false, "æ": false,
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header[HeaderRequestID] = []string{given}
		if got := ids.Of(r); (got == given) != taken || !validRequestID(got) {
			t.Errorf("given %q, used %q", given, got)
		}
	}
	r := httptest.NewRequest("GET", "/", nil)
	r.Header[HeaderRequestID] = []string{"a", "b"}
	if got := ids.Of(r); got == "a" || got == "b" {
		t.Error("one of two ids was taken")
	}
}

func TestTraceID(t *testing.T) {
	t.Parallel()
	const id = "4bf92f3577b34da6a3ce929d0e0e4736"
	for parent, want := range map[string]string{
		"00-" + id + "-00f067aa0ba902b7-01": id, "": "", "00-short": "", "00-" + strings.ToUpper(id) + "-00f067aa0ba902b7-01": "",
		"00-" + id + "x00f067aa0ba902b7-01": "",
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Traceparent", parent)
		if got := TraceID(r); got != want {
			t.Errorf("TraceID(%q) = %q", parent, got)
		}
	}
}

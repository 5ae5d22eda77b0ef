package forward

import (
	"strings"
	"testing"
)

// S-37: no run of eleven digits, the length of a national identity number, is ever written.
func TestS37DigitsAreMasked(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"/p/01017012345":          "/p/***********",
		"/p/0101701234":           "/p/0101701234",
		"/a/01017012345/b/12":     "/a/***********/b/12",
		"012345678901234":         "***************",
		"":                        "",
		"/x%3001017012345":        "/x%*************",
		"a01017012345b010170123":  "a***********b010170123",
		"/\u009b31m\u0085\u00a0é": "/**31m**\u00a0é",
		"/r/eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln/01017012345": "/r/[token]/***********",
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

package oidc

import "testing"

// S-37: a token is in no log line, wherever somebody has put it.
func TestS37TokensAreHidden(t *testing.T) {
	t.Parallel()
	const token = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJrYXJpIn0.c2lnbmF0dXJl_-"
	for text, want := range map[string]string{
		"":                                "",
		"/cases/42":                       "/cases/42",
		"/reset/" + token:                 "/reset/[token]",
		"/reset/" + token + "/x?" + token: "/reset/[token]/x?[token]",
		token + token:                     "[token]",
		token[:30]:                        "[token]", // the header alone names a key, and a cut one is still a part
		"/eyJ/heyJude":                    "/eyJ/heyJude",
		"a eyJ":                           "a eyJ",
	} {
		if got := HideTokens(text); got != want {
			t.Errorf("HideTokens(%q) = %q, want %q", text, got, want)
		}
	}
	if got := CleanText("bad target " + token); got != "bad target [token]" {
		t.Errorf("CleanText: %q", got)
	}
}

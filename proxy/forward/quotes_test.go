package forward

import "testing"

func TestRow80TextsOfLibrariesQuoteNothing(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`net/http: HTTP/1.x transport connection broken: malformed MIME header line: Authorization secret`: "net/http: HTTP/1.x transport connection broken: malformed MIME header line (…)",
		`malformed MIME header initial line:  secret`:                                                      "malformed MIME header initial line (…)",
		`malformed MIME header: missing colon: "secret"`:                                                   "malformed MIME header (…)",
		`malformed HTTP response "secret"`:                                                                 "malformed HTTP response (…)",
		`too many transfer encodings: ["secret" "chunked"]`:                                                "too many transfer encodings (…)",
		`http2: server sent GOAWAY; ErrCode=NO_ERROR, debug="secret"`:                                      "http2: server sent GOAWAY; ErrCode=NO_ERROR, debug (…)",
		"dial tcp 127.0.0.1:1: connect: connection refused":                                                "dial tcp 127.0.0.1:1: connect: connection refused",
		"net/http: server response headers exceeded 1048576 bytes; aborted":                                "net/http: server response headers exceeded 1048576 bytes; aborted",
		"two\nlines": "two lines",
		"":           "",
	} {
		if got := WithoutQuotes(text); got != want {
			t.Errorf("%q: %q; want %q", text, got, want)
		}
	}
}

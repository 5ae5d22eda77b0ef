package correlation

import (
	"encoding/hex"
	"net/http"
)

// TraceParent is what a traceparent says. Whoever sends it is believed as far as ids go: they only find lines (S-57).
type TraceParent struct {
	Trace   [16]byte
	Span    [8]byte
	Sampled bool
}

// ReadTraceParent reads the one traceparent of a request (W3C Trace Context §3.2). Of versions to come it reads what version 00 has.
func ReadTraceParent(header http.Header) (p TraceParent, valid bool) {
	given := header["Traceparent"]
	if len(given) != 1 || len(given[0]) < 55 {
		return p, false
	}
	text := given[0]
	switch {
	case text[2] != '-' || text[35] != '-' || text[52] != '-':
		return p, false
	case text[:2] == "00" && len(text) != 55, len(text) > 55 && text[55] != '-', len(text) > 512:
		return p, false
	}
	var version, flags [1]byte
	ok := unhex(version[:], text[:2]) && unhex(p.Trace[:], text[3:35]) && unhex(p.Span[:], text[36:52]) && unhex(flags[:], text[53:55])
	if !ok || version[0] == 0xff || p.Trace == [16]byte{} || p.Span == [8]byte{} {
		return TraceParent{}, false
	}
	p.Sampled = flags[0]&1 != 0
	return p, true
}

// unhex is strict about the case, as the standard is.
func unhex(to []byte, text string) bool {
	for i := range len(text) {
		if 'A' <= text[i] && text[i] <= 'F' {
			return false
		}
	}
	_, err := hex.Decode(to, []byte(text))
	return err == nil
}

package correlation

import (
	"crypto/rand"
	"encoding/hex"
	"net/http"
)

// TraceID is the trace id of a W3C traceparent in hexadecimal, or "" without a well-formed one.
func TraceID(header http.Header) string {
	if _, valid := ReadTraceParent(header); !valid {
		return ""
	}
	return header["Traceparent"][0][3:35]
}

// newTraceID makes one for a request that came without. It has no run of eleven digits, so that whoever looks for people in a log finds none in it.
func newTraceID() string {
	for {
		var id [16]byte
		_, _ = rand.Read(id[:]) // never fails
		if text := hex.EncodeToString(id[:]); validRequestID(text) {
			return text
		}
	}
}

package forward

import (
	"crypto/rand"
	"hash/maphash"
	"net/http"
	"sync/atomic"
)

// HeaderRequestID carries the id of a request, from whoever is before us to whoever is behind.
const HeaderRequestID = "X-Request-Id"

// RequestIDs makes ids that no other process makes, and that do not tell how many there were. They are no secrets: a read of randomness
// for each request would cost as much as finding the session.
type RequestIDs struct {
	prefix string
	seed   maphash.Seed
	made   atomic.Uint64
}

// NewRequestIDs begins a series of its own.
func NewRequestIDs() *RequestIDs {
	return &RequestIDs{prefix: rand.Text()[:13], seed: maphash.MakeSeed()}
}

// Of takes over a well-formed id of the caller, or makes one (S-37).
func (ids *RequestIDs) Of(r *http.Request) string {
	if given := r.Header[HeaderRequestID]; len(given) == 1 && validRequestID(given[0]) {
		return given[0]
	}
	var id [26]byte
	n := maphash.Comparable(ids.seed, ids.made.Add(1))
	for i := copy(id[:], ids.prefix); i < len(id); i++ {
		id[i] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"[n&31] // RFC 4648 §6
		n >>= 5
	}
	return string(id[:])
}

func validRequestID(id string) bool {
	if len(id) == 0 || len(id) > 64 || MaskDigits(id) != id { // a personal number is in no log line
		return false
	}
	for i := range len(id) {
		switch c := id[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '.', c == '_', c == '-':
		default:
			return false
		}
	}
	return true
}

// MaskDigits hides every run of eleven digits or more, the length of a Norwegian national identity number (S-37), and cuts long texts.
func MaskDigits(text string) string {
	const run, longest = 11, 512
	var masked []byte
	for i := 0; i < len(text); {
		end := i
		for end < len(text) && '0' <= text[end] && text[end] <= '9' {
			end++
		}
		if end-i >= run {
			if masked == nil {
				masked = []byte(text)
			}
			for j := i; j < end; j++ {
				masked[j] = '*'
			}
		}
		i = max(end, i+1)
	}
	if masked != nil {
		text = string(masked)
	}
	if len(text) > longest { // not before: a cut number is still a person's
		text = text[:longest] + "…"
	}
	return text
}

// TraceID reads the trace id of a W3C traceparent (version 00), or "".
func TraceID(r *http.Request) string {
	parent := r.Header.Get("Traceparent")
	if len(parent) < 55 || parent[2] != '-' || parent[35] != '-' {
		return ""
	}
	for _, c := range parent[3:35] {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return ""
		}
	}
	return parent[3:35]
}

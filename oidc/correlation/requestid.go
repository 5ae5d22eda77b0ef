package correlation

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
func (ids *RequestIDs) Of(header http.Header) string {
	if id, given := GivenRequestID(header); given {
		return id
	}
	var id [26]byte
	n := maphash.Comparable(ids.seed, ids.made.Add(1))
	for i := copy(id[:], ids.prefix); i < len(id); i++ {
		id[i] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"[n&31] // RFC 4648 §6
		n >>= 5
	}
	return string(id[:])
}

// GivenRequestID is the caller's own id, if there is one and it is well-formed.
func GivenRequestID(header http.Header) (id string, given bool) {
	if values := header[HeaderRequestID]; len(values) == 1 && validRequestID(values[0]) {
		return values[0], true
	}
	return "", false
}

// validRequestID says whether an id may be written to a log: it is short, on one line, and has no run of eleven digits, as a person's number has.
func validRequestID(id string) bool {
	const longest, personal = 64, 11
	if len(id) == 0 || len(id) > longest {
		return false
	}
	digits := 0
	for i := range len(id) {
		switch c := id[i]; {
		case '0' <= c && c <= '9':
			if digits++; digits == personal {
				return false
			}
			continue
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', c == '.', c == '_', c == '-':
		default:
			return false
		}
		digits = 0
	}
	return true
}

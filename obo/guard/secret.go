package guard

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"strings"
)

const authorization = "Authorization"

func (g *Guard) hasSecret(header http.Header) bool {
	if g.secret == nil {
		return true
	}
	given, ok := g.given(header)
	return ok && SameSecret(g.secret(), given)
}

// SameSecret compares hashes, so that neither the bytes nor the length of the secret show in the time it takes. An empty secret is nobody's.
func SameSecret(secret, given string) bool {
	want, got := sha256.Sum256([]byte(secret)), sha256.Sum256([]byte(given))
	return secret != "" && subtle.ConstantTimeCompare(want[:], got[:]) == 1
}

// given is the secret that a request brings. Two headers are none: who knows which one somebody else would read.
func (g *Guard) given(header http.Header) (string, bool) {
	values := header[g.header]
	if len(values) != 1 {
		return "", false
	}
	if g.header != authorization {
		return values[0], true
	}
	scheme, secret, ok := strings.Cut(values[0], " ") // RFC 6750 §2.1; the scheme in any case (RFC 9110 §11.1)
	return strings.TrimLeft(secret, " "), ok && strings.EqualFold(scheme, "Bearer")
}

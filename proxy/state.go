package proxy

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"strings"

	"postern/session"
)

// statePurpose separates the authentication of state values from every other use of the key ring.
const statePurpose = "state"

// newState makes a "state" (RFC 6749 §10.12): 256 random bits, a marker, and a code that shows that it is one of ours. The binding to the
// browser is the login cookie; the code only tells "the cookie got lost" from "somebody made this up", so that a lost login can be started
// anew, once: again marks that second try.
func newState(ring *session.KeyRing, again bool) string {
	var random [33]byte
	_, _ = rand.Read(random[:32]) // never fails (crypto/rand)
	if again {
		random[32] = 1
	}
	value := base64.RawURLEncoding.EncodeToString(random[:])
	return value + "." + stateCode(ring, value)
}

// readState says whether a state is one of ours, and whether it was already the second try.
func readState(ring *session.KeyRing, state string) (ours, again bool) {
	value, code, found := strings.Cut(state, ".")
	if !found || len(value) != base64.RawURLEncoding.EncodedLen(33) {
		return false, false
	}
	random, err := base64.RawURLEncoding.Strict().DecodeString(value)
	if err != nil || subtle.ConstantTimeCompare([]byte(code), []byte(stateCode(ring, value))) != 1 {
		return false, false
	}
	return true, random[32] == 1
}

func stateCode(ring *session.KeyRing, value string) string {
	const chars = 22 // at least 88 bits in any alphabet of 16 characters or more
	return ring.Hash(statePurpose, value)[:chars]
}

// stateTag names the cookie of a pending login. It says nothing that the state in the URL does not.
func stateTag(state string) string { return state[:min(10, len(state))] }

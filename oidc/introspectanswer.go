package oidc

import (
	"maps"
	"slices"
	"strings"
)

// activeAnswer is {"active":true, and every claim as it came: numbers keep all their digits. Of claims that are named like members of ours
// ours win (S-45).
func activeAnswer(jwt compactJWT) []byte {
	answer := append(make([]byte, 0, len(jwt.payload)+16), `{"active":true`...)
	for name := range jwt.claims {
		if isOurMember(name) {
			return appendClaims(answer, jwt.claims)
		}
	}
	inside := strings.TrimSpace(jwt.payload)
	answer = append(answer, ',') // there is at least "iss"
	return append(answer, inside[1:]...)
}

// isOurMember folds case as encoding/json does: a client in Go would take "Active" for ours.
func isOurMember(name string) bool {
	return strings.EqualFold(name, "active") || strings.EqualFold(name, "error")
}

func appendClaims(answer []byte, claims members) []byte {
	for _, name := range slices.Sorted(maps.Keys(claims)) {
		if !isOurMember(name) {
			answer = appendMember(append(answer, ','), name, claims[name])
		}
	}
	return append(answer, '}')
}

func inactive(f *flaw) Introspection {
	answer := appendText([]byte(`{"active":false,"error":`), f.text)
	return Introspection{JSON: append(answer, '}'), Reason: f.reason}
}

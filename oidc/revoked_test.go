package oidc

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// S-09: a token that ended with its session is not accepted again, known or not; others are.
func TestS09RevokedTokenIsRefusedUntilItWouldHaveEnded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		i := newIssuance(t, "entra user")
		known, other := i.mint(nil), i.mint(map[string]any{"uti": "other"})
		fresh := i.mint(map[string]any{"uti": "fresh"})
		verify := func(raw string) error {
			_, err := i.verifier.Verify(t.Context(), raw)
			return err
		}
		must(t, verify(known))
		for _, raw := range []string{known, fresh} {
			i.verifier.deps.Revocations.AddHash(TokenHash(NewToken(raw)), time.Now().Add(time.Hour))
			wantInvalid(t, verify(raw), "ended by a logout")
		}
		must(t, verify(other))
		i.verifier.deps.Revocations.AddHash(TokenHash(NewToken("long ago")), time.Now().Add(-time.Hour))
		if n := i.verifier.deps.Revocations.count.Load(); n != 2 {
			t.Errorf("%d tokens are remembered", n)
		}
	})
}

// S-09: ECDSA signatures can be written in two ways, and neither brings a token back.
func TestS09AnotherSpellingOfARevokedTokenIsRevokedToo(t *testing.T) {
	t.Parallel()
	r := NewRevocations(nil)
	r.AddHash(TokenHash(NewToken("header.payload.signature")), time.Now().Add(time.Hour))
	r.AddHash(TokenHash(NewToken("opaque")), time.Now().Add(time.Hour))
	for raw, want := range map[string]bool{
		"header.payload.signature": true, "header.payload.another": true, " header.payload.signature\n": true, "header.payload.": true,
		strings.Repeat(" ", 20<<10) + "header.payload.signature": true, "opaque": true, "opaque ": true,
		"header.other.signature": false, "header.payload.a.b": false, "opaque.": false, "": false,
	} {
		if r.Has(raw) != want {
			t.Errorf("%.40q: %v", raw, !want)
		}
	}
}

func TestRevokedTokensAreBounded(t *testing.T) {
	t.Parallel()
	r := NewRevocations(nil)
	key := func(n int) tokenHash { return tokenHash{byte(n), byte(n >> 8), byte(n >> 16)} }
	has := func(hash tokenHash) bool { _, found := r.until[hash]; return found }
	for n := range maxRevoked + 10 {
		r.add(key(n), int64(1000+n), 0)
	}
	if len(r.until) > maxRevoked || has(key(0)) || !has(key(maxRevoked+9)) {
		t.Errorf("%d entries", len(r.until))
	}
	r.add(tokenHash{1, 2, 3, 4}, 1<<40, 1<<30) // time has passed: the others have ended
	if len(r.until) != 1 {
		t.Errorf("%d entries after their end", len(r.until))
	}
}

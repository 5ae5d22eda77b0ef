package oidc

import (
	"crypto/sha256"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// hashes are both ways to make a key.
func hashes() map[string]*verifiedHash {
	gmac, approved := newVerifiedHash(), newVerifiedHash()
	approved.mac = nil // as with GODEBUG=fips140=only
	return map[string]*verifiedHash{"GMAC": gmac, "HMAC": approved}
}

// Whatever a token differs in is in its key: nobody is taken for the other.
func TestKeyCoversEveryByteOfAToken(t *testing.T) {
	t.Parallel()
	i := newIssuance(t, "entra user")
	token := i.mint(map[string]any{"x": strings.Repeat("x", 9<<10)})
	settings := sha256.Sum256([]byte("settings"))
	for name, hash := range hashes() {
		seen := map[verifiedKey]string{hash.of(&settings, token): "the token"}
		add := func(what string, settings [sha256.Size]byte, other string) {
			key := hash.of(&settings, other)
			if before, taken := seen[key]; taken {
				t.Errorf("%s: %s has the key of %s", name, what, before)
			}
			seen[key] = what
		}
		for at := range token {
			changed := []byte(token)
			changed[at] ^= 1
			add(fmt.Sprintf("another byte %d", at), settings, string(changed))
		}
		for _, length := range []int{0, 1, 15, 16, 17, len(token) - 17, len(token) - 1} {
			add(fmt.Sprintf("the first %d bytes", length), settings, token[:length])
		}
		for _, more := range []string{"\x00", "A", strings.Repeat("\x00", 16)} {
			add(fmt.Sprintf("%d bytes more", len(more)), settings, token+more)
			add(fmt.Sprintf("%d bytes before it", len(more)), settings, more+token)
		}
		for at := range settings {
			other := settings
			other[at] ^= 1
			add(fmt.Sprintf("other settings in byte %d", at), other, token)
		}
		if again := hash.of(&settings, strings.Clone(token)); seen[again] != "the token" {
			t.Errorf("%s: the same token has another key", name)
		}
	}
}

// Keys mean nothing outside of their process: whoever knows one finds no tokens for another.
func TestKeysAreOfOneProcess(t *testing.T) {
	t.Parallel()
	settings := sha256.Sum256(nil)
	one, other := hashes(), hashes()
	for name := range one {
		if one[name].of(&settings, "token") == other[name].of(&settings, "token") {
			t.Errorf("%s: two secrets make one key", name)
		}
	}
}

func TestKeysAreMadeConcurrently(t *testing.T) {
	t.Parallel()
	hash, settings := newVerifiedHash(), sha256.Sum256(nil)
	var wait sync.WaitGroup
	for n := range 8 {
		token := strings.Repeat(strconv.Itoa(n), 1000+n)
		want := hash.of(&settings, token)
		wait.Go(func() {
			for range 1000 {
				if hash.of(&settings, token) != want {
					t.Errorf("token %d has two keys", n)
					return
				}
			}
		})
	}
	wait.Wait()
}

package proxy

import (
	"strings"
	"testing"

	"postern/config"
	"postern/session"
)

func testRing(t testing.TB, fill string) *session.KeyRing {
	t.Helper()
	ring, err := session.NewKeyRing([]config.Secret{config.NewSecret(strings.Repeat(fill, 42) + "A=")})
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

func TestStateIsRecognised(t *testing.T) {
	t.Parallel()
	ring := testRing(t, "A")
	for _, again := range []bool{false, true} {
		state := newState(ring, again)
		if ours, second := readState(ring, state); !ours || second != again {
			t.Errorf("own state: ours %v, second try %v", ours, second)
		}
		if ours, _ := readState(testRing(t, "B"), state); ours {
			t.Error("a state of another key ring is taken for ours")
		}
		for i := range len(state) {
			if state[i] == '.' {
				continue
			}
			flipped := []byte(state)
			if flipped[i] ^= 1; string(flipped) == state {
				continue
			}
			if ours, _ := readState(ring, string(flipped)); ours {
				t.Fatalf("byte %d can be changed", i)
			}
		}
	}
	if one, other := newState(ring, false), newState(ring, false); one == other {
		t.Error("two states are equal")
	}
}

func FuzzReadState(f *testing.F) {
	ring := testRing(f, "A")
	f.Add("")
	f.Add(".")
	f.Add(newState(testRing(f, "B"), true))
	f.Fuzz(func(t *testing.T, state string) {
		if ours, _ := readState(ring, state); ours {
			t.Errorf("made-up state %q is taken for ours", state)
		}
	})
}

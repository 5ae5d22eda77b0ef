package session_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"postern/session"
)

func TestSealerGivesBackWhatWasSealedAndLeavesTheCallersBytesAlone(t *testing.T) {
	t.Parallel()
	sealer := newRing(t, 1).Sealer("login", time.Hour)
	rapid.Check(t, func(t *rapid.T) {
		plain := rapid.SliceOfN(rapid.Byte(), 1, 2200).Draw(t, "plain")
		before := bytes.Clone(plain)
		value, err := sealer.Seal(cookieName, plain)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(plain, before) {
			t.Fatal("sealing scrambled the caller's bytes")
		}
		opened, err := sealer.Open(cookieName, value)
		if err != nil || !bytes.Equal(opened, plain) {
			t.Fatalf("opened %d bytes of %d, %v", len(opened), len(plain), err)
		}
		if len(plain) >= 4 && strings.Contains(value, string(plain)) {
			t.Fatal("the value shows what was sealed")
		}
	})
}

func TestS58SealedValuesAreBoundToNamePurposeKeyAndAge(t *testing.T) {
	t.Parallel()
	ring := newRing(t, 1)
	sealer := ring.Sealer("login", time.Hour)
	value, err := sealer.Seal("a", []byte("plain"))
	if err != nil {
		t.Fatal(err)
	}
	for name, open := range map[string]func() ([]byte, error){
		"another cookie name":           func() ([]byte, error) { return sealer.Open("b", value) },
		"another purpose":               func() ([]byte, error) { return ring.Sealer("logout", time.Hour).Open("a", value) },
		"another key":                   func() ([]byte, error) { return newRing(t, 2).Sealer("login", time.Hour).Open("a", value) },
		"name and purpose run together": func() ([]byte, error) { return ring.Sealer("login:a", time.Hour).Open("", value) },
		"nothing":                       func() ([]byte, error) { return sealer.Open("a", "") },
		"over 4096 bytes":               func() ([]byte, error) { return sealer.Open("a", strings.Repeat("A", 4100)) },
		"cut":                           func() ([]byte, error) { return sealer.Open("a", value[:len(value)-4]) },
		"the value twice":               func() ([]byte, error) { return sealer.Open("a", value+value) },
		"a line break inside":           func() ([]byte, error) { return sealer.Open("a", value[:8]+"\r\n"+value[8:]) },
	} {
		if plain, err := open(); !errors.Is(err, session.ErrSealed) || plain != nil || err.Error() != session.ErrSealed.Error() {
			t.Errorf("%s: %q, %v; want the one generic error", name, plain, err)
		}
	}
	if _, err := sealer.Seal("a", make([]byte, 4000)); err == nil {
		t.Error("a value that no browser keeps was sealed")
	}
}

func TestS58SealedValuesAge(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sealer := newRing(t, 1).Sealer("login", time.Hour)
		value, err := sealer.Seal("a", []byte("plain"))
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		if _, err := sealer.Open("a", value); err != nil {
			t.Errorf("at its age: %v", err)
		}
		time.Sleep(time.Second)
		if _, err := sealer.Open("a", value); !errors.Is(err, session.ErrSealed) {
			t.Errorf("a second later: %v", err)
		}
	})
}

// One changed character anywhere, padding bits included, gives the one answer there is.
func TestAdvisoryCVE2026_47775FlippedCharacterAnywhere(t *testing.T) {
	t.Parallel()
	sealer := newRing(t, 1).Sealer("ticket", time.Hour)
	for size := range 6 { // each length of the last base64 group
		value, err := sealer.Seal(cookieName, make([]byte, 49+size))
		if err != nil {
			t.Fatal(err)
		}
		for i := range value {
			for _, c := range "AEIMQz9-_=" {
				changed := value[:i] + string(c) + value[i+1:]
				if _, err := sealer.Open(cookieName, changed); changed != value && !errors.Is(err, session.ErrSealed) {
					t.Fatalf("character %d of %d as %q: %v", i, len(value), c, err)
				}
			}
		}
	}
}

func FuzzSealerOpen(f *testing.F) {
	sealer := newRing(f, 1).Sealer("ticket", time.Hour)
	value, err := sealer.Seal(cookieName, []byte("plain"))
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{value, "", "AAAA", "====", value[4:], value + "AAAA", strings.Repeat("MTIzfA", 99), "MXwyfDM=", "\x00\xff"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, input string) {
		plain, err := sealer.Open(cookieName, input)
		if err == nil && string(plain) == "plain" {
			return // a value that a process with this key has sealed: fuzzing workers are processes of their own
		}
		if !errors.Is(err, session.ErrSealed) || plain != nil {
			t.Fatalf("opened %q, %v", plain, err)
		}
	})
}

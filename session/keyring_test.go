package session_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"postern/config"
	"postern/session"
)

func TestKeyRingRefusesWhatIsNoKey(t *testing.T) {
	t.Parallel()
	good := keys(1)[0].Reveal()
	for name, test := range map[string]struct {
		keys []string
		want []string
	}{
		"no key":                 {nil, []string{"there is no encryption key"}},
		"an empty key":           {[]string{""}, []string{"encryption key 1 has 0 bits"}},
		"not base64":             {[]string{"sesame!"}, []string{"encryption key 1 is not base64"}},
		"too short":              {[]string{base64.StdEncoding.EncodeToString(make([]byte, 16))}, []string{"encryption key 1 has 128 bits"}},
		"S-39 two keys alike":    {[]string{good, keys(2)[0].Reveal(), good}, []string{"encryption key 3 is the same as one before it"}},
		"all problems at a time": {[]string{"?", good, good}, []string{"key 1 is not base64", "key 3 is the same"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var secrets []config.Secret
			for _, key := range test.keys {
				secrets = append(secrets, config.NewSecret(key))
			}
			_, err := session.NewKeyRing(secrets)
			for _, want := range test.want {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("error %v does not say %q", err, want)
				}
			}
			for _, key := range test.keys {
				if len(key) > 1 && strings.Contains(fmt.Sprint(err), key) {
					t.Errorf("error shows the key: %v", err)
				}
			}
		})
	}
}

func TestKeyRingReplaceIsAllOrNothing(t *testing.T) {
	t.Parallel()
	ring := newRing(t, 1)
	sealer := ring.Sealer("login", time.Hour)
	value, err := sealer.Seal("c", []byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	if err := ring.Replace(append(keys(2), config.NewSecret("?"))); err == nil {
		t.Fatal("a ring with a bad key was taken")
	}
	if _, err := sealer.Open("c", value); err != nil {
		t.Errorf("a refused replacement changed the ring: %v", err)
	}
}

func TestHashesAreKeyedAndSeparatedByPurpose(t *testing.T) {
	t.Parallel()
	one, two := newRing(t, 1), newRing(t, 2)
	if first, again := one.Hash("log", "a"), one.Hash("log", "a"); first != again {
		t.Error("a hash is not stable")
	}
	seen := map[string]string{}
	for name, hash := range map[string]string{
		"":              one.Hash("log", "a"),
		"other value":   one.Hash("log", "b"),
		"other purpose": one.Hash("sub", "a"),
		"other key":     two.Hash("log", "a"),
		"shifted":       one.Hash("loga", ""),
	} {
		if len(hash) != 43 {
			t.Errorf("%s: hash has %d characters, want 43", name, len(hash))
		}
		if other, dup := seen[hash]; dup {
			t.Errorf("%q and %q have one hash", name, other)
		}
		seen[hash] = name
	}
}

func TestS39CookiesSurviveRotationUntilTheirKeyIsDropped(t *testing.T) {
	t.Parallel()
	ring := newRing(t, 1)
	sealer := ring.Sealer("ticket", time.Hour)
	seal := func() string {
		value, err := sealer.Seal("c", []byte("plain"))
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
	opens := func(value string) bool { _, err := sealer.Open("c", value); return err == nil }
	replace := func(numbers ...byte) {
		if err := ring.Replace(keys(numbers...)); err != nil {
			t.Fatal(err)
		}
	}
	old := seal()
	replace(1, 2) // the new key is added on every replica …
	if byOld := seal(); !opens(old) || !newRingOpens(t, byOld, 1) {
		t.Error("with the new key as second the first one does not seal")
	}
	replace(2, 1) // … made first …
	byNew := seal()
	if !opens(old) || !opens(byNew) {
		t.Error("after the change of keys a cookie does not open")
	}
	if newRingOpens(t, byNew, 1) || !newRingOpens(t, byNew, 2) {
		t.Error("the new first key does not seal")
	}
	replace(2) // … and the old one dropped.
	if opens(old) || !opens(byNew) {
		t.Error("dropping the old key did not end its cookies, or ended others")
	}
}

func newRingOpens(t *testing.T, value string, number byte) bool {
	t.Helper()
	_, err := newRing(t, number).Sealer("ticket", time.Hour).Open("c", value)
	return err == nil
}

func TestRandomKeyMakesARing(t *testing.T) {
	t.Parallel()
	one, err := session.RandomKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	two, err := session.RandomKey(strings.NewReader(strings.Repeat("x", 32)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := session.NewKeyRing([]config.Secret{one, two}); err != nil {
		t.Error(err)
	}
	if _, err := session.RandomKey(strings.NewReader("short")); err == nil {
		t.Error("a key was made without enough randomness")
	}
	if _, err := session.NewKeyRing([]config.Secret{two, two}); err == nil || errors.Is(err, session.ErrSealed) {
		t.Errorf("two keys alike: %v", err)
	}
}

package demoapp

import (
	"encoding/base64"
	"testing"
	"time"
)

func TestReadToken(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		authorization string
		present       bool
		opaque        bool
	}{
		"none":            {"", false, false},
		"another scheme":  {"Basic eA==", false, false},
		"no token":        {"Bearer ", false, false},
		"jwt":             {"Bearer " + jwt(`{"alg":"RS256"}`, `{}`), true, false},
		"scheme any case": {"bearer " + jwt(`{}`, `{}`), true, false},
		"reference":       {"Bearer 0123abcd", true, true},
		"not base64":      {"Bearer a.b!.c", true, true},
		"not JSON":        {"Bearer " + jwt(`{}`, `[1]`), true, true},
		"five parts":      {"Bearer a.b.c.d.e", true, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := readToken(c.authorization, testNow)
			if (got != nil) != c.present || got != nil && got.Opaque != c.opaque {
				t.Errorf("got %+v", got)
			}
		})
	}
}

func TestTimesInWords(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		0:                 "12:00:00 UTC, just now",
		time.Second:       "12:00:01 UTC, in 1 second",
		-59 * time.Second: "11:59:01 UTC, 59 seconds ago",
		-time.Minute:      "11:59:00 UTC, 1 minute ago",
		119 * time.Minute: "13:59:00 UTC, in 1 hour",
		-72 * time.Hour:   "12:00:00 UTC, 3 days ago",
	} {
		if got := inWords(testNow.Add(d), testNow); got != want {
			t.Errorf("%s: %q, want %q", d, got, want)
		}
	}
}

func TestInitials(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"Kari Nordmann": "KN", "Ola": "O", "åse berg-ødegård": "ÅØ", "": "?", "···": "?", "Z990001": "Z", "Ola M. Nordmann (NAV)": "ON",
	} {
		if got := initials(name); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}

// FuzzReadToken: a token is whatever somebody sent; it must never bring down the page, nor be shown whole.
func FuzzReadToken(f *testing.F) {
	f.Add("Bearer " + jwt(`{"alg":"none"}`, `{"exp":1e400,"a":{"b":[null]}}`))
	f.Add("Bearer a.b.c")
	f.Add("Bearer " + base64.RawURLEncoding.EncodeToString([]byte(`{"exp":9223372036854775807}`)) + ".e30.")
	f.Fuzz(func(t *testing.T, authorization string) {
		got := readToken(authorization, testNow)
		if got == nil {
			return
		}
		if got.Opaque != (got.Header == nil && got.Claims == nil) {
			t.Fatalf("half read: %+v", got)
		}
	})
}

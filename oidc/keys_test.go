package oidc

import (
	"context"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestUnusableKeysOfASetAreLeftOut(t *testing.T) {
	t.Parallel()
	weak, err := rsa.GenerateKey(rand.Reader, 1024) //nolint:gosec // must be refused
	must(t, err)
	ec := ecKey(t, elliptic.P256()).Public()
	for name, tc := range map[string]struct {
		key  string
		want string // algorithm, empty if left out
	}{
		"RSA for signatures":        {jwkJSON(t, rsaOnce().Public(), map[string]any{"use": "sig", "alg": "RS256"}), "RS256"},
		"RSA without use and alg":   {jwkJSON(t, rsaOnce().Public(), nil), "RS256"},
		"RSA of 1024 bits":          {jwkJSON(t, weak.Public(), nil), ""},
		"RSA for encryption":        {jwkJSON(t, rsaOnce().Public(), map[string]any{"use": "enc"}), ""},
		"RSA of another use":        {jwkJSON(t, rsaOnce().Public(), map[string]any{"use": "x"}), ""},
		"RSA to verify":             {jwkJSON(t, rsaOnce().Public(), map[string]any{"key_ops": []string{"verify"}}), "RS256"},
		"RSA to wrap keys":          {jwkJSON(t, rsaOnce().Public(), map[string]any{"key_ops": []string{"wrapKey"}}), ""},
		"RSA with alg none":         {jwkJSON(t, rsaOnce().Public(), map[string]any{"alg": "none"}), ""},
		"RSA with alg HS256":        {jwkJSON(t, rsaOnce().Public(), map[string]any{"alg": "HS256"}), ""},
		"RSA with alg RSA-OAEP":     {jwkJSON(t, rsaOnce().Public(), map[string]any{"alg": "RSA-OAEP"}), ""},
		"RSA with an unknown alg":   {jwkJSON(t, rsaOnce().Public(), map[string]any{"alg": "XX1"}), ""},
		"RSA with alg ES256":        {jwkJSON(t, rsaOnce().Public(), map[string]any{"alg": "ES256"}), ""},
		"private RSA (leaked)":      {jwkJSON(t, rsaOnce(), nil), ""},
		"EC by its curve":           {jwkJSON(t, ec, nil), "ES256"},
		"EC P-521 by its curve":     {jwkJSON(t, ecKey(t, elliptic.P521()).Public(), nil), "ES512"},
		"EC with alg of another":    {jwkJSON(t, ec, map[string]any{"alg": "ES384"}), ""},
		"EC not on its curve":       {jwkJSON(t, ec, map[string]any{"x": "AA", "y": "AA"}), ""},
		"Ed25519 of one byte":       {jwkJSON(t, edKey(t).Public(), map[string]any{"x": "AA"}), ""},
		"Ed25519":                   {jwkJSON(t, edKey(t).Public(), nil), "EdDSA"},
		"symmetric":                 {`{"kty":"oct","k":"c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0","alg":"HS256"}`, ""},
		"unknown type":              {`{"kty":"AKP","alg":"ML-DSA-44","pub":"AA"}`, ""},
		"no object":                 {`"x"`, ""},
		"null":                      {`null`, ""},
		"members of wrong types":    {`{"kty":"RSA","n":5,"e":[]}`, ""},
		"modulus missing":           {`{"kty":"RSA","e":"AQAB"}`, ""},
		"issuer that is no text":    {jwkJSON(t, rsaOnce().Public(), map[string]any{"issuer": 5}), ""},
		"kid that is no text":       {jwkJSON(t, rsaOnce().Public(), map[string]any{"kid": 5}), ""},
		"certificates are not read": {jwkJSON(t, rsaOnce().Public(), map[string]any{"x5c": []string{"!"}}), "RS256"},
	} {
		good := jwkJSON(t, rsaTwoOnce().Public(), map[string]any{"kid": "good"})
		keys, err := parseKeySet([]byte(`{"keys":[`+tc.key+`,`+good+`]}`), "RS256")
		must(t, err)
		if keys[len(keys)-1].kid != "good" {
			t.Errorf("%s: the good key is gone", name)
		}
		got := ""
		if len(keys) == 2 {
			got = keys[0].alg
		}
		if got != tc.want {
			t.Errorf("%s: got %q, want %q", name, got, tc.want)
		}
	}
}

func TestFallbackAlgorithmIsForKeysThatItFits(t *testing.T) {
	t.Parallel()
	set := `{"keys":[` + jwkJSON(t, rsaOnce().Public(), nil) + `,` + jwkJSON(t, ecKey(t, elliptic.P384()).Public(), nil) + `]}`
	for fallback, want := range map[string]string{"": "RS256", "PS512": "PS512", "ES384": "RS256"} {
		keys, err := parseKeySet([]byte(set), fallback)
		must(t, err)
		if keys[0].alg != want || keys[1].alg != "ES384" {
			t.Errorf("%q: got %s and %s", fallback, keys[0].alg, keys[1].alg)
		}
	}
}

func TestKeySetOfNonsenseIsAnError(t *testing.T) {
	t.Parallel()
	key := jwkJSON(t, rsaOnce().Public(), nil)
	for name, body := range map[string]string{
		"empty": "", "null": "null", "a list": "[]", "no keys": "{}", "keys null": `{"keys":null}`, "keys a text": `{"keys":"x"}`, "a page": "<html>",
		"a single key": key, "101 keys": `{"keys":[` + strings.Repeat(key+",", 100) + key + `]}`,
	} {
		if _, err := parseKeySet([]byte(body), "RS256"); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// peers.md 61: withdrawn keys go, an outage keeps the last good set, but not for ever.
func TestS34AdvisoryGO2025_3376WithdrawnKeyStopsAtTheNextRefresh(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newIDP(t)
		w := build(t, p)
		go w.provider.Run(t.Context())
		synctest.Wait()
		if _, err := w.provider.keysFor(t.Context(), "k1", "RS256"); err != nil {
			t.Fatal(err)
		}
		p.setKey("k2", "RS256", rsaTwoOnce())
		time.Sleep(18 * time.Minute)
		_, err := w.provider.keysFor(t.Context(), "k1", "RS256")
		wantInvalid(t, err, "key is not one of the provider's")

		p.set(func() { p.published = nil }) // all withdrawn: nothing verifies, and it is no fault of the token
		time.Sleep(18 * time.Minute)
		_, err = w.provider.keysFor(t.Context(), "k2", "RS256")
		wantTrouble(t, err, "keys_invalid")
	})
}

func TestS34KeysThatCouldNotBeRefreshedFor24HoursAreNotUsed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newIDP(t)
		w := build(t, p)
		go w.provider.Run(t.Context())
		synctest.Wait()
		p.down("/jwks", http.StatusBadGateway)
		time.Sleep(23 * time.Hour)
		if _, err := w.provider.keysFor(t.Context(), "k1", "RS256"); err != nil {
			t.Fatalf("after 23 h: %v", err)
		}
		time.Sleep(62 * time.Minute)
		_, err := w.provider.keysFor(t.Context(), "k1", "RS256")
		wantTrouble(t, err, "keys_stale")
		if h := w.provider.Health(); !h.Ready || !h.Degraded || h.Reason != "keys_stale" {
			t.Errorf("health %+v", h)
		}
		p.up()
		time.Sleep(2 * time.Minute)
		if _, err := w.provider.keysFor(t.Context(), "k1", "RS256"); err != nil {
			t.Errorf("after the outage: %v", err)
		}
	})
}

func TestS34UnknownKeyIsFetchedAtOnceAndThenAtMostOnceIn30s(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newIDP(t)
		w := newWorld(t, p)
		fetched := p.count("/jwks")
		p.setKey("k2", "RS256", rsaTwoOnce())
		if _, err := w.provider.keysFor(t.Context(), "k2", "RS256"); err != nil {
			t.Fatalf("the first unknown key: %v", err)
		}
		for second := range 120 {
			for i := range 50 {
				_, err := w.provider.keysFor(t.Context(), fmt.Sprintf("forged-%d-%d", second, i), "RS256")
				if err == nil {
					t.Fatal("a forged key id was found")
				}
			}
			time.Sleep(time.Second)
		}
		if n := p.count("/jwks") - fetched; n < 4 || n > 5 {
			t.Errorf("%d fetches in 120 s", n)
		}
	})
}

func TestS34GenuineKeyDuringAFloodIsTroubleAndThenFoundButNeverInvalid(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newIDP(t)
		w := newWorld(t, p)
		_, err := w.provider.keysFor(t.Context(), "forged", "RS256")
		wantInvalid(t, err, "key is not")

		p.setKey("genuine", "RS256", rsaTwoOnce())
		_, err = w.provider.keysFor(t.Context(), "genuine", "RS256")
		if e := wantTrouble(t, err, "held back"); e.RetryAfter <= 0 || e.RetryAfter > 30*time.Second {
			t.Errorf("retry after %v", e.RetryAfter)
		}
		_, err = w.provider.keysFor(t.Context(), "forged", "RS256") // looked for in vain
		wantInvalid(t, err, "key is not")
		time.Sleep(30 * time.Second)
		if _, err = w.provider.keysFor(t.Context(), "genuine", "RS256"); err != nil {
			t.Error(err)
		}
	})
}

func TestS34ManyWhoLookForKeysShareOneFetchAndSurviveOneAnother(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newIDP(t)
		w := newWorld(t, p)
		fetched := p.count("/jwks")
		p.setKey("k2", "RS256", rsaTwoOnce())
		p.set(func() {
			p.intercept = func(http.ResponseWriter, *http.Request) bool { time.Sleep(time.Second); return false }
		})
		first, leave := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { // the one who causes the fetch goes away
			_, err := w.provider.keysFor(first, "k2", "RS256")
			if !errors.Is(err, context.Canceled) {
				t.Errorf("the one who left: %v", err)
			}
		})
		synctest.Wait()
		for range 100 {
			wg.Go(func() {
				if _, err := w.provider.keysFor(t.Context(), "k2", "RS256"); err != nil {
					t.Errorf("one who waited: %v", err)
				}
			})
		}
		synctest.Wait()
		leave()
		begun := time.Now() // known keys do not wait for the fetch
		if _, err := w.provider.keysFor(t.Context(), "k1", "RS256"); err != nil || time.Since(begun) > 0 {
			t.Errorf("a known key: %v after %v", err, time.Since(begun))
		}
		wg.Wait()
		if n := p.count("/jwks") - fetched; n != 1 {
			t.Errorf("%d fetches", n)
		}
	})
}

func TestS34FailedFetchForAnUnknownKeyIsTrouble(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newIDP(t)
		w := newWorld(t, p)
		for _, status := range []int{http.StatusBadGateway, http.StatusOK} { // 200 is an empty body: nonsense
			p.down("/jwks", status)
			_, err := w.provider.keysFor(t.Context(), "k9", "RS256")
			wantTrouble(t, err, "look for key")
			_, err = w.provider.keysFor(t.Context(), "k9", "RS256")
			wantTrouble(t, err, "held back") // it was never really looked for
			if _, err = w.provider.keysFor(t.Context(), "k1", "RS256"); err != nil {
				t.Errorf("the last good set is gone: %v", err)
			}
			time.Sleep(31 * time.Second)
		}
	})
}

func TestLateFetchDoesNotBringBackAWithdrawnKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t, newIDP(t))
	old := w.provider.state.Load().keys
	w.provider.install(nil, &keySet{asOf: old.asOf.Add(time.Second), keys: []verificationKey{{kid: "new", alg: "RS256"}}})
	w.provider.install(nil, old)
	if got := w.provider.state.Load().keys.keys[0].kid; got != "new" {
		t.Errorf("key %q is in force", got)
	}
}

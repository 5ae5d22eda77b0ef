package e2e

import (
	"testing"
	"time"
)

// Scenario 18, wonderwall.md 3.5, complaint 1: a provider in trouble is no lost session. While the token lives it is used and nobody waits,
// then it is 503; a login is never asked for, the provider is asked now and then, and everything goes on when it is well again.
func TestRefreshWhileTheProviderIsInTrouble(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]map[string]any{
		"503":             {"status": 503, "body": "<h1>down</h1>"},
		"no token in it":  {"members": map[string]any{"access_token": nil}},
		"no answer":       {"hang": true},
		"our own mistake": {"status": 401, "body": `{"error":"invalid_client"}`, "content_type": "application/json"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newReplicas(t, 2, worldOptions{env: map[string]string{"POSTERN_AUTO_LOGIN": "true"}}, Redis(t).Addr)
			c := NewClient(t)
			old, expiry := w.expiring(t, c, 4*time.Second)
			sleepUntil(expiry.Add(-1900 * time.Millisecond)) // half of its life is the cooldown
			fault["endpoint"], fault["grant_type"] = "token", "refresh_token"
			w.dev.Dev(t, "faults", fault)
			for time.Until(expiry) > 200*time.Millisecond {
				within(t, time.Second, "a token that is alive", func() {
					s := w.look(c, "/")
					if wantKari(t, "alive", []seen{s}); s.token != old {
						t.Errorf("the token is alive: %s", s)
					}
				})
				time.Sleep(50 * time.Millisecond)
			}
			if n := w.refreshes(t); n == 0 || n > len(w.All) {
				t.Errorf("the provider was asked %d times in 2 s", n)
			}
			sleepUntil(expiry.Add(50 * time.Millisecond))
			if name != "no answer" { // for which a request waits as long as a grant may take
				for range 20 {
					if r := c.Navigate(w.ingress + "/"); r.StatusCode != 503 || r.Header.Get("Retry-After") == "" || len(r.Cookies()) != 0 {
						t.Errorf("expired: status %d to %q with %d cookies, want 503", r.StatusCode, r.Header.Get("Location"), len(r.Cookies()))
					}
				}
				if n := w.refreshes(t); n > 2*len(w.All) {
					t.Errorf("the provider was asked %d times in 3 s", n)
				}
			}
			w.dev.Dev(t, "faults/clear", map[string]any{})
			Eventually(t, "the provider is well, and so is the session", func() error {
				for i := range w.All {
					if s := w.look(w.At(c, i), "/"); s.status != 200 || s.user != "Z990001" || s.token == old {
						if s.status == 401 || s.status == 302 {
							t.Fatalf("signed out: %s", s)
						}
						return errorf("%s", s)
					}
				}
				return nil
			})
		})
	}
}

// Scenario 18, S-30: what ends a session ends it for good, everywhere, also while the old token would have lived on; nobody asks twice.
func TestS30ARefusedRefreshEndsTheSessionOnEveryReplica(t *testing.T) {
	t.Parallel()
	w := newReplicas(t, 3, worldOptions{env: map[string]string{"POSTERN_AUTO_LOGIN": "true"}}, Redis(t).Addr)
	for _, code := range []string{"invalid_grant", "interaction_required"} {
		c := NewClient(t)
		_, expiry := w.expiring(t, c, 5*time.Second)
		sleepUntil(expiry.Add(-2400 * time.Millisecond))
		w.dev.Dev(t, "token-error", map[string]any{"grant_type": "refresh_token", "error": code, "times": -1})
		w.dev.Forget(t)
		Eventually(t, code+" ends the session", func() error {
			if s := w.look(c, "/"); s.status != 401 {
				return errorf("%s", s)
			}
			return nil
		})
		if !time.Now().Before(expiry) {
			t.Errorf("%s: the session ended with its token", code)
		}
		time.Sleep(time.Second) // by then every replica knows
		for i := range w.All {
			for _, s := range w.lookAtOnce(5, w.At(c, i), "/") {
				if s.status != 401 {
					t.Errorf("%s, replica %d: %s", code, i, s)
				}
			}
			if r := w.At(c, i).Navigate(w.ingress + "/x"); r.StatusCode != 302 {
				t.Errorf("%s, replica %d: a navigation gets %d, want a login", code, i, r.StatusCode)
			}
		}
		if n := w.refreshes(t); n != 1 {
			t.Errorf("%s: the provider was asked %d times", code, n)
		}
		w.dev.Dev(t, "faults/clear", map[string]any{})
		w.login(t, c, "kari", "")
		wantKari(t, code+", after a new login", w.lookAtOnce(3, c, "/"))
	}
}

// Scenario 18, wonderwall.md 3.5: an answer may be without a refresh token or an id token (RFC 6749 §6, OpenID Connect Core 12.2): the ones
// from before stay good, for the next refresh too.
func TestARefreshMayBringLessThanALogin(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]map[string]any{
		"no refresh token": {"members": map[string]any{"refresh_token": nil}},
		"no id token":      {"members": map[string]any{"id_token": nil}},
		"neither":          {"members": map[string]any{"refresh_token": nil, "id_token": nil}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newReplicas(t, 2, worldOptions{}, Redis(t).Addr)
			c := NewClient(t)
			w.dev.Dev(t, "token-lifetime", map[string]any{"seconds": 2})
			w.login(t, c, "kari", "")
			fault["endpoint"], fault["grant_type"] = "token", "refresh_token"
			w.dev.Dev(t, "faults", fault)
			tokens := map[string]bool{}
			for range 3 {
				sleepUntil(w.metadata(t, c).Tokens.ExpireAt.Add(50 * time.Millisecond))
				for token := range wantKari(t, "after a refresh", w.lookAtOnce(6, c, "/")) {
					tokens[token] = true
				}
			}
			if n := w.refreshes(t); len(tokens) < 3 || n < 3 || n > 6 { // some of them perhaps ahead of the expiry, which nobody waits for
				t.Errorf("%d tokens by %d grants, want 3 of each", len(tokens), n)
			}
			if r := c.Navigate(w.ingress + "/oauth2/logout"); r.Where().Query().Get("id_token_hint") == "" {
				t.Error("the logout has no hint: the id token was lost")
			}
		})
	}
}

// Row 49 of peers.md: a refresh that brings another person's id token, or one that nobody signed for us, changes nobody into anybody.
func TestRow49ARefreshNeverBringsAnotherPerson(t *testing.T) {
	t.Parallel()
	w := newReplicas(t, 2, worldOptions{env: map[string]string{"POSTERN_AUTO_LOGIN": "true"}}, Redis(t).Addr)
	good := map[string]any{"profile": "entra-id-token", "persona": "kari"}
	tests := map[string]struct {
		token map[string]any
		ends  bool // the session, which else is in trouble until the provider is well
	}{
		"another person":  {map[string]any{"profile": "entra-id-token", "persona": "ola"}, true},
		"another tenant":  {with(good, "claims", map[string]any{"tid": "11111111-2222-4333-8444-555555555555"}), false},
		"no signature":    {with(good, "bad_signature", true), false},
		"unknown key":     {with(good, "key", "unknown"), false},
		"another client":  {with(good, "claims", map[string]any{"aud": "somebody-else"}), false},
		"another issuer":  {with(good, "claims", map[string]any{"iss": "https://evil.example"}), false},
		"an access token": {map[string]any{"profile": "entra-user", "persona": "kari"}, false},
	}
	browsers, old, last := map[string]*Client{}, map[string]string{}, time.Time{}
	for name := range tests {
		browsers[name] = NewClient(t)
		old[name], last = w.expiring(t, browsers[name], 2*time.Second)
	}
	sleepUntil(last.Add(50 * time.Millisecond))
	for name, test := range tests {
		c := browsers[name]
		w.dev.Dev(t, "faults", map[string]any{
			"endpoint": "token", "grant_type": "refresh_token", "members": map[string]any{"id_token": w.dev.Mint(t, test.token)},
		})
		for _, s := range w.lookAtOnce(10, c, "/") {
			if s.err != nil || s.status != 401 && (test.ends || s.status != 503) {
				t.Errorf("%s: %s", name, s)
			}
		}
		w.dev.Dev(t, "faults/clear", map[string]any{})
		if test.ends {
			for i := range w.All {
				if s := w.look(w.At(c, i), "/"); s.status != 401 {
					t.Errorf("%s, afterwards: %s", name, s)
				}
			}
			continue
		}
		if s := w.look(c, "/"); s.status == 200 && (s.user != "Z990001" || s.token == old[name]) {
			t.Errorf("%s, afterwards: %s", name, s)
		}
	}
}

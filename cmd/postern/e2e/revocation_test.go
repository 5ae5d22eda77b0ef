package e2e

import (
	"fmt"
	"net/http"
	"testing"
	"time"
)

// revocations waits until the provider has had so many requests to revoke a token.
func (w *world) revocations(t testing.TB, want int) {
	t.Helper()
	Eventually(t, "tokens are revoked", func() error {
		if n := w.dev.Counts(t)["revoke"]; n != want {
			return fmt.Errorf("%d requests to revoke, want %d", n, want)
		}
		return nil
	})
}

// S-56: what a logout leaves behind is revoked at the provider, if it can (RFC 7009); the logout itself never waits for that.
func TestS56LogoutRevokesTheRefreshToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{idpFlags: []string{"--revocation"}})
	for n, path := range []string{"/oauth2/logout", "/oauth2/logout/local"} {
		c := NewClient(t)
		w.login(t, c, "kari", "")
		if r := c.Get(w.ingress + path); r.StatusCode >= 400 {
			t.Fatalf("%s: status %d", path, r.StatusCode)
		}
		w.revocations(t, n+1)
		c.Get(w.ingress + path) // nobody is left
	}
	for n, fault := range []map[string]any{
		{"endpoint": "revoke", "status": 500}, {"endpoint": "revoke", "drop": true}, {"endpoint": "revoke", "latency_ms": 3000},
	} {
		w.dev.Dev(t, "faults", fault)
		c := NewClient(t)
		w.login(t, c, "kari", "")
		began := time.Now()
		if r := c.Get(w.ingress + "/oauth2/logout/local"); r.StatusCode != http.StatusNoContent || time.Since(began) > 2*time.Second {
			t.Errorf("%v: status %d after %s", fault, r.StatusCode, time.Since(began))
		}
		w.revocations(t, n+3)
	}
	Eventually(t, "what failed is in the log", func() error {
		if n := len(w.Log.Find(map[string]any{"msg": "tokens of an ended session could not be revoked at the provider"})); n != 2 {
			return fmt.Errorf("%d revocations failed, want the two that were made to", n)
		}
		return nil
	})
}

// A pod that is on its way out still tells the provider.
func TestS56RevocationsAreFinishedAtTheEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{idpFlags: []string{"--revocation"}})
	c := NewClient(t)
	w.login(t, c, "kari", "")
	w.dev.Dev(t, "faults", map[string]any{"endpoint": "revoke", "latency_ms": 500})
	if r := c.Get(w.ingress + "/oauth2/logout/local"); r.StatusCode != http.StatusNoContent {
		t.Fatalf("status %d", r.StatusCode)
	}
	w.Stop(t)
	w.revocations(t, 1)
	for _, complaint := range []string{"tokens of an ended session could not be revoked at the provider", "tokens of ended sessions were not revoked at the provider"} {
		if len(w.Log.Find(map[string]any{"msg": complaint})) > 0 {
			t.Errorf("the log says: %s", complaint)
		}
	}
}

// A login that replaces a session of somebody else ends its tokens too. One in the same session of the provider does not: many providers would end the
// new ones with the old.
func TestS56ALoginRevokesOnlyTokensOfAnotherSessionAtTheProvider(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{idpFlags: []string{"--revocation"}})
	c := NewClient(t)
	w.login(t, c, "kari", "")
	w.login(t, c, "kari", "") // still signed in at the provider
	back := w.idp.SignIn(c, c.Navigate(w.ingress+"/oauth2/login?prompt=select_account"), "ola")
	if r := c.Navigate(back.Where().String()); r.StatusCode != http.StatusFound {
		t.Fatalf("callback: status %d", r.StatusCode)
	}
	w.revocations(t, 1)
	if got := w.get(t, c, "/").Header.Get("X-Postern-User"); got == "" || got == kari {
		t.Errorf("signed in as %q", got)
	}
}

// The same at a provider that really does so: the new login's tokens can be renewed, and after the logout none can.
func TestS56TokensOfANewLoginLiveOnAtOIDCProvider(t *testing.T) {
	t.Parallel()
	var provider *Provider
	w := newWorld(t, worldOptions{idp: func(t testing.TB, redirects, postLogout []string) (identityProvider, map[string]string) {
		provider = OIDCProvider(t, ProviderOptions{
			RedirectURIs: redirects, PostLogoutRedirectURIs: postLogout, SecretAuth: "client_secret_basic", TTL: map[string]int{"AccessToken": 2},
		})
		return provider, map[string]string{
			"POSTERN_OPENID_CLIENT_ID": SecretClient, "POSTERN_OPENID_CLIENT_SECRET": provider.ClientSecret,
			"POSTERN_OPENID_WELL_KNOWN_URL": provider.WellKnown(), "POSTERN_OPENID_SCOPES": "profile,offline_access",
		}
	}})
	c := NewClient(t)
	w.login(t, c, "kari", "")
	w.login(t, c, "kari", "")
	first := w.get(t, c, "/").Header.Get("Authorization")
	Eventually(t, "the new login's tokens are renewed", func() error {
		r := c.Send("POST", w.ingress+"/oauth2/session/refresh", "")
		if r.StatusCode != http.StatusOK {
			t.Fatalf("refresh: status %d %s", r.StatusCode, r.Body)
		}
		if w.get(t, c, "/").Header.Get("Authorization") == first {
			return fmt.Errorf("still the old token")
		}
		return nil
	})
	if r := c.Get(w.ingress + "/oauth2/logout/local"); r.StatusCode != http.StatusNoContent {
		t.Fatalf("logout: status %d", r.StatusCode)
	}
	w.Stop(t) // which waits for the revocation
	if n := len(w.Log.Find(map[string]any{"level": "WARN"})); n > 0 {
		t.Errorf("%d warnings\n%s", n, w.Log.Text())
	}
}

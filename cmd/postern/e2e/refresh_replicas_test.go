package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// seen is what came of one request for the app, taken down where a test may not fail: in any goroutine.
type seen struct {
	status     int
	user       string // X-Postern-User at the app
	token      string // Authorization at the app
	retryAfter string
	location   string
	err        error
	took       time.Duration
}

func (s seen) String() string {
	if s.err != nil {
		return fmt.Sprintf("no answer after %s: %v", s.took.Round(time.Millisecond), s.err)
	}
	return fmt.Sprintf("status %d for %q after %s", s.status, s.user, s.took.Round(time.Millisecond))
}

// look asks for a path of the app, as a script of a page does.
func (w *world) look(c *Client, path string) seen {
	began := time.Now()
	r, err := c.Try(http.MethodGet, w.ingress+path, "")
	s := seen{err: err, took: time.Since(began)}
	if err != nil {
		return s
	}
	s.status, s.retryAfter, s.location = r.StatusCode, r.Header.Get("Retry-After"), r.Header.Get("Location")
	if s.status == http.StatusOK {
		var e Echo
		s.err = json.Unmarshal([]byte(r.Body), &e)
		s.user, s.token = e.Header.Get("X-Postern-User"), e.Header.Get("Authorization")
	}
	return s
}

// lookAtOnce is n looks that are all under way together.
func (w *world) lookAtOnce(n int, c *Client, path string) []seen {
	all, start := make([]seen, n), make(chan struct{})
	var wait sync.WaitGroup
	for i := range all {
		wait.Go(func() {
			<-start
			all[i] = w.look(c, path)
		})
	}
	close(start)
	wait.Wait()
	return all
}

// wantKari fails the test for each look that did not speak for her, and returns the tokens that the app got.
func wantKari(t testing.TB, what string, all []seen) map[string]int {
	t.Helper()
	bad, tokens := map[string]int{}, map[string]int{}
	for _, s := range all {
		if s.err != nil || s.status != 200 || s.user != "Z990001" {
			s.took = 0
			bad[s.String()]++
			continue
		}
		tokens[s.token]++
	}
	if len(bad) > 0 {
		t.Errorf("%s: of %d requests %v", what, len(all), bad)
	}
	return tokens
}

// expiring signs kari in with a token of that life, lets later ones live for an hour, and returns her token and when it expires.
func (w *world) expiring(t testing.TB, c *Client, life time.Duration) (token string, expiry time.Time) {
	t.Helper()
	w.dev.Dev(t, "token-lifetime", map[string]any{"seconds": int(life.Seconds())})
	w.login(t, c, "kari", "")
	w.dev.Dev(t, "token-lifetime", map[string]any{"seconds": 3600})
	return w.get(t, c, "/").Header.Get("Authorization"), w.metadata(t, c).Tokens.ExpireAt
}

// slowRefresh makes the provider take its time for a refresh, and for nothing else.
func (w *world) slowRefresh(t testing.TB, latency time.Duration) {
	t.Helper()
	w.dev.Dev(t, "faults", map[string]any{"endpoint": "token", "grant_type": "refresh_token", "latency_ms": latency.Milliseconds()})
}

// refreshes is how many refresh grants the provider was asked for.
func (w *world) refreshes(t testing.TB) int {
	t.Helper()
	return w.dev.Counts(t)["token/refresh_token"]
}

func sleepUntil(at time.Time) { time.Sleep(time.Until(at)) }

// Complaint 1, the figure of the issue: 300 requests at once on an expired session, over three replicas, with a slow provider.
func TestOneGrantForThreeHundredRequestsOverThreeReplicas(t *testing.T) {
	t.Parallel()
	w := newReplicas(t, 3, worldOptions{idpFlags: []string{"--refresh-rotation=strict"}}, Redis(t).Addr)
	c := NewClient(t)
	old, expiry := w.expiring(t, c, 2*time.Second)
	sleepUntil(expiry.Add(50 * time.Millisecond))
	w.slowRefresh(t, 1500*time.Millisecond)
	began := time.Now()
	tokens := wantKari(t, "expired", w.lookAtOnce(300, c, "/"))
	t.Logf("300 requests took %s", time.Since(began).Round(time.Millisecond))
	if len(tokens) != 1 || tokens[old] > 0 {
		t.Errorf("the app got %d tokens, want one new one", len(tokens))
	}
	if n := w.refreshes(t); n != 1 {
		t.Errorf("%d grants, want 1", n)
	}
}

// While the token lives nobody waits for the provider, and there is still one grant.
func TestNobodyWaitsForARefreshAheadOverReplicas(t *testing.T) {
	t.Parallel()
	w := newReplicas(t, 3, worldOptions{idpFlags: []string{"--refresh-rotation=strict"}}, Redis(t).Addr)
	c := NewClient(t)
	old, expiry := w.expiring(t, c, 10*time.Second)
	sleepUntil(expiry.Add(-4500 * time.Millisecond)) // half of its life is the cooldown
	w.slowRefresh(t, 3*time.Second)
	for range 3 {
		if tokens := wantKari(t, "due", w.lookAtOnce(60, c, "/")); len(tokens) != 1 || tokens[old] == 0 {
			t.Errorf("the app got %d tokens while the provider took its time, want the living one", len(tokens))
		}
	}
	if time.Now().After(expiry.Add(-2 * time.Second)) {
		t.Error("the requests waited for the provider")
	}
	Eventually(t, "the new token is there", func() error {
		if tokens := wantKari(t, "later", w.lookAtOnce(3, c, "/")); len(tokens) != 1 || tokens[old] > 0 {
			return errorf("%d tokens", len(tokens))
		}
		return nil
	})
	if n := w.refreshes(t); n != 1 {
		t.Errorf("%d grants, want 1", n)
	}
}

// Scenario 17, complaint 1: the provider takes longer than any lock would last that nobody renews.
func TestOneGrantWhenTheProviderIsSlowerThanAnyLock(t *testing.T) {
	t.Parallel()
	w := newReplicas(t, 3, worldOptions{idpFlags: []string{"--refresh-rotation=strict"}}, Redis(t).Addr)
	c := NewClient(t)
	_, expiry := w.expiring(t, c, 2*time.Second)
	sleepUntil(expiry.Add(50 * time.Millisecond))
	w.slowRefresh(t, 9*time.Second)
	var wait sync.WaitGroup
	for range 9 { // some come while others have waited for long
		wait.Go(func() { wantKari(t, "expired", w.lookAtOnce(3, c, "/")) })
		time.Sleep(900 * time.Millisecond)
	}
	wait.Wait()
	if n := w.refreshes(t); n != 1 {
		t.Errorf("%d grants, want 1", n)
	}
}

// Scenario 16, wonderwall.md 3.5: clients go away during a refresh. It goes on without them, and who comes next, to whichever replica, does
// not wait for a dead one's lock.
func TestClientsThatGoAwayDuringARefreshHarmNobody(t *testing.T) {
	t.Parallel()
	w := newReplicas(t, 3, worldOptions{idpFlags: []string{"--refresh-rotation=strict"}}, Redis(t).Addr)
	c := NewClient(t)
	old, expiry := w.expiring(t, c, 2*time.Second)
	sleepUntil(expiry.Add(50 * time.Millisecond))
	w.slowRefresh(t, time.Second)
	name, value := w.sessionCookie(c)
	ctx, leave := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer leave()
	var wait sync.WaitGroup
	for _, replica := range w.All {
		wait.Go(func() {
			r, err := http.NewRequestWithContext(ctx, http.MethodGet, replica.URL()+"/", nil)
			if err != nil {
				t.Error(err)
				return
			}
			r.Host = w.host()
			r.Header.Set("Cookie", name+"="+value)
			if resp, err := loopback().RoundTrip(r); err == nil {
				resp.Body.Close()
				t.Errorf("there was an answer before the provider's: status %d", resp.StatusCode)
			}
		})
	}
	wait.Wait()
	for i := range w.All {
		s := w.look(w.At(c, i), "/")
		wantKari(t, fmt.Sprintf("replica %d", i), []seen{s})
		if s.token == old || s.took > 3*time.Second {
			t.Errorf("replica %d: %s, the old token: %v", i, s, s.token == old)
		}
	}
	if n := w.refreshes(t); n != 1 {
		t.Errorf("%d grants, want 1", n)
	}
}

// Contract 3.3: one more grant follows only if its holder dies. Those who wait at other replicas get an answer in bounded time.
func TestARefreshSurvivesTheReplicaThatMakesIt(t *testing.T) {
	t.Parallel()
	w := newReplicas(t, 3, worldOptions{}, Redis(t).Addr)
	c := NewClient(t)
	_, expiry := w.expiring(t, c, 2*time.Second)
	sleepUntil(expiry.Add(50 * time.Millisecond))
	w.slowRefresh(t, 2*time.Second)
	var wait sync.WaitGroup
	wait.Go(func() { w.look(w.At(c, 0), "/") }) // its connection breaks
	Eventually(t, "the provider is asked", func() error {
		if n := w.refreshes(t); n != 1 {
			return errorf("%d grants", n)
		}
		return nil
	})
	for i := 1; i < 3; i++ {
		wait.Go(func() {
			all := w.lookAtOnce(20, w.At(c, i), "/")
			if tokens := wantKari(t, "at another replica", all); len(tokens) != 1 {
				t.Errorf("the app got %d tokens", len(tokens))
			}
			for _, s := range all {
				if s.took > 10*time.Second {
					t.Errorf("somebody waited for %s", s.took)
				}
			}
		})
	}
	time.Sleep(300 * time.Millisecond)
	w.All[0].Kill(t)
	wait.Wait()
	if n := w.refreshes(t); n != 2 {
		t.Errorf("%d grants, want one and one more", n)
	}
	w.All[0].Restart(t)
	wantKari(t, "at the replica that came back", []seen{w.look(w.At(c, 0), "/")})
}

// Contract 3.3: never on an upgrade. It does not refresh, it is not anonymous, and the next plain request mends it.
func TestAnUpgradeNeverRefreshes(t *testing.T) {
	t.Parallel()
	w := newReplicas(t, 3, worldOptions{}, Redis(t).Addr)
	c := NewClient(t)
	_, expiry := w.expiring(t, c, 2*time.Second)
	sleepUntil(expiry.Add(50 * time.Millisecond))
	upgrade := []string{
		"Connection", "Upgrade", "Upgrade", "websocket", "Sec-WebSocket-Version", "13", "Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==", "Origin", w.origin(),
	}
	reached := len(w.app.Requests())
	for range 6 {
		if r := c.Get(w.ingress+"/ws", upgrade...); r.StatusCode != 503 || r.Header.Get("Retry-After") == "" {
			t.Errorf("an upgrade with an expired token: status %d", r.StatusCode)
		}
	}
	if n := len(w.app.Requests()) - reached; n != 0 || w.refreshes(t) != 0 {
		t.Errorf("the app was reached %d times, the provider asked %d times", n, w.refreshes(t))
	}
	wantKari(t, "a plain request", []seen{w.look(c, "/")})
	if n := w.refreshes(t); n != 1 {
		t.Errorf("%d grants, want 1", n)
	}
}

// Complaint 1 at a provider that was not written here: it rotates refresh tokens, and one that is used twice ends everything.
func TestNoLogoutByReuseDetectionAtOIDCProvider(t *testing.T) {
	t.Parallel()
	w := newReplicas(t, 3, worldOptions{idp: func(t testing.TB, redirects, postLogout []string) (identityProvider, map[string]string) {
		p := OIDCProvider(t, ProviderOptions{
			RedirectURIs: redirects, PostLogoutRedirectURIs: postLogout, TTL: map[string]int{"AccessToken": 2, "IdToken": 60},
		})
		return p, map[string]string{
			"POSTERN_OPENID_CLIENT_ID": KeyClient, "POSTERN_OPENID_CLIENT_JWK": p.ClientJWK, "POSTERN_OPENID_WELL_KNOWN_URL": p.WellKnown(),
			"POSTERN_OPENID_SCOPES": "profile,offline_access",
		}
	}}, Redis(t).Addr)
	c := NewClient(t)
	w.login(t, c, "kari", "")
	tokens := map[string]bool{}
	for range 4 {
		for _, s := range w.lookAtOnce(50, c, "/") {
			if s.err != nil || s.status != 200 || !strings.HasPrefix(s.token, "Bearer ") {
				t.Fatalf("logged out, or worse: %s", s)
			}
			tokens[s.token] = true
		}
		sleepUntil(w.metadata(t, c).Tokens.ExpireAt.Add(50 * time.Millisecond))
	}
	if len(tokens) < 3 {
		t.Errorf("%d tokens: nothing was refreshed", len(tokens))
	}
}

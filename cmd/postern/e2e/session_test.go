package e2e

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"
)

type sessionJSON struct {
	Session struct {
		CreatedAt        time.Time `json:"created_at"`
		EndsAt           time.Time `json:"ends_at"`
		TimeoutAt        time.Time `json:"timeout_at"`
		EndsInSeconds    int       `json:"ends_in_seconds"`
		Active           bool      `json:"active"`
		TimeoutInSeconds int       `json:"timeout_in_seconds"`
	} `json:"session"`
	Tokens struct {
		ExpireAt                 time.Time `json:"expire_at"`
		RefreshedAt              time.Time `json:"refreshed_at"`
		ExpireInSeconds          int       `json:"expire_in_seconds"`
		NextAutoRefreshInSeconds int       `json:"next_auto_refresh_in_seconds"`
		RefreshCooldown          bool      `json:"refresh_cooldown"`
		RefreshCooldownSeconds   int       `json:"refresh_cooldown_seconds"`
	} `json:"tokens"`
}

func (w *world) metadata(t testing.TB, c *Client) sessionJSON {
	t.Helper()
	r := c.Get(w.ingress + "/oauth2/session")
	if r.StatusCode != 200 || r.Header.Get("Content-Type") != "application/json" {
		t.Fatalf("session: status %d %s %s", r.StatusCode, r.Header.Get("Content-Type"), r.Body)
	}
	var m sessionJSON
	if err := json.Unmarshal([]byte(r.Body), &m); err != nil {
		t.Fatal(err)
	}
	return m
}

// Scenario 7: the session's JSON, with and without an idle timeout.
func TestSessionMetadata(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	c := NewClient(t)
	if r := c.Get(w.ingress + "/oauth2/session"); r.StatusCode != 401 {
		t.Errorf("nobody: status %d", r.StatusCode)
	}
	w.login(t, c, "kari", "")
	m := w.metadata(t, c)
	if !m.Session.Active || m.Session.TimeoutInSeconds != -1 || !m.Session.TimeoutAt.IsZero() ||
		m.Session.EndsInSeconds < 35900 || m.Session.EndsInSeconds > 36000 || !m.Tokens.RefreshCooldown || m.Tokens.NextAutoRefreshInSeconds <= 0 {
		t.Errorf("metadata: %+v", m)
	}
	r := c.Get(w.ingress + "/oauth2/session/")
	order := []string{
		"created_at", "ends_at", "timeout_at", "ends_in_seconds", "active", "timeout_in_seconds", "expire_at", "refreshed_at",
		"expire_in_seconds", "next_auto_refresh_in_seconds", "refresh_cooldown", "refresh_cooldown_seconds",
	}
	at := 0
	for _, name := range order {
		next := strings.Index(r.Body, `"`+name+`"`)
		if next < at {
			t.Errorf("%s is missing or out of order in %s", name, r.Body)
		}
		at = next
	}
	if cache := r.Header.Get("Cache-Control"); !strings.Contains(cache, "no-store") {
		t.Errorf("Cache-Control is %q", cache)
	}
}

func TestSessionMetadataWithAnIdleTimeout(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{env: map[string]string{"POSTERN_SESSION_INACTIVITY": "true", "POSTERN_SESSION_INACTIVITY_TIMEOUT": "20m"}})
	c := NewClient(t)
	w.login(t, c, "kari", "")
	if m := w.metadata(t, c); m.Session.TimeoutInSeconds < 1190 || m.Session.TimeoutInSeconds > 1200 || m.Session.TimeoutAt.IsZero() {
		t.Errorf("metadata: %+v", m)
	}
}

// S-30: looking at the session keeps nobody signed in; using the app does.
func TestS30IdleTimeoutIsMovedByUseOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{env: map[string]string{"POSTERN_SESSION_INACTIVITY": "true", "POSTERN_SESSION_INACTIVITY_TIMEOUT": "2s"}})
	looking, using := NewClient(t), NewClient(t)
	w.login(t, looking, "kari", "")
	w.login(t, using, "ola", "")
	end := time.Now().Add(3500 * time.Millisecond)
	for time.Now().Before(end) {
		looking.Get(w.ingress + "/oauth2/session")
		if w.get(t, using, "/").Header.Get("X-Postern-User") == "" {
			t.Fatal("somebody who uses the app was signed out")
		}
		time.Sleep(100 * time.Millisecond)
	}
	if r := looking.Get(w.ingress + "/oauth2/session"); r.StatusCode != 200 || !strings.Contains(r.Body, `"active":false`) {
		t.Errorf("inactive session: status %d %s", r.StatusCode, r.Body)
	}
	if seen := w.get(t, looking, "/"); seen.Header.Get("X-Postern-User") != "" {
		t.Error("an inactive session still speaks for somebody")
	}
	if r := looking.Send("POST", w.ingress+"/oauth2/session/refresh", ""); r.StatusCode != 401 {
		t.Errorf("refresh of an inactive session: status %d, want 401", r.StatusCode)
	}
}

// Scenario 8 for one replica: expiry moves, created_at and ends_at stay, the cooldown holds, and a burst at expiry costs one grant.
func TestRefresh(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	w.dev.Dev(t, "token-lifetime", map[string]any{"seconds": 3})
	c := NewClient(t)
	w.login(t, c, "kari", "")
	before := w.metadata(t, c)
	firstToken := w.get(t, c, "/").Header.Get("Authorization")
	if r := c.Get(w.ingress + "/oauth2/session/refresh"); r.StatusCode != 200 {
		t.Errorf("refresh during cooldown: status %d", r.StatusCode)
	}
	if m := w.metadata(t, c); !m.Tokens.RefreshedAt.Equal(before.Tokens.RefreshedAt) {
		t.Error("the cooldown was not held")
	}
	time.Sleep(time.Until(before.Tokens.ExpireAt) + 50*time.Millisecond)
	tokens := w.dev.Counts(t)["token"]
	results := make(chan string, 20)
	for range cap(results) {
		go func() {
			r, err := c.Try(http.MethodGet, w.ingress+"/", "")
			if err != nil {
				results <- err.Error()
				return
			}
			results <- r.Status
		}()
	}
	for range cap(results) {
		if got := <-results; got != "200 OK" {
			t.Errorf("a request at expiry: %s", got)
		}
	}
	if grants := w.dev.Counts(t)["token"] - tokens; grants != 1 {
		t.Errorf("%d grants for 20 requests at expiry, want 1", grants)
	}
	if now := w.get(t, c, "/").Header.Get("Authorization"); now == firstToken || now == "" {
		t.Error("the app still gets the expired token")
	}
	after := w.metadata(t, c)
	if !after.Session.CreatedAt.Equal(before.Session.CreatedAt) || !after.Session.EndsAt.Equal(before.Session.EndsAt) ||
		!after.Tokens.ExpireAt.After(before.Tokens.ExpireAt) {
		t.Errorf("before %+v after %+v", before, after)
	}
}

// The provider ends the session for good: the person is nobody from then on, and the provider is not asked again.
func TestRefreshRefusedEndsTheSession(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	w.dev.Dev(t, "token-lifetime", map[string]any{"seconds": 2})
	c := NewClient(t)
	w.login(t, c, "kari", "")
	w.dev.Dev(t, "refresh-tokens/revoke", map[string]any{"user": "kari"})
	time.Sleep(time.Until(w.metadata(t, c).Tokens.ExpireAt) + 50*time.Millisecond)
	w.get(t, c, "/")
	tokens := w.dev.Counts(t)["token"]
	for range 5 {
		if seen := w.get(t, c, "/"); seen.Header.Get("X-Postern-User") != "" {
			t.Error("still somebody")
		}
	}
	if more := w.dev.Counts(t)["token"] - tokens; more != 0 {
		t.Errorf("the provider was asked %d more times", more)
	}
}

// S-30: what the provider wants to see is asked for at the next login.
func TestS30ClaimsChallengeReachesTheNextLogin(t *testing.T) {
	t.Parallel()
	const challenge = `{"access_token":{"acrs":{"essential":true,"value":"c1"}}}`
	w := newWorld(t, worldOptions{idpFlags: []string{"--par=off"}})
	w.dev.Dev(t, "token-lifetime", map[string]any{"seconds": 2})
	c := NewClient(t)
	w.login(t, c, "kari", "")
	w.dev.Dev(t, "token-error", map[string]any{
		"grant_type": "refresh_token", "error": "interaction_required", "aadsts": 50076, "claims": challenge, "times": 1,
	})
	time.Sleep(time.Until(w.metadata(t, c).Tokens.ExpireAt) + 50*time.Millisecond)
	if w.get(t, c, "/").Header.Get("X-Postern-User") != "" {
		t.Error("still signed in")
	}
	if got := c.Navigate(w.ingress + "/oauth2/login").Where().Query().Get("claims"); got != challenge {
		t.Errorf("the next login asks for %q", got)
	}
	if got := NewClient(t).Navigate(w.ingress + "/oauth2/login").Where().Query().Get("claims"); got != "" {
		t.Errorf("somebody else's login asks for %q", got)
	}
}

package e2e

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// Scenario 27, S-29: Postern starts while the provider is down, says so, and recovers without a restart.
func TestS29StartsWithTheProviderDown(t *testing.T) {
	t.Parallel()
	w := prepareWorld(t, worldOptions{env: map[string]string{"POSTERN_AUTO_LOGIN": "true", "POSTERN_AUTO_LOGIN_IGNORE_PATHS": "/public"}})
	idpPort := w.dev.Port()
	w.dev.Stop(t)
	w.Process = Launch(t, w.env)
	w.WaitURL(t, "http://"+w.ProbeAddr+"/livez")
	if status, body := w.Readyz(t); status != 503 || !strings.Contains(body, `"starting"`) {
		t.Errorf("readyz: status %d %s", status, body)
	}
	c := NewClient(t)
	began := time.Now()
	r := c.Navigate(w.ingress + "/oauth2/login")
	if r.StatusCode != 503 || r.Header.Get("Retry-After") == "" || time.Since(began) > 4*time.Second {
		t.Errorf("login: status %d after %s", r.StatusCode, time.Since(began))
	}
	if r := c.Get(w.ingress + "/public"); r.StatusCode != 200 {
		t.Errorf("ignored path: status %d", r.StatusCode)
	}
	again := DevIDP(t, idpPort, []string{w.ingress + "/oauth2/callback"}, nil)
	w.idp, w.dev = again, again
	w.WaitReady(t)
	w.login(t, c, "kari", "")
	if w.get(t, c, "/").Header.Get("X-Postern-User") != "Z990001" {
		t.Error("not signed in after the provider came back")
	}
	w.Stop(t)
}

// Scenario 28: an app that hangs is 504 within the limit, one that is not there 502, one that breaks off in the middle cuts the connection.
func TestAppTrouble(t *testing.T) {
	t.Parallel()
	app := App(t, map[string]http.HandlerFunc{
		"/hang": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"/break": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			_, _ = w.Write([]byte("some"))
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		},
	})
	w := newWorld(t, worldOptions{app: app, env: map[string]string{"POSTERN_UPSTREAM_TIMEOUT": "300ms"}})
	c := NewClient(t)
	if r := c.Get(w.ingress + "/hang"); r.StatusCode != http.StatusGatewayTimeout || !strings.Contains(r.Body, "app_timeout") {
		t.Errorf("hanging app: status %d %s", r.StatusCode, r.Body)
	}
	if r, err := c.Try("GET", w.ingress+"/break", ""); err == nil {
		t.Errorf("an app that breaks off: status %d, and the answer looks whole", r.StatusCode)
	}
	gone := newWorld(t, worldOptions{app: &AppServer{Addr: "127.0.0.1:" + FreePort(t)}})
	if r := c.Navigate(gone.ingress + "/x"); r.StatusCode != http.StatusBadGateway || !strings.Contains(r.Body, "<html") {
		t.Errorf("no app: status %d\n%.200s", r.StatusCode, r.Body)
	}
}

// A provider that fails during the login is 503 with a way on, never a session and never a 401.
func TestProviderTroubleDuringLogin(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	for name, fault := range map[string]map[string]any{
		"500":        {"endpoint": "token", "status": 500},
		"429":        {"endpoint": "token", "status": 429, "retry_after": 7},
		"HTML":       {"endpoint": "token", "status": 200, "body": "<html>hello</html>", "content_type": "text/html"},
		"cut off":    {"endpoint": "token", "drop": true},
		"not tokens": {"endpoint": "token", "status": 200, "body": `{"access_token":5}`, "content_type": "application/json"},
	} {
		c := NewClient(t)
		back := w.idp.SignIn(c, c.Navigate(w.ingress+"/oauth2/login"), "kari")
		w.dev.Dev(t, "faults", fault)
		r := c.Navigate(back.Where().String())
		w.dev.Dev(t, "faults/clear", map[string]any{})
		if r.StatusCode != 503 || r.Header.Get("Retry-After") == "" {
			t.Errorf("%s: status %d\n%.300s", name, r.StatusCode, r.Body)
		}
		if name == "429" && r.Header.Get("Retry-After") != "7" {
			t.Errorf("Retry-After of the provider became %q", r.Header.Get("Retry-After"))
		}
		if cookie, _ := w.sessionCookie(c); cookie != "" {
			t.Errorf("%s: a session was made", name)
		}
	}
}

// A provider that is down while tokens live is nobody's business.
func TestProviderOutageDoesNotTouchSessions(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	c := NewClient(t)
	w.login(t, c, "kari", "")
	w.dev.Kill(t)
	for range 3 {
		if w.get(t, c, "/x").Header.Get("X-Postern-User") != "Z990001" {
			t.Fatal("signed out by an outage of the provider")
		}
	}
	if r := c.Send("POST", w.ingress+"/oauth2/session/refresh", ""); r.StatusCode != 200 {
		t.Errorf("refresh: status %d", r.StatusCode)
	}
	if r := c.Navigate(w.ingress + "/oauth2/logout"); r.StatusCode != 302 && r.StatusCode != 200 {
		t.Errorf("logout: status %d", r.StatusCode)
	}
	if w.get(t, c, "/x").Header.Get("X-Postern-User") != "" {
		t.Error("still signed in after the logout")
	}
}

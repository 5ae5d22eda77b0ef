package e2e

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// Scenario 6: logout with and without a session, with a hint, and every place where it may lead afterwards.
func TestLogoutLeadsWhereItMay(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	for name, test := range map[string]struct {
		query string
		want  string // path after the callback
	}{
		"default":             {"", "/"},
		"a path of the app":   {"?redirect=%2Fbye%3Fx%3D1", "/bye?x=1"},
		"another site":        {"?redirect=https%3A%2F%2Fevil.example%2Fx", "/x"},
		"two slashes":         {"?redirect=%2F%2Fevil.example", "/"},
		"one of our own":      {"?redirect=%2Foauth2%2Flogin", "/"},
		"a hint for the user": {"?logout_hint=kari&redirect=/bye", "/bye"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := NewClient(t)
			w.login(t, c, "kari", "")
			out := c.Navigate(w.ingress + "/oauth2/logout" + test.query)
			q := out.Where().Query()
			if q.Get("id_token_hint") == "" || q.Get("state") == "" {
				t.Error("the provider gets no hint, or no state")
			}
			if strings.Contains(test.query, "logout_hint") && q.Get("logout_hint") != "kari" {
				t.Errorf("logout_hint is %q", q.Get("logout_hint"))
			}
			back := c.FollowUntil(c.Navigate(out.Where().String()), func(next *url.URL) bool { return next.Path == "/oauth2/logout/callback" })
			end := c.Navigate(back.Where().String())
			if got := end.Where().RequestURI(); got != test.want || end.Where().Host != w.host() {
				t.Errorf("ended at %s, want %s on our host", end.Where(), test.want)
			}
		})
	}
}

func TestLogoutWithoutSessionStillLogsOutAtTheProvider(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	r := NewClient(t).Navigate(w.ingress + "/oauth2/logout")
	if !r.Redirects() || r.Where().Query().Get("id_token_hint") != "" || !strings.HasPrefix(r.Where().String(), w.dev.origin()) {
		t.Errorf("status %d to %s", r.StatusCode, r.Where().Redacted())
	}
}

func TestLogoutCallbackWithAForeignStateGoesToTheIngress(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	c := NewClient(t)
	w.login(t, c, "kari", "")
	c.Navigate(w.ingress + "/oauth2/logout?redirect=/bye")
	r := c.Navigate(w.ingress + "/oauth2/logout/callback?state=forged")
	if r.StatusCode != http.StatusFound || r.Where().Path != "/" {
		t.Errorf("status %d to %s", r.StatusCode, r.Where())
	}
}

// Advisories CVE-2024-21492 and CVE-2025-55162: the ended session is ended in the store, whatever happens to the cookie.
func TestAdvisoryCVE2024_21492EndedSessionCannotBeReplayed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	for _, path := range []string{"/oauth2/logout", "/oauth2/logout/local"} {
		c := NewClient(t)
		w.login(t, c, "kari", "")
		name, value := w.sessionCookie(c)
		r := c.Get(w.ingress + path)
		if cleared := clearedCookie(r, name); cleared == nil {
			t.Errorf("%s does not delete the cookie", path)
		} else if !cleared.Secure || !cleared.HttpOnly || cleared.Path != "/" || cleared.SameSite != http.SameSiteLaxMode {
			t.Errorf("%s deletes the cookie with other attributes than it was set with: %v", path, cleared)
		}
		replay := NewClient(t)
		replay.SetCookie(w.ingress, &http.Cookie{Name: name, Value: value, Path: "/", Secure: true})
		if seen := w.get(t, replay, "/"); seen.Header.Get("X-Postern-Subject") != "" {
			t.Errorf("%s: the old cookie still speaks for somebody", path)
		}
	}
}

func clearedCookie(r *Response, name string) *http.Cookie {
	for _, cookie := range r.Cookies() {
		if cookie.Name == name && cookie.MaxAge < 0 {
			return cookie
		}
	}
	return nil
}

func TestLocalLogout(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	c := NewClient(t)
	for range 2 { // also without a session
		for _, method := range []string{"GET", "HEAD", "POST"} {
			if r := c.Send(method, w.ingress+"/oauth2/logout/local", ""); r.StatusCode != http.StatusNoContent {
				t.Errorf("%s: status %d, want 204", method, r.StatusCode)
			}
		}
		w.login(t, c, "kari", "")
	}
}

// S-32: another site cannot log anybody out: a link asks first, a form is refused.
func TestS32CrossSiteLogoutAsksFirst(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	c := NewClient(t)
	w.login(t, c, "kari", "")
	for _, path := range []string{"/oauth2/logout", "/oauth2/logout/local"} {
		r := c.Navigate(w.ingress+path, "Sec-Fetch-Site", "cross-site")
		if r.StatusCode != 200 || !strings.Contains(r.Body, "<form") {
			t.Errorf("GET %s: status %d, want a page with a button", path, r.StatusCode)
		}
		for name, headers := range map[string][]string{
			"cross-site":      {"Sec-Fetch-Site", "cross-site"},
			"same-site":       {"Sec-Fetch-Site", "same-site"},
			"foreign origin":  {"Origin", "https://evil.example"},
			"opaque origin":   {"Origin", "null"},
			"sibling, no sfs": {"Origin", "http://other.localhost"},
		} {
			if r := c.Send("POST", w.ingress+path, "", headers...); r.StatusCode != http.StatusForbidden {
				t.Errorf("POST %s, %s: status %d, want 403", path, name, r.StatusCode)
			}
		}
	}
	if w.get(t, c, "/").Header.Get("X-Postern-Subject") == "" {
		t.Fatal("the session is gone")
	}
	page := c.Navigate(w.ingress+"/oauth2/logout", "Sec-Fetch-Site", "cross-site")
	if r := c.Submit(page, nil); !r.Redirects() {
		t.Errorf("the button: status %d", r.StatusCode)
	}
	if w.get(t, c, "/").Header.Get("X-Postern-Subject") != "" {
		t.Error("the button did not log out")
	}
}

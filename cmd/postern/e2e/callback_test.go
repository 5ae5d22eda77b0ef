package e2e

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// Scenario 3 and the forged callbacks of the issue: none of these makes a session, or reaches the token endpoint where it need not.
// Row 51 of peers.md: a callback is bound to its browser, to PKCE and to the nonce.
func TestForgedCallbacksMakeNoSession(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	change := func(name, value string) func(url.Values) {
		return func(q url.Values) { q.Set(name, value) }
	}
	tests := map[string]struct {
		forge  func(url.Values)
		status int
	}{
		"state of nobody":         {change("state", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"), 401},
		"no state":                {func(q url.Values) { q.Del("state") }, 401},
		"two states":              {func(q url.Values) { q.Add("state", "x") }, 400},
		"two codes":               {func(q url.Values) { q.Add("code", "x") }, 400},
		"two issuers":             {func(q url.Values) { q.Add("iss", "https://evil.example") }, 400},
		"foreign issuer":          {change("iss", "https://evil.example"), 401},
		"no issuer":               {func(q url.Values) { q.Del("iss") }, 401},
		"unknown code":            {change("code", "never-issued"), 401},
		"no code":                 {func(q url.Values) { q.Del("code") }, 401},
		"huge state":              {change("state", strings.Repeat("s", 20<<10)), 400},
		"huge code":               {change("code", strings.Repeat("c", 20<<10)), 400},
		"error of a foreign flow": {func(q url.Values) { q.Set("error", "access_denied"); q.Set("state", "forged") }, 401},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := NewClient(t)
			back := w.idp.SignIn(c, c.Navigate(w.ingress+"/oauth2/login"), "kari").Where()
			q := back.Query()
			test.forge(q)
			back.RawQuery = q.Encode()
			r := c.Navigate(back.String())
			if r.StatusCode != test.status {
				t.Errorf("status %d, want %d\n%.300s", r.StatusCode, test.status, r.Body)
			}
			if name, _ := w.sessionCookie(c); name != "" {
				t.Error("a session was made")
			}
			if strings.Contains(r.Body, "evil.example") || strings.Contains(r.Body, "never-issued") {
				t.Error("the page echoes the request")
			}
		})
	}
}

// Advisory 51: the login is bound to the browser. Another browser with the same callback is nobody.
func TestCallbackOfAnotherBrowser(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	attacker, victim := NewClient(t), NewClient(t)
	back := w.idp.SignIn(attacker, attacker.Navigate(w.ingress+"/oauth2/login"), "kari").Where().String()
	r := victim.Navigate(back)
	if name, _ := w.sessionCookie(victim); name != "" {
		t.Fatal("the victim was signed in as somebody else")
	}
	if r.Redirects() && !strings.Contains(r.Where().Host, "idp.localhost") {
		t.Errorf("sent to %s", r.Where())
	}
}

// S-23: a state is redeemed once; the second callback costs no grant at the provider.
func TestS23StateIsRedeemedOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	c := NewClient(t)
	started := c.Navigate(w.ingress + "/oauth2/login")
	cookies := c.Cookies(w.ingress + "/")
	back := w.idp.SignIn(c, started, "kari").Where()
	if done := c.Navigate(back.String()); done.StatusCode != http.StatusFound {
		t.Fatalf("first callback: status %d", done.StatusCode)
	}
	before := w.dev.Counts(t)["token"]
	q := back.Query()
	q.Set("code", "another")
	back.RawQuery = q.Encode()

	if r := c.Navigate(back.String()); r.StatusCode < 400 || r.StatusCode >= 500 {
		t.Errorf("second callback: status %d, want 4xx", r.StatusCode)
	}
	replay := NewClient(t) // kept the login cookie
	for name, value := range cookies {
		replay.SetCookie(w.ingress, &http.Cookie{Name: name, Value: value, Path: "/", Secure: true})
	}
	if r := replay.Navigate(back.String()); r.StatusCode < 400 || r.StatusCode >= 500 {
		t.Errorf("replayed callback: status %d, want 4xx", r.StatusCode)
	}
	if after := w.dev.Counts(t)["token"]; after != before {
		t.Errorf("%d more requests at the token endpoint", after-before)
	}
}

// S-32: whatever a callback brings, it touches the login of its state and no other.
func TestS32CallbackTouchesOnlyItsOwnLogin(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	c := NewClient(t)
	w.login(t, c, "kari", "")
	tab := w.dev.SignIn(c, c.Navigate(w.ingress+"/oauth2/login?redirect=/tab"), "kari")
	for _, forged := range []string{"?error=access_denied&state=x", "?code=x&state=y", "?error=server_error", "?"} {
		c.Navigate(w.ingress + "/oauth2/callback" + forged)
	}
	if got := w.get(t, c, "/").Header.Get("X-Postern-User"); got != "Z990001" {
		t.Errorf("the session was lost: %q", got)
	}
	if done := c.Navigate(tab.Where().String()); done.Where().Path != "/tab" {
		t.Errorf("the other tab: status %d to %s", done.StatusCode, done.Where().Redacted())
	}
}

// Pressing "cancel" is not an error to be retried: it shows a page with a way on.
func TestCancelAtTheProviderShowsAPage(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	c := NewClient(t)
	back := w.idp.Cancel(c, c.Navigate(w.ingress+"/oauth2/login?redirect=/x"))
	r := c.Navigate(back.Where().String())
	if r.StatusCode != http.StatusForbidden || !strings.Contains(r.Body, "/oauth2/login") {
		t.Errorf("status %d, want 403 and a link to log in\n%.300s", r.StatusCode, r.Body)
	}
	if strings.Contains(r.Body, "AADSTS") {
		t.Error("the provider's description is in the page")
	}
}

// A browser that keeps no cookies is told so after one more try, instead of going round for ever.
func TestCookielessBrowserIsToldSo(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	c := NewClient(t)
	r := c.Navigate(w.ingress + "/oauth2/login")
	for round := range 3 {
		back := w.idp.SignIn(c, r, "kari").Where().String()
		fresh := NewClient(t) // none of our cookies
		r = fresh.Navigate(back)
		if !r.Redirects() {
			if r.StatusCode != http.StatusUnauthorized || !strings.Contains(strings.ToLower(r.Body), "cookie") {
				t.Errorf("status %d, and no word about cookies", r.StatusCode)
			}
			if round == 0 {
				t.Error("a login that was lost once is not started anew")
			}
			return
		}
	}
	t.Error("three rounds and no page")
}

// A redirect loop is broken after three rounds by a page that names the probable cause.
func TestLoopIsBrokenAfterThreeRounds(t *testing.T) {
	t.Parallel()
	app := App(t, map[string]http.HandlerFunc{"/rejecting": func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/oauth2/login?redirect=/rejecting", http.StatusFound) // an app that accepts nobody's token
	}})
	w := newWorld(t, worldOptions{app: app})
	for name, test := range map[string]struct {
		path        string
		dropSession bool
		word        string
	}{
		"the session cookie does not stick": {"/same", true, "cookie"},
		"the app sends the browser back":    {"/rejecting", false, "app"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := NewClient(t)
			for round := 1; ; round++ {
				r := c.Navigate(w.ingress + "/oauth2/login?redirect=" + test.path)
				if !r.Redirects() {
					if round != 4 || r.StatusCode != http.StatusTooManyRequests || !strings.Contains(strings.ToLower(r.Body), test.word) {
						t.Errorf("round %d: status %d; want the page in round 4\n%.600s", round, r.StatusCode, r.Body)
					}
					return
				}
				if round > 6 {
					t.Fatal("the loop goes on")
				}
				done := c.Navigate(w.idp.SignIn(c, r, "kari").Where().String())
				if test.dropSession {
					name, _ := w.sessionCookie(c)
					c.SetCookie(w.ingress, &http.Cookie{Name: name, Path: "/", Secure: true, MaxAge: -1})
				} else if back := c.Navigate(done.Where().String()); back.Where().Path != "/oauth2/login" {
					t.Fatalf("the app did not send the browser back: status %d", back.StatusCode)
				}
			}
		})
	}
}

// wonderwall's ratelimit options: so many logins in a window, of a browser that has a session; whoever has none is never limited by it.
func TestRateLimitOfOneBrowser(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		env     map[string]string
		allowed int
	}{
		"default":  {nil, 5},
		"more":     {map[string]string{"POSTERN_RATELIMIT_LOGINS": "8", "POSTERN_RATELIMIT_WINDOW": "1m"}, 8},
		"disabled": {map[string]string{"WONDERWALL_RATELIMIT_ENABLED": "false"}, 12},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, worldOptions{env: test.env})
			signedIn, stranger := NewClient(t), NewClient(t)
			w.login(t, signedIn, "kari", "")
			for n := 1; n <= 12; n++ {
				if r := stranger.Navigate(w.ingress + "/oauth2/login"); r.StatusCode != http.StatusFound {
					t.Fatalf("a stranger's login %d: status %d", n, r.StatusCode)
				}
				r := signedIn.Navigate(w.ingress + "/oauth2/login")
				if limited := r.StatusCode == http.StatusTooManyRequests; limited != (n > test.allowed) {
					t.Fatalf("login %d: status %d", n, r.StatusCode)
				}
				if n > test.allowed && (r.Header.Get("Retry-After") == "" || len(r.Cookies()) != 0) {
					t.Errorf("429 with Retry-After %q and %d cookies", r.Header.Get("Retry-After"), len(r.Cookies()))
				}
			}
		})
	}
}

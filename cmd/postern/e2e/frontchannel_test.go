package e2e

import (
	"crypto/rand"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// frontChannel is the address that the provider's logout page loads in a frame.
func (w *world) frontChannel(q url.Values) string {
	return w.ingress + "/oauth2/logout/frontchannel?" + q.Encode()
}

// fromFrame is what a browser says of a frame on a page of another site.
func fromFrame() []string {
	return []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "iframe", "Accept", "text/html"}
}

// S-33: the session that is named ends, without its cookie, if the issuer is the provider. (OIDC Front-Channel Logout 1.0 §3.)
func TestS33FrontChannelLogout(t *testing.T) {
	t.Parallel()
	w := logoutWorld(t, worldOptions{})
	c, other := NewClient(t), NewClient(t)
	w.login(t, c, "kari", "")
	w.login(t, other, "kari", "")
	_, sid := w.names(t, c)
	issuer := w.dev.Issuer
	for name, test := range map[string]struct {
		query  url.Values
		status int
	}{
		"another issuer":        {url.Values{"sid": {sid}, "iss": {"https://evil.example"}}, 400},
		"another of the house":  {url.Values{"sid": {sid}, "iss": {w.dev.IDPortenIssuer()}}, 400},
		"the issuer, a slash":   {url.Values{"sid": {sid}, "iss": {issuer + "/"}}, 400},
		"no issuer":             {url.Values{"sid": {sid}}, 400},
		"two issuers":           {url.Values{"sid": {sid}, "iss": {issuer, "https://evil.example"}}, 400},
		"two sessions":          {url.Values{"sid": {sid, "x"}, "iss": {issuer}}, 400},
		"no session (202)":      {url.Values{"iss": {issuer}}, 202},
		"nothing (202)":         {nil, 202},
		"an empty one (202)":    {url.Values{"sid": {""}, "iss": {issuer}}, 202},
		"an unknown one":        {url.Values{"sid": {"nobody's"}, "iss": {issuer}}, 200},
		"the person's own name": {url.Values{"sid": {w.get(t, c, "/").Header.Get("X-Postern-Subject")}, "iss": {issuer}}, 200},
	} {
		r := c.Get(w.frontChannel(test.query), fromFrame()...)
		if r.StatusCode != test.status || len(r.Cookies()) > 0 || (test.status < 300) != (r.Body == "") {
			t.Errorf("%s: status %d, want %d; %d cookies, body %q", name, r.StatusCode, test.status, len(r.Cookies()), r.Body)
		}
	}
	for _, method := range []string{"HEAD", "POST"} {
		if r := c.Send(method, w.frontChannel(url.Values{"sid": {sid}, "iss": {issuer}}), ""); r.StatusCode != http.StatusMethodNotAllowed {
			t.Errorf("%s: status %d", method, r.StatusCode)
		}
	}
	w.wantAlive(t, "after all of them", c, true)

	r := NewClient(t).Get(w.frontChannel(url.Values{"sid": {sid}, "iss": {issuer}}), fromFrame()...)
	if r.StatusCode != http.StatusOK || r.Body != "" || r.Header.Get("X-Frame-Options") != "" || strings.Contains(r.Header.Get("Content-Security-Policy"), "frame-ancestors") {
		t.Errorf("status %d, body %q, X-Frame-Options %q, policy %q", r.StatusCode, r.Body, r.Header.Get("X-Frame-Options"), r.Header.Get("Content-Security-Policy"))
	}
	w.wantAlive(t, "the session that was named", c, false)
	w.wantAlive(t, "another browser of the same person", other, true)
	w.Log.Without(t, map[string]string{"sid": sid})
}

// No other answer of ours may be framed: the button of a logout must not be pressed by somebody who sees another page.
func TestOnlyTheFrontChannelMayBeFramed(t *testing.T) {
	t.Parallel()
	w := logoutWorld(t, worldOptions{})
	c := NewClient(t)
	w.login(t, c, "kari", "")
	for _, path := range []string{"/oauth2/logout", "/oauth2/logout/local"} {
		r := c.Navigate(w.ingress+path, "Sec-Fetch-Site", "cross-site")
		if r.StatusCode != 200 || r.Header.Get("X-Frame-Options") != "DENY" {
			t.Errorf("%s: status %d, X-Frame-Options %q", path, r.StatusCode, r.Header.Get("X-Frame-Options"))
		}
	}
	w.wantAlive(t, "afterwards", c, true)
}

// A browser that does send its cookie loses it with its session, and not with somebody else's. (Rows 42 and 43 of the peers' advisories.)
func TestFrontChannelLogoutClearsTheCookieOfADeadSession(t *testing.T) {
	t.Parallel()
	for name, path := range map[string]string{"root of the host": "", "ingress with a path": "/app"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := logoutWorld(t, worldOptions{path: path})
			one, two := NewClient(t), NewClient(t)
			set := setCookie(w.login(t, one, "kari", ""), ".session")
			w.login(t, two, "kari", "")
			_, sid := w.names(t, one)
			logout := w.frontChannel(url.Values{"sid": {sid}, "iss": {w.dev.Issuer}})
			if r := two.Get(logout); r.StatusCode != 200 || len(r.Cookies()) > 0 {
				t.Errorf("the other browser: status %d, %d cookies", r.StatusCode, len(r.Cookies()))
			}
			w.wantAlive(t, "the other browser", two, true)
			r := one.Get(logout)
			if cleared := clearedCookie(r, set.Name); r.StatusCode != 200 || cleared == nil {
				t.Errorf("status %d, the cookie of the dead session stays", r.StatusCode)
			} else if !sameAttributes(set, cleared) {
				t.Errorf("deleted as %v, set as %v", cleared, set)
			}
		})
	}
}

// Anybody can send it, so there is a limit to what it costs; other ways out have nothing to do with that.
func TestFrontChannelLogoutIsLimited(t *testing.T) {
	t.Parallel()
	w := logoutWorld(t, worldOptions{env: map[string]string{"POSTERN_LOGIN_RATE": "1"}})
	c := NewClient(t)
	w.login(t, c, "kari", "")
	seen := map[int]int{}
	for n := range 40 {
		r := NewClient(t).Get(w.frontChannel(url.Values{"sid": {rand.Text()}, "iss": {w.dev.Issuer}}))
		seen[r.StatusCode]++
		if r.StatusCode == http.StatusTooManyRequests && (n < 4 || r.Header.Get("Retry-After") == "") {
			t.Errorf("request %d: Retry-After %q", n, r.Header.Get("Retry-After"))
		}
	}
	if seen[http.StatusTooManyRequests] == 0 || seen[http.StatusOK] < 4 || len(seen) != 2 {
		t.Errorf("answers by status: %v", seen)
	}
	if r := c.Get(w.ingress + "/oauth2/logout/local"); r.StatusCode != http.StatusNoContent {
		t.Errorf("local logout: status %d", r.StatusCode)
	}
}

// The store is away: 503 and not wonderwall's 202, since nothing has ended, and the cookie stays.
func TestFrontChannelLogoutWhileTheStoreIsAway(t *testing.T) {
	t.Parallel()
	redis := Redis(t)
	w := logoutWorld(t, worldOptions{env: map[string]string{"POSTERN_REDIS_URI": redis.URI()}})
	c := NewClient(t)
	w.login(t, c, "kari", "")
	_, sid := w.names(t, c)
	redis.Freeze()
	r := c.Get(w.frontChannel(url.Values{"sid": {sid}, "iss": {w.dev.Issuer}}), fromFrame()...)
	if r.StatusCode != http.StatusServiceUnavailable || r.Header.Get("Retry-After") == "" || len(r.Cookies()) > 0 {
		t.Errorf("status %d, Retry-After %q, %d cookies", r.StatusCode, r.Header.Get("Retry-After"), len(r.Cookies()))
	}
	redis.Resume()
}

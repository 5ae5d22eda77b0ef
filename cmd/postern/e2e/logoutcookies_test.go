package e2e

import (
	"net/http"
	"strings"
	"testing"
)

// setCookie is the cookie with this ending that an answer sets.
func setCookie(r *Response, suffix string) *http.Cookie {
	for _, cookie := range r.Cookies() {
		if strings.HasSuffix(cookie.Name, suffix) && cookie.MaxAge >= 0 {
			return cookie
		}
	}
	return &http.Cookie{}
}

// sameAttributes says whether a deletion is one for every browser: they ignore one that differs.
func sameAttributes(set, cleared *http.Cookie) bool {
	return set.Name == cleared.Name && set.Path == cleared.Path && set.Domain == cleared.Domain && set.Secure == cleared.Secure &&
		set.HttpOnly == cleared.HttpOnly && set.SameSite == cleared.SameSite
}

// Rows 42 and 43 of the peers' advisories: whatever is set on the way in and out is HttpOnly, Secure and Lax, on the path of the ingress, and
// its deletion says the same. At the end nothing is left.
func TestAdvisoryCVE2025_55162EveryDeletionRepeatsTheAttributes(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]worldOptions{
		"root of the host":    {},
		"ingress with a path": {path: "/app"},
		"not secure":          {env: map[string]string{"POSTERN_COOKIE_SECURE": "false"}},
		"another prefix":      {env: map[string]string{"POSTERN_COOKIE_PREFIX": "my-app"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, o)
			secure := o.env["POSTERN_COOKIE_SECURE"] == ""
			path := "/"
			if o.path != "" {
				path = o.path
			}
			c := NewClient(t)
			seen, left := map[string]*http.Cookie{}, map[string]bool{}
			note := func(r *Response) *Response {
				for _, cookie := range r.Cookies() {
					if !strings.HasPrefix(r.Request.URL.Host, "app.") {
						continue
					}
					if cookie.MaxAge < 0 {
						if set := seen[cookie.Name]; set == nil || !sameAttributes(set, cookie) {
							t.Errorf("deleted as %v, set as %v", cookie, set)
						}
						delete(left, cookie.Name)
						continue
					}
					if !cookie.HttpOnly || cookie.Secure != secure || cookie.SameSite != http.SameSiteLaxMode || cookie.Path != path || cookie.Domain != "" {
						t.Errorf("set as %v", cookie)
					}
					seen[cookie.Name], left[cookie.Name] = cookie, true
				}
				return r
			}
			back := w.idp.SignIn(c, note(c.Navigate(w.ingress+"/oauth2/login")), "kari")
			note(c.Navigate(back.Where().String()))
			out := note(c.Navigate(w.ingress + "/oauth2/logout"))
			for out.Redirects() && !strings.HasSuffix(out.Request.URL.Path, "/logout/callback") {
				out = note(c.Navigate(out.Where().String()))
			}
			if len(seen) < 3 || len(left) > 0 { // a login, a session, a logout
				t.Errorf("%d cookies were set, and these are left: %v", len(seen), left)
			}
		})
	}
}

// The store is away when somebody wants out, however they ask: nobody is told that it worked, and the handle on the session stays.
func TestLogoutWhileTheStoreIsAwayDoesNotPretend(t *testing.T) {
	t.Parallel()
	redis := Redis(t)
	w := newWorld(t, worldOptions{env: map[string]string{"POSTERN_REDIS_URI": redis.URI(), "POSTERN_SESSION_CACHE_TTL": "0s"}})
	c := NewClient(t)
	w.login(t, c, "kari", "")
	page := []string{"Accept", "text/html", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document", "Sec-Fetch-Site", "same-origin"}
	script := []string{"Accept", "application/json", "Sec-Fetch-Mode", "cors", "Sec-Fetch-Dest", "empty", "Sec-Fetch-Site", "same-origin"}
	redis.Freeze()
	for _, test := range []struct {
		method, path string
		headers      []string
		body         string
	}{
		{"GET", "/oauth2/logout", page, `<form method="post" action="/oauth2/logout`},
		{"POST", "/oauth2/logout", page, `<form method="post" action="/oauth2/logout`},
		{"HEAD", "/oauth2/logout", nil, ""},
		{"GET", "/oauth2/logout", nil, `{"error":"store_unavailable"`},
		{"POST", "/oauth2/logout", script, `{"error":"store_unavailable"`},
		{"GET", "/oauth2/logout/local", page, `<form method="post" action="/oauth2/logout/local`},
		{"POST", "/oauth2/logout/local", page, `<form method="post" action="/oauth2/logout/local`},
		{"HEAD", "/oauth2/logout/local", nil, ""},
		{"GET", "/oauth2/logout/local", script, `{"error":"store_unavailable"`},
		{"POST", "/oauth2/logout/local", script, `{"error":"store_unavailable"`},
	} {
		r := c.Send(test.method, w.ingress+test.path, "", test.headers...)
		if r.StatusCode != http.StatusServiceUnavailable || r.Header.Get("Retry-After") == "" || len(r.Cookies()) > 0 || !strings.Contains(r.Body, test.body) {
			t.Errorf("%s %s: status %d, Retry-After %q, %d cookies\n%.200s", test.method, test.path, r.StatusCode, r.Header.Get("Retry-After"), len(r.Cookies()), r.Body)
		}
	}
	if name, _ := w.sessionCookie(c); name == "" {
		t.Error("the cookie is gone, and with it the handle on the session")
	}
	redis.Resume()
	Eventually(t, "the store is back", func() error {
		if r := c.Get(w.ingress + "/oauth2/logout/local"); r.StatusCode != http.StatusNoContent {
			return errorf("status %d", r.StatusCode)
		}
		return nil
	})
}

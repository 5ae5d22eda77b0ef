package e2e

import (
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
)

// Scenario 1: login, authorization parameters, callback, cookies, and an app that knows who is calling.
func TestLoginTellsTheAppWhoIsCalling(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	c := NewClient(t)

	started := c.Navigate(w.ingress + "/oauth2/login?redirect=%2Fcases%2F42%3Ftab%3Dnotes")
	q := started.Where().Query()
	for name, want := range map[string]string{
		"response_type": "code", "response_mode": "query", "code_challenge_method": "S256", "client_id": DevClientID,
		"redirect_uri": w.ingress + "/oauth2/callback",
	} {
		if q.Get("request_uri") == "" && q.Get(name) != want {
			t.Errorf("authorization request: %s is %q, want %q", name, q.Get(name), want)
		}
	}
	if len(w.loginCookies(c)) != 1 {
		t.Errorf("login cookies: %v, want one", w.loginCookies(c))
	}
	done := c.Navigate(w.idp.SignIn(c, started, "kari").Where().String())
	if got, want := done.Where().String(), w.ingress+"/cases/42?tab=notes"; done.StatusCode != http.StatusFound || got != want {
		t.Errorf("after the login: status %d to %s, want 302 to %s", done.StatusCode, got, want)
	}
	if left := w.loginCookies(c); len(left) != 0 {
		t.Errorf("login cookies after the login: %v", left)
	}
	seen := w.get(t, c, "/cases/42?tab=notes")
	for name, want := range map[string]string{
		"X-Postern-Auth": "session", "X-Postern-Provider": "entra_id", "X-Postern-Kind": "user", "X-Postern-User": "Z990001",
		"X-Postern-Name": "Kari Saksbehandler",
	} {
		if got := seen.Header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if !strings.HasPrefix(seen.Header.Get("Authorization"), "Bearer ey") {
		t.Error("the app got no bearer token")
	}
	if cookies := seen.Header.Get("Cookie"); cookies != "" {
		t.Errorf("own cookies reached the app: %d bytes", len(cookies))
	}
}

// Scenario 2, S-32: prompt asks again; the old session ends when the new login succeeds, and not before.
// Row 39 of peers.md (GHSA-f24x-5g9q-753f), as S-32 has it: the old session ends in the store when the new login succeeds, and not before.
func TestS32PromptEndsTheOldSessionOnlyOnSuccess(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	c := NewClient(t)
	w.login(t, c, "kari", "")
	name, old := w.sessionCookie(c)

	started := c.Navigate(w.ingress + "/oauth2/login?prompt=login")
	if got := w.get(t, c, "/").Header.Get("X-Postern-User"); got != "Z990001" {
		t.Errorf("while the new login is under way the app sees %q", got)
	}
	back := w.dev.SignIn(c, started, "ola")
	c.Navigate(back.Where().String())
	if _, now := w.sessionCookie(c); now == old {
		t.Error("the session cookie did not change")
	}
	if got := w.get(t, c, "/").Header.Get("X-Postern-User"); got != "Z990002" {
		t.Errorf("after the new login the app sees %q", got)
	}
	replay := NewClient(t)
	replay.SetCookie(w.ingress, &http.Cookie{Name: name, Value: old, Path: "/", Secure: true})
	if got := w.get(t, replay, "/").Header.Get("X-Postern-User"); got != "" {
		t.Errorf("the old session still speaks for %q", got)
	}
}

// Scenario 21 and complaint 6: tabs that log in at the same moment do not break one another, and each gets its own deep link.
func TestTabsLogInAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	c := NewClient(t)
	w.login(t, c, "kari", "") // single sign-on at the provider from here on

	paths := []string{"/a", "/b?x=1", "/c", "/d"}
	callbacks := make([]*Response, len(paths))
	for i, path := range paths {
		started := c.Navigate(w.ingress + "/oauth2/login?redirect=" + url.QueryEscape(path))
		callbacks[i] = w.dev.SignIn(c, started, "kari")
	}
	for i := range paths {
		i = len(paths) - 1 - i // the last tab comes back first
		done := c.Navigate(callbacks[i].Where().String())
		if want := w.ingress + paths[i]; done.StatusCode != http.StatusFound || done.Where().String() != want {
			t.Errorf("tab %d: status %d to %s, want %s", i, done.StatusCode, done.Where().Redacted(), want)
		}
	}
}

// A browser that restores its tabs sends the requests before it has seen any Set-Cookie.
func TestTabsLogInInParallel(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	c := NewClient(t)
	var wait sync.WaitGroup
	starts := make([]*Response, 4)
	for i := range starts {
		wait.Go(func() {
			r, err := c.Try("GET", w.ingress+"/oauth2/login?redirect=/tab", "", "Accept", "text/html")
			if err == nil {
				starts[i] = r
			}
		})
	}
	wait.Wait()
	for i, started := range starts {
		if started == nil {
			t.Fatalf("tab %d got no answer", i)
		}
		done := c.Navigate(w.idp.SignIn(c, started, "kari").Where().String())
		if done.StatusCode != http.StatusFound || done.Where().String() != w.ingress+"/tab" {
			t.Errorf("tab %d: status %d to %s", i, done.StatusCode, done.Where().Redacted())
		}
	}
}

// At most five logins wait; the oldest gives way, and its tab is started anew, once, instead of failing.
func TestTheOldestOfSixLoginsIsStartedAnew(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	c := NewClient(t)
	first := c.Navigate(w.ingress + "/oauth2/login?redirect=/first")
	for range 5 {
		c.Navigate(w.ingress + "/oauth2/login?redirect=/later")
	}
	if got := len(w.loginCookies(c)); got > 5 {
		t.Errorf("%d logins wait in cookies, want at most 5", got)
	}
	again := c.Navigate(w.idp.SignIn(c, first, "kari").Where().String())
	if !again.Redirects() || !strings.Contains(again.Where().Host, "idp.localhost") {
		t.Fatalf("the lost login: status %d to %s, want a new login", again.StatusCode, again.Where().Redacted())
	}
	done := c.Navigate(w.idp.SignIn(c, again, "kari").Where().String())
	if done.StatusCode != http.StatusFound || done.Where().Path != "/" {
		t.Errorf("after the second try: status %d to %s", done.StatusCode, done.Where().Redacted())
	}
}

// Complaint 9: a deep link survives the login with its query, byte for byte.
func TestDeepLinksSurvive(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{env: map[string]string{"POSTERN_AUTO_LOGIN": "true"}})
	for _, path := range []string{
		"/cases/42?tab=notes&x=a%2Fb", "/share?u=https://x.example/y//z", "/a?b=1;c=2&d=%zz", "/s%C3%B8k?q=%C3%A6+%20", "/x?", "/deep?next=%2Foauth2",
	} {
		c := NewClient(t)
		sent := c.Navigate(w.ingress + path)
		if sent.StatusCode != http.StatusFound {
			t.Fatalf("GET %s: status %d, want 302 to the login", path, sent.StatusCode)
		}
		back := w.idp.SignIn(c, c.Navigate(sent.Where().String()), "kari")
		done := c.Navigate(back.Where().String())
		if got := done.Header.Get("Location"); got != path {
			t.Errorf("deep link %s came back as %s", path, got)
		}
	}
}

// S-28: logins that strangers start are bounded before they reach the provider, and nobody else notices.
func TestS28LoginsAreThrottled(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{env: map[string]string{"POSTERN_LOGIN_RATE": "10"}})
	signedIn := NewClient(t)
	w.login(t, signedIn, "kari", "")
	limited := 0
	for range 120 {
		r := NewClient(t).Navigate(w.ingress + "/oauth2/login")
		if r.StatusCode == http.StatusTooManyRequests {
			limited++
			if r.Header.Get("Retry-After") == "" {
				t.Error("429 without Retry-After")
			}
		}
	}
	if limited == 0 {
		t.Error("120 logins at once, and none was refused")
	}
	if got := w.get(t, signedIn, "/").Header.Get("X-Postern-User"); got == "" {
		t.Error("somebody who was signed in noticed")
	}
	if pushed := w.dev.Counts(t)["par"]; pushed > 120-limited+2 {
		t.Errorf("%d requests were pushed to the provider", pushed)
	}
}

// A login needs a browser that navigates: a script would only see an opaque redirect.
func TestLoginCannotBeFetchedByAScript(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	for name, headers := range map[string][]string{
		"fetch":  {"Sec-Fetch-Mode", "cors", "Sec-Fetch-Dest", "empty"},
		"iframe": {"Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "iframe"},
	} {
		r := NewClient(t).Get(w.ingress+"/oauth2/login", headers...)
		if r.StatusCode != http.StatusUnauthorized || !strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") {
			t.Errorf("%s: status %d %s", name, r.StatusCode, r.Header.Get("Content-Type"))
		}
	}
	if r := NewClient(t).Get(w.ingress + "/oauth2/login"); r.StatusCode != http.StatusFound {
		t.Errorf("without fetch metadata: status %d", r.StatusCode)
	}
}

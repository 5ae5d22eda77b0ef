package e2e

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// Scenario 26: one login for two apps, by proxies that may only read the store; a logout from one is a logout from all.
func TestSSOOneLoginForAllApps(t *testing.T) {
	t.Parallel()
	s := newSSO(t, ssoOptions{})
	c := NewClient(t)
	if s.one.user(t, c) != "" {
		t.Fatal("somebody without a login")
	}
	done := s.login(t, c, s.one, "kari", "?redirect="+url.QueryEscape("/cases/42?tab=notes&x=a%2Fb"))
	if got, want := done.Where().String(), s.one.ingress+"/cases/42?tab=notes&x=a%2Fb"; got != want {
		t.Errorf("the login leads to %s, want %s", got, want)
	}
	for _, w := range []*world{s.one, s.two} {
		seen := w.get(t, c, "/x")
		for name, want := range map[string]string{
			"X-Postern-Auth": "session", "X-Postern-Provider": "entra_id", "X-Postern-User": kari, "X-Postern-Name": "Kari Saksbehandler",
		} {
			if got := seen.Header.Get(name); got != want {
				t.Errorf("%s: %s is %q, want %q", w.ingress, name, got, want)
			}
		}
		if !strings.HasPrefix(seen.Header.Get("Authorization"), "Bearer ey") {
			t.Errorf("%s: the app got no bearer token", w.ingress)
		}
		if got := seen.Header.Get("Cookie"); got != "" {
			t.Errorf("%s: own cookies reached the app: %d bytes", w.ingress, len(got))
		}
		if m := w.metadata(t, c); !m.Session.Active || m.Tokens.NextAutoRefreshInSeconds != -1 {
			t.Errorf("%s: metadata %+v", w.ingress, m)
		}
	}

	out := c.Navigate(s.two.ingress + "/oauth2/logout?redirect=/bye")
	if got := out.Where(); got.Host != s.server.host() || got.Query().Get("redirect") != s.two.ingress+"/bye" {
		t.Errorf("logout: status %d to %s", out.StatusCode, got)
	}
	end := c.FollowUntil(out, func(next *url.URL) bool { return next.Path == "/bye" || next.Path == "/start" })
	if got := end.Where().String(); got != s.two.ingress+"/bye" {
		t.Errorf("the logout leads to %s", got)
	}
	for _, w := range []*world{s.one, s.two} {
		if got := w.user(t, c); got != "" {
			t.Errorf("%s: after the logout the app still sees %q", w.ingress, got)
		}
	}
	s.neverRefused(t)
}

// A copy of the cookie is worth nothing after the logout either: it is the session that ended.
func TestSSOLogoutEndsTheSessionNotTheCookie(t *testing.T) {
	t.Parallel()
	s := newSSO(t, ssoOptions{})
	c, copied := NewClient(t), NewClient(t)
	s.login(t, c, s.one, "kari", "")
	name := "__Secure-" + ssoCookie
	copied.SetCookie(s.one.ingress, &http.Cookie{Name: name, Value: c.Cookies(s.one.ingress)[name], Domain: ssoDomain, Path: "/", Secure: true})
	if s.two.user(t, copied) != kari {
		t.Fatal("the cookie does not count")
	}
	if r := c.Get(s.one.ingress + "/oauth2/logout/local"); r.StatusCode != http.StatusNoContent {
		t.Fatalf("local logout: status %d %s", r.StatusCode, r.Body)
	}
	if _, kept := c.Cookies(s.two.ingress)[name]; kept {
		t.Error("the browser keeps the cookie")
	}
	if got := s.two.user(t, copied); got != "" {
		t.Errorf("a copy of the cookie still speaks for %q", got)
	}
	s.neverRefused(t)
}

// Cookie scope (S-23, contract 3.2): shared over the domain, by the name that was agreed on, and with a prefix that no page on plain http can set.
func TestS23SSOCookieScope(t *testing.T) {
	t.Parallel()
	s := newSSO(t, ssoOptions{server: map[string]string{"POSTERN_COOKIE_SAME_SITE": "None"}})
	c := NewClient(t)
	started := s.atProvider(c, c.Navigate(s.one.ingress+"/oauth2/login"))
	for _, cookie := range started.Cookies() {
		if !strings.HasPrefix(cookie.Name, "__Secure-"+ssoCookie+".callback.") || cookie.SameSite != http.SameSiteLaxMode || cookie.Domain != ssoDomain {
			t.Errorf("cookie of the login: %s; %+v", cookie.Name, cookie)
		}
	}
	done := c.Navigate(s.dev.SignIn(c, started, "kari").Where().String())
	found := false
	for _, cookie := range done.Cookies() {
		if cookie.Domain != ssoDomain || cookie.Path != "/" || !cookie.HttpOnly || !cookie.Secure {
			t.Errorf("attributes of %s: %+v", cookie.Name, cookie)
		}
		if cookie.Name == "__Secure-"+ssoCookie {
			found = cookie.SameSite == http.SameSiteNoneMode && cookie.MaxAge == 0
		}
	}
	if !found {
		t.Errorf("cookies of the callback: %v", done.Cookies())
	}
	// Two different ones under this name: neither is believed, by the proxy itself and by the server through it.
	cookies := "Cookie: __Secure-" + ssoCookie + "=one; __Secure-" + ssoCookie + "=" + c.Cookies(s.one.ingress)["__Secure-"+ssoCookie]
	for _, path := range []string{"/x", "/oauth2/session"} {
		before := len(s.one.app.Requests())
		head := strings.SplitN(cookies, ": ", 2)
		if r := s.one.ask(t, "GET", path, head[0], head[1]); r.StatusCode != http.StatusBadRequest || !strings.Contains(r.Body, "conflicting_cookies") {
			t.Errorf("%s with two sessions: status %d %s", path, r.StatusCode, r.Body)
		}
		if len(s.one.app.Requests()) != before {
			t.Errorf("%s reached the app", path)
		}
	}
}

// What a proxy is asked for reaches the provider, hints included, which wonderwall drops.
func TestSSOHintsReachTheProvider(t *testing.T) {
	t.Parallel()
	s := newSSO(t, ssoOptions{one: map[string]string{"POSTERN_OPENID_DOMAIN_HINT": "configured.example", "POSTERN_OPENID_UI_LOCALES": "nn"}})
	c := NewClient(t)
	for name, test := range map[string]struct{ query, parameter, want string }{
		"domain_hint":          {"?domain_hint=nav.example", "domain_hint", "nav.example"},
		"configured hint":      {"", "domain_hint", "configured.example"},
		"prompt":               {"?prompt=select_account", "prompt", "select_account"},
		"locale":               {"?locale=nb", "locale", "nb"},
		"configured locale":    {"", "locale", "nn"},
		"level":                {"?level=c1", "level", "c1"},
		"destination":          {"?redirect=/a%3Fb=%2526", "redirect", s.one.ingress + "/a?b=%26"},
		"another's address":    {"?redirect=https%3A%2F%2Fevil.example%2Fx", "redirect", s.one.ingress + "/x"},
		"endless, left out":    {"?prompt=" + strings.Repeat("x", 300), "prompt", ""},
		"one of our endpoints": {"?redirect=/oauth2/logout", "redirect", s.one.ingress + "/"},
	} {
		sent := c.Navigate(s.one.ingress + "/oauth2/login" + test.query)
		if got := sent.Where().Query().Get(test.parameter); got != test.want || sent.Where().Host != s.server.host() || sent.Where().Path != "/oauth2/login" {
			t.Errorf("%s: sent to %s with %q, want %q", name, sent.Where(), got, test.want)
		}
	}
	direct := NewClient(t).Navigate(s.server.ingress + "/oauth2/login?prompt=select_account&domain_hint=nav.example")
	if q := direct.Where().Query(); q.Get("domain_hint") != "nav.example" || q.Get("prompt") != "select_account" {
		t.Errorf("the provider is asked with %v", q)
	}
	s.login(t, c, s.one, "kari", "")
	out := c.Navigate(s.one.ingress + "/oauth2/logout?logout_hint=kari")
	if got := out.Where().Query(); got.Get("logout_hint") != "kari" || got.Has("redirect") {
		t.Errorf("logout: sent on with %v", got)
	}
	if got := c.Navigate(out.Where().String()).Where().Query(); got.Get("logout_hint") != "kari" || got.Get("id_token_hint") == "" {
		t.Errorf("logout: the provider hears %v", got)
	}
}

// The level of one app is not that of another: who comes from a lower one steps up, and the other app goes on.
func TestSSOLevelsOfApps(t *testing.T) {
	t.Parallel()
	low, high := "idporten-loa-substantial", "idporten-loa-high"
	s := newSSO(t, ssoOptions{
		citizens: true, server: map[string]string{"POSTERN_OPENID_ACR_VALUES": low},
		one: map[string]string{"POSTERN_OPENID_ACR_VALUES": "Level3"},
		two: map[string]string{"POSTERN_AUTO_LOGIN": "true"}, // ID-porten's default: high
	})
	c := NewClient(t)
	s.login(t, c, s.one, "gunnar", "")
	if seen := s.one.get(t, c, "/"); seen.Header.Get("X-Postern-Acr") != low || seen.Header.Get("X-Postern-Provider") != "idporten" {
		t.Fatalf("the first app sees %v", seen.Header)
	}
	sent := c.Navigate(s.two.ingress + "/deep")
	if !sent.Redirects() || sent.Where().Path != "/oauth2/login" {
		t.Fatalf("with too low a level: status %d to %s", sent.StatusCode, sent.Where())
	}
	asked := c.Navigate(sent.Where().String())
	if got := asked.Where().Query().Get("level"); got != high {
		t.Errorf("asks for level %q", got)
	}
	done := c.Navigate(s.dev.SignIn(c, s.atProvider(c, asked), "gunnar").Where().String())
	if got := done.Where().String(); got != s.two.ingress+"/deep" {
		t.Errorf("the step up leads to %s", got)
	}
	for _, w := range []*world{s.one, s.two} {
		if got := w.get(t, c, "/").Header.Get("X-Postern-Acr"); got != high {
			t.Errorf("%s: level %q", w.ingress, got)
		}
	}
}

// Everything of the front door holds for a shared session as for an own one.
func TestSSOProxyKeepsTheFrontDoor(t *testing.T) {
	t.Parallel()
	policy := t.TempDir() + "/policy.yaml"
	writeFile(t, policy, `apiVersion: postern/v1
app: {cluster: dev, namespace: team, name: two}
users: {groups: [5c2a7e0c-7c1f-4d8e-8a0b-1f0f6f1c2a02]}
paths: [{match: "/public", public: true}]
`)
	s := newSSO(t, ssoOptions{two: map[string]string{"POSTERN_POLICY_FILE": policy, "POSTERN_AUTO_LOGIN": "true"}})
	caseworker, approver := NewClient(t), NewClient(t)
	s.login(t, caseworker, s.one, "kari", "")
	s.login(t, approver, s.one, "ola", "")
	if r := caseworker.Get(s.two.ingress + "/x"); r.StatusCode != http.StatusForbidden {
		t.Errorf("outside the group: status %d", r.StatusCode)
	}
	if got := s.two.user(t, approver); got != "Z990002" {
		t.Errorf("inside the group: %q", got)
	}
	if r := NewClient(t).Get(s.two.ingress + "/x"); r.StatusCode != http.StatusUnauthorized {
		t.Errorf("nobody: status %d", r.StatusCode)
	}
	if seen := s.two.get(t, NewClient(t), "/public", "X-Postern-User", "forged"); seen.Header.Get("X-Postern-User") != "" {
		t.Error("a forged header reached the app")
	}
	if r := approver.Send("POST", s.two.ingress+"/x", "a=b", "Sec-Fetch-Site", "cross-site"); r.StatusCode != http.StatusForbidden {
		t.Errorf("another site's POST: status %d", r.StatusCode)
	}
	token := strings.TrimPrefix(s.one.get(t, approver, "/").Header.Get("Authorization"), "Bearer ")
	if r := NewClient(t).Get(s.one.ingress+"/x", "Authorization", "Bearer "+token); Echoed(t, r).Header.Get("Authorization") != "Bearer "+token {
		t.Error("without bearer validation a token must pass as it came")
	}
	s.neverRefused(t)
}

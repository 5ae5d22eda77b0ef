package e2e

import (
	"net/url"
	"strings"
	"testing"
)

// Scenarios 12 and 22: the own tree is what its path says byte for byte, below each ingress path by whole segments, and nothing of it reaches
// the app; every other spelling is the app's business and goes through the same checks as any path.
func TestOwnTree(t *testing.T) {
	t.Parallel()
	root := newWorld(t, worldOptions{env: map[string]string{"POSTERN_AUTO_LOGIN": "true"}})
	sub := newWorld(t, worldOptions{path: "/app"})
	for _, test := range []struct {
		w              *world
		method, target string
		status         int
	}{
		{root, "GET", "/oauth2/ping", 200},
		{root, "HEAD", "/oauth2/ping", 405},
		{root, "POST", "/oauth2/login", 405},
		{root, "PUT", "/oauth2/session/refresh", 405},
		{root, "GET", "/oauth2", 404},
		{root, "GET", "/oauth2/", 404},
		{root, "GET", "/oauth2/login/", 404},
		{root, "GET", "/oauth2/unknown", 404},
		{root, "GET", "/oauth2/session/forwardauth", 404},
		{root, "GET", "/oauth2x", 401},
		{root, "GET", "/%6fauth2/ping", 401},
		{root, "GET", "//oauth2/ping", 401},
		{root, "GET", "/x/../oauth2/ping", 401},
		{root, "GET", "/OAUTH2/ping", 401},
		{root, "GET", "/x/oauth2/ping", 401},
		{sub, "GET", "/app/oauth2/ping", 200},
		{sub, "GET", "/oauth2/ping", 200}, // the app's own
		{sub, "GET", "/application/oauth2/ping", 200},
	} {
		before := len(test.w.app.Requests())
		r := test.w.ask(t, test.method, test.target)
		if r.StatusCode != test.status {
			t.Errorf("%s %s: status %d, want %d", test.method, test.target, r.StatusCode, test.status)
		}
		if r.StatusCode == 405 && r.Header.Get("Allow") == "" {
			t.Errorf("%s %s: 405 without Allow", test.method, test.target)
		}
		owned := strings.HasPrefix(test.target, test.w.path()+"/oauth2/") || test.target == test.w.path()+"/oauth2"
		if reached := len(test.w.app.Requests()) > before; owned && reached {
			t.Errorf("%s %s reached the app", test.method, test.target)
		}
	}
}

// Scenario 12 and S-35: on a host that is no ingress there is no login, no session and no cookie; the app is served as before.
func TestS35UnknownHostHasNoSession(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{env: map[string]string{"POSTERN_TRUSTED_PROXIES": "10.0.0.0/8"}})
	c := NewClient(t)
	w.login(t, c, "kari", "")
	name, value := w.sessionCookie(c)
	send := func(path, host string, headers ...string) *Response {
		head := rawRequest("GET", path, host, append([]string{"Cookie", name + "=" + value}, headers...)...)
		return parseAnswer(t, Raw(t, w.Addr, head), "GET")
	}
	if got := Echoed(t, send("/x", strings.ToUpper(w.host()))).Header.Get("X-Postern-User"); got != "Z990001" {
		t.Errorf("case of the host matters: %q", got)
	}
	for _, host := range []string{"evil.example", "app.localhost:1", "127.0.0.1"} {
		if seen := Echoed(t, send("/x", host, "X-Forwarded-Host", w.host())); seen.Header.Get("X-Postern-User") != "" {
			t.Errorf("%s: the session counts", host)
		}
		if r := send("/oauth2/login", host); r.StatusCode != 400 || len(r.Header["Set-Cookie"]) != 0 || strings.Contains(r.Body, host) {
			t.Errorf("%s: login: status %d", host, r.StatusCode)
		}
		if r := send("/oauth2/session", host); r.StatusCode != 401 {
			t.Errorf("%s: session: status %d", host, r.StatusCode)
		}
	}
	trusting := newWorld(t, worldOptions{})
	d := NewClient(t)
	trusting.login(t, d, "kari", "")
	name, value = trusting.sessionCookie(d)
	head := rawRequest("GET", "/x", "10.1.2.3:7564", "Cookie", name+"="+value, "X-Forwarded-Host", trusting.host())
	if got := Echoed(t, parseAnswer(t, Raw(t, trusting.Addr, head), "GET")).Header.Get("X-Postern-User"); got != "Z990001" {
		t.Errorf("a proxy in front that names the ingress: %q", got)
	}
}

// S-58: a deep link that would not fit a cookie is dropped, and the login works.
func TestS58LongDeepLinkIsDropped(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	for path, kept := range map[string]bool{
		"/" + strings.Repeat("a", 999): true, "/" + strings.Repeat("a", 1499): true, "/" + strings.Repeat("a", 1500): false,
		"/" + strings.Repeat("a", 20_000): false, "/x?" + strings.Repeat("&", 60): true, "/x?" + strings.Repeat("&", 1400): false,
		"/" + strings.Repeat("ø", 700): false,
	} {
		c := NewClient(t)
		done := w.login(t, c, "kari", path)
		if got := done.Where().RequestURI(); (got == path) != kept || !kept && got != "/" {
			t.Errorf("%d bytes: ended at a target of %d bytes", len(path), len(got))
		}
		if out := c.Navigate(w.ingress + "/oauth2/logout?redirect=" + url.QueryEscape(path)); out.StatusCode != 302 {
			t.Errorf("%d bytes: logout: status %d", len(path), out.StatusCode)
		}
		for name, value := range c.Cookies(w.ingress + "/") {
			if len(name)+len(value) > 4096 {
				t.Errorf("cookie %s has %d bytes", name, len(value))
			}
		}
	}
}

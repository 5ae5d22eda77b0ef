package e2e

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// Scenario 26: which origins may ask the server by script. Only credentials-free failure is left to all others.
func TestSSOServerCORS(t *testing.T) {
	t.Parallel()
	s := newSSO(t, ssoOptions{})
	c := NewClient(t)
	s.login(t, c, s.one, "kari", "")
	preflight := func(path, origin, method string) *Response {
		return c.Send("OPTIONS", s.server.ingress+path, "", "Origin", origin, "Access-Control-Request-Method", method, "Access-Control-Request-Headers", "x-b,content-type")
	}
	for _, origin := range []string{"https://" + ssoDomain, s.one.ingress, "https://a.b." + ssoDomain} {
		for path, method := range map[string]string{
			"/oauth2/session": "GET", "/oauth2/session/": "GET", "/oauth2/session/refresh": "POST", "/oauth2/login": "GET", "/oauth2/logout": "HEAD",
		} {
			r := preflight(path, origin, method)
			if r.StatusCode != http.StatusNoContent || r.Header.Get("Access-Control-Allow-Origin") != origin || r.Header.Get("Access-Control-Allow-Credentials") != "true" ||
				r.Header.Get("Access-Control-Allow-Methods") != method || r.Header.Get("Access-Control-Allow-Headers") != "x-b,content-type" {
				t.Errorf("preflight of %s %s for %s: status %d %v", method, path, origin, r.StatusCode, r.Header)
			}
		}
		r := c.Get(s.server.ingress+"/oauth2/session", "Origin", origin, "Sec-Fetch-Site", "same-site")
		if r.StatusCode != 200 || r.Header.Get("Access-Control-Allow-Origin") != origin || !strings.Contains(strings.Join(r.Header["Vary"], ","), "Origin") {
			t.Errorf("session for %s: status %d %v", origin, r.StatusCode, r.Header)
		}
	}
	if r := NewClient(t).Get(s.server.ingress+"/oauth2/session", "Origin", s.one.ingress); r.StatusCode != 401 || r.Header.Get("Access-Control-Allow-Origin") == "" {
		t.Errorf("a refusal must be readable too: status %d %v", r.StatusCode, r.Header)
	}
	for _, origin := range []string{
		"https://evil.example", "https://evil" + ssoDomain, "https://" + ssoDomain + ".evil.example", "null", "https://" + ssoDomain + "/", "https://x@" + ssoDomain,
		"ftp://" + ssoDomain, "https://SSO.localhost", "https://." + ssoDomain, "https://localhost", "https://a_b c." + ssoDomain, "",
	} {
		for _, r := range []*Response{preflight("/oauth2/session", origin, "GET"), c.Get(s.server.ingress+"/oauth2/session", "Origin", origin)} {
			if r.Header.Get("Access-Control-Allow-Origin") != "" || r.Header.Get("Access-Control-Allow-Credentials") != "" {
				t.Errorf("origin %q is let in: %v", origin, r.Header)
			}
		}
	}
	if r := preflight("/oauth2/session", s.one.ingress, "DELETE"); r.StatusCode != 204 || r.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("preflight of DELETE: status %d %v", r.StatusCode, r.Header)
	}
	for _, path := range []string{"/oauth2/logout/local", "/oauth2/ping", "/oauth2/callback"} {
		if r := preflight(path, s.one.ingress, "GET"); r.Header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s has CORS: %v", path, r.Header)
		}
	}
}

// There is no app behind the server: its front page is the login, everything else leads on.
func TestSSOServerLeadsOn(t *testing.T) {
	t.Parallel()
	s := newSSO(t, ssoOptions{})
	c := NewClient(t)
	if r := c.Navigate(s.server.ingress + "/"); r.StatusCode != http.StatusFound || r.Header.Get("Location") != "/oauth2/login" {
		t.Errorf("front page: status %d to %s", r.StatusCode, r.Header.Get("Location"))
	}
	for _, method := range []string{"GET", "POST", "DELETE", "OPTIONS"} {
		if r := c.Send(method, s.server.ingress+"/some/where?x=1", ""); r.StatusCode != http.StatusFound || r.Header.Get("Location") != s.asDefault() {
			t.Errorf("%s: status %d to %s", method, r.StatusCode, r.Header.Get("Location"))
		}
	}
	if r := c.Get(s.server.ingress + "/oauth2/nothing"); r.StatusCode != http.StatusNotFound {
		t.Errorf("no endpoint: status %d", r.StatusCode)
	}
	done := s.login(t, c, s.server, "kari", "")
	if got := done.Where().String(); got != s.asDefault() {
		t.Errorf("a login without a destination leads to %s", got)
	}
	end := c.FollowUntil(c.Navigate(s.server.ingress+"/oauth2/logout"), func(next *url.URL) bool { return next.Path == "/start" })
	if got := end.Where().String(); got != s.asDefault() {
		t.Errorf("a logout without a destination leads to %s", got)
	}
	page := c.Navigate(s.server.ingress + "/oauth2/callback?state=unknown&code=x")
	if page.StatusCode != http.StatusUnauthorized || !strings.Contains(page.Body, s.asDefault()) {
		t.Errorf("a page of the server does not lead to the default address: status %d", page.StatusCode)
	}
}

// S-52, scenario 23: whatever `redirect` says, the browser ends on a host of the domain, at no endpoint of ours, or at the default address; by the
// server itself, and by a proxy.
func TestS52SSORedirectsStayInTheDomain(t *testing.T) {
	t.Parallel()
	s := newSSO(t, ssoOptions{server: map[string]string{"POSTERN_RATELIMIT_ENABLED": "false", "POSTERN_LOGIN_RATE": "10000"}})
	corpus := append(readCorpus(t, "testdata/open-redirects.txt"),
		"https://user:pw@app."+ssoDomain+"/", "https://"+ssoDomain+"@evil.example/", "https://evil"+ssoDomain+"/", "https://"+ssoDomain+".evil.example/",
		"javascript://"+ssoDomain+"/%0aalert(1)", "ftp://"+ssoDomain+"/", "https://"+ssoDomain+`\.evil.example/`, "https:"+ssoDomain, "//"+ssoDomain+"/x",
		"https://app."+ssoDomain+"/oauth2/logout", "https://app."+ssoDomain+"/%6fauth2/logout/local", "https://app."+ssoDomain+"/x/../oauth2/logout",
		s.server.ingress+"/", s.server.ingress+"/anything", "https://app."+ssoDomain+"./x", "https://[::1]/", "https://127.0.0.1/", "https:///"+ssoDomain,
		"https://app."+ssoDomain+":443:1/", "https://a\u3002"+ssoDomain+"/", "/relative",
	)
	start := func(c *Client, from *world, target string) *Response {
		back := s.dev.SignIn(c, s.atProvider(c, c.Navigate(from.ingress+"/oauth2/login?redirect="+url.QueryEscape(target))), "kari")
		return c.Navigate(back.Where().String())
	}
	for _, target := range corpus {
		done := start(NewClient(t), s.server, target)
		if location := done.Header.Get("Location"); done.StatusCode != http.StatusFound || location != s.asDefault() {
			t.Errorf("%q leads to %q, status %d", target, location, done.StatusCode)
		}
		sent := NewClient(t).Navigate(s.one.ingress + "/oauth2/login?redirect=" + url.QueryEscape(target)).Where()
		if got := sent.Query().Get("redirect"); sent.Host != s.server.host() || !strings.HasPrefix(got, s.one.ingress+"/") || strings.Contains(got, "/oauth2/") {
			t.Errorf("%q is sent on as %q to %s", target, got, sent.Host)
		}
	}
	for target, want := range map[string]string{
		"https://app." + ssoDomain + "/share?u=https://x.example/y//z#top": "",
		"https://" + ssoDomain: "https://" + ssoDomain + "/",
		"HTTPS://App." + strings.ToUpper(ssoDomain) + "/X?y=%zz;z": "https://app." + ssoDomain + "/X?y=%zz;z",
		s.two.ingress + "/cases?next=%2Foauth2":                    "",
	} {
		if want == "" {
			want = target
		}
		if got := start(NewClient(t), s.server, target).Header.Get("Location"); got != want {
			t.Errorf("%q leads to %q, want %q", target, got, want)
		}
	}
}

// S-32: a logout that another site links to asks first, also where it comes by a proxy, and a local one asks at the proxy itself.
func TestS32SSOLogoutAsksFirst(t *testing.T) {
	t.Parallel()
	s := newSSO(t, ssoOptions{})
	c := NewClient(t)
	s.login(t, c, s.one, "kari", "")
	sent := c.Navigate(s.one.ingress+"/oauth2/logout?redirect=/bye", "Sec-Fetch-Site", "cross-site")
	asked := c.Navigate(sent.Where().String(), "Sec-Fetch-Site", "cross-site") // which is what a browser says after such a redirect
	if asked.StatusCode != http.StatusOK || !strings.Contains(asked.Body, "<form") {
		t.Fatalf("another site's logout: status %d", asked.StatusCode)
	}
	local := c.Navigate(s.one.ingress+"/oauth2/logout/local", "Sec-Fetch-Site", "cross-site")
	if local.StatusCode != http.StatusOK || !strings.Contains(local.Body, "<form") {
		t.Fatalf("another site's local logout: status %d", local.StatusCode)
	}
	for _, path := range []string{"/oauth2/logout", "/oauth2/logout/local"} {
		if r := c.Send("POST", s.one.ingress+path, "", "Origin", "https://evil.example"); r.StatusCode != http.StatusForbidden {
			t.Errorf("another site's POST to %s: status %d", path, r.StatusCode)
		}
		if r := c.Send("POST", s.server.ingress+path, "", "Sec-Fetch-Site", "same-site"); r.StatusCode != http.StatusForbidden {
			t.Errorf("a sibling's POST to %s of the server: status %d", path, r.StatusCode)
		}
	}
	if s.two.user(t, c) != kari {
		t.Fatal("somebody else logged her out")
	}
	done := c.Submit(local, nil)
	if done.StatusCode != http.StatusOK || !strings.Contains(done.Body, s.server.ingress+"/oauth2/login") {
		t.Errorf("the button: status %d\n%.300s", done.StatusCode, done.Body)
	}
	if got := s.two.user(t, c); got != "" {
		t.Errorf("after the button the app sees %q", got)
	}
}

// A server that is not there is a 503 for what needs it. Apps go on: the proxies read the store themselves.
func TestSSOServerDown(t *testing.T) {
	t.Parallel()
	s := newSSO(t, ssoOptions{})
	c := NewClient(t)
	s.login(t, c, s.one, "kari", "")
	s.server.Stop(t)
	for _, path := range []string{"/oauth2/session", "/oauth2/session/refresh", "/oauth2/logout/local"} {
		r := c.Get(s.one.ingress + path)
		if r.StatusCode != http.StatusServiceUnavailable || r.Header.Get("Retry-After") == "" || !strings.Contains(r.Body, "sso_server_unavailable") || len(r.Cookies()) > 0 {
			t.Errorf("%s: status %d %s", path, r.StatusCode, r.Body)
		}
	}
	if got := s.one.user(t, c); got != kari {
		t.Errorf("the app sees %q", got)
	}
	if r := c.Get(s.one.ingress + "/oauth2/ping"); r.Body != "pong" {
		t.Errorf("ping: %s", r.Body)
	}
	if status, body := s.one.Readyz(t); status != 200 || strings.Contains(body, "degraded") {
		t.Errorf("readyz: %d %s", status, body)
	}
}

// What the server hears of a request through a proxy: its own cookies, and neither the app's nor who else was on the way.
func TestSSOServerHearsWhatItNeeds(t *testing.T) {
	t.Parallel()
	fake := App(t, map[string]http.HandlerFunc{"/": func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "public, max-age=60")
		w.Header().Add("Set-Cookie", "__Secure-"+ssoCookie+"=; Path=/; Domain="+ssoDomain+"; Max-Age=0; Secure; HttpOnly")
		w.WriteHeader(http.StatusTeapot)
	}})
	address := strings.Replace(fake.URL, "127.0.0.1", "login."+ssoDomain, 1)
	s := newSSO(t, ssoOptions{noServer: true, one: map[string]string{"POSTERN_SSO_SERVER_URL": address + "/sso/"}})
	r := NewClient(t).Get(s.one.ingress+"/oauth2/session/?a=%zz&b", "Cookie", "app=secret; __Secure-"+ssoCookie+"=x; "+ssoCookie+".callback=y; other",
		"Authorization", "Bearer app", "X-Forwarded-Host", "evil.example", "X-Forwarded-For", "1.2.3.4", "Forwarded", "for=x", "X-Request-Id", "abc")
	if r.StatusCode != http.StatusTeapot || len(r.Cookies()) != 1 || len(r.Header["Cache-Control"]) != 1 || !strings.Contains(r.Header.Get("Cache-Control"), "no-store") {
		t.Errorf("status %d %v", r.StatusCode, r.Header)
	}
	seen := fake.Requests()[0]
	if seen.URI != "/sso/oauth2/session?a=%zz&b" || "http://"+seen.Host != address {
		t.Errorf("the server is asked for %s on %s", seen.URI, seen.Host)
	}
	if got := seen.Header.Get("Cookie"); got != "__Secure-"+ssoCookie+"=x; "+ssoCookie+".callback=y" {
		t.Errorf("cookies: %q", got)
	}
	for _, name := range []string{"Authorization", "X-Forwarded-Host", "X-Forwarded-For", "Forwarded"} {
		if seen.Header.Get(name) != "" {
			t.Errorf("the server sees %s", name)
		}
	}
	if seen.Header.Get("X-Request-Id") != "abc" {
		t.Error("the request id is lost")
	}
	if sent := NewClient(t).Navigate(s.one.ingress + "/oauth2/login").Where(); sent.Path != "/sso/oauth2/login" {
		t.Errorf("login at %s", sent)
	}
	if sent := NewClient(t).Navigate(s.one.ingress + "/oauth2/callback?code=x&state=y"); sent.Header.Get("Location") != "/oauth2/login?redirect=%2F" {
		t.Errorf("callback: status %d to %s", sent.StatusCode, sent.Header.Get("Location"))
	}
	if sent := NewClient(t).Navigate(s.one.ingress + "/oauth2/logout/callback"); sent.Header.Get("Location") != address+"/sso/oauth2/logout" {
		t.Errorf("logout callback: status %d to %s", sent.StatusCode, sent.Header.Get("Location"))
	}
}

// A server by https, as it is outside of tests: with its certificate checked.
func TestSSOServerByTLS(t *testing.T) {
	t.Parallel()
	fake := App(t, nil)
	front := TLSFront(t, fake.Addr, "login."+ssoDomain)
	address := "https://login." + ssoDomain + front.Addr[strings.LastIndexByte(front.Addr, ':'):]
	s := newSSO(t, ssoOptions{
		noServer: true, one: map[string]string{"POSTERN_SSO_SERVER_URL": address, "SSL_CERT_FILE": front.CAFile}, two: map[string]string{"POSTERN_SSO_SERVER_URL": address},
	})
	if r := NewClient(t).Get(s.one.ingress + "/oauth2/session"); r.StatusCode != 200 || Echoed(t, r).URI != "/oauth2/session" {
		t.Errorf("status %d %s", r.StatusCode, r.Body)
	}
	if r := NewClient(t).Get(s.two.ingress + "/oauth2/session"); r.StatusCode != http.StatusServiceUnavailable || len(fake.Requests()) != 1 {
		t.Errorf("with a certificate of nobody: status %d %s", r.StatusCode, r.Body)
	}
}

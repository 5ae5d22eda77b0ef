package e2e

import (
	"net/http"
	"strings"
	"testing"
)

// spellings are the ways in which a header name survives a naive clean-up and is read as the real one by some app (advisories 1 to 5).
func spellings(name string) []string {
	return []string{
		name, strings.ToLower(name), strings.ToUpper(name), strings.ReplaceAll(name, "-", "_"), strings.ReplaceAll(strings.ToLower(name), "-", "_"),
		strings.ReplaceAll(name, "-", "."), strings.ReplaceAll(name, "-", "~"), strings.ReplaceAll(name, "-", "|"), strings.Replace(name, "-", "_", 1),
		strings.ReplaceAll(name, "-", ""), strings.ReplaceAll(name, "-", "--"), strings.ReplaceAll(name, "-", "!"),
	}
}

// S-24, advisories CVE-2025-64484, CVE-2026-88011, CVE-2026-30851: nothing that a client writes under a managed name reaches the app, in whatever
// spelling; for nobody and for somebody alike.
func TestS24ManagedHeadersAreOurs(t *testing.T) {
	t.Parallel()
	app := RawUpstream(t, nil)
	w := newWorld(t, worldOptions{app: &AppServer{Addr: app.Addr}, env: map[string]string{"POSTERN_IDENTITY_CLAIMS": "X-Department=department"}})
	signedIn := NewClient(t)
	w.login(t, signedIn, "nils", "") // member of no group
	name, value := w.sessionCookie(signedIn)
	for _, managed := range []string{
		"X-Postern-User", "X-Postern-Groups", "X-Postern-Something-New", "X-Wonderwall-Id-Token", "X-Wonderwall-Forward-Auth-Token",
		"X-MS-CLIENT-PRINCIPAL", "X-MS-CLIENT-PRINCIPAL-ID", "X-MS-TOKEN-AAD-ID-TOKEN", "X-Auth-Request-User", "X-Forwarded-User",
		"X-Forwarded-Email", "X-Forwarded-Groups", "X-Forwarded-Preferred-Username", "X-Forwarded-Access-Token", "Remote-User", "X-Remote-User",
		"Remote-Groups", "X-Department",
	} {
		for _, spelling := range spellings(managed) {
			for _, cookie := range []string{"", name + "=" + value} {
				headers := []string{spelling, "forged-7f3a"}
				if cookie != "" {
					headers = append(headers, "Cookie", cookie)
				}
				if r := w.ask(t, "GET", "/x", headers...); r.StatusCode != 200 {
					t.Fatalf("%s: status %d", spelling, r.StatusCode)
				}
			}
		}
	}
	for _, head := range app.Heads() {
		if strings.Contains(head, "forged-7f3a") {
			t.Fatalf("a forged header reached the app:\n%s", head)
		}
	}
}

// Advisories CVE-2024-45410, CVE-2026-29054, GHSA-w9mr-28mw-j8hg: naming our headers as hop-by-hop does not remove them.
func TestAdvisoryCVE2024_45410ConnectionCannotRemoveOurHeaders(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	c := NewClient(t)
	w.login(t, c, "kari", "")
	name, value := w.sessionCookie(c)
	for _, connection := range []string{"X-Postern-User", "x-postern-user, X-POSTERN-NAME", "Authorization", "", "close, x-postern-user"} {
		head := "GET /x HTTP/1.1\r\nHost: " + w.host() + "\r\nConnection: " + connection + "\r\nConnection: close\r\nCookie: " + name + "=" + value + "\r\n\r\n"
		seen := Echoed(t, parseAnswer(t, Raw(t, w.Addr, head), "GET"))
		if seen.Header.Get("X-Postern-User") != "Z990001" || !strings.HasPrefix(seen.Header.Get("Authorization"), "Bearer ") {
			t.Errorf("Connection: %q: the app was told %v", connection, seen.Header)
		}
	}
}

// Scenario 11: Authorization of nobody is left alone, of somebody replaced; the id token only where it was asked for.
func TestAuthorizationAndIDToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{env: map[string]string{"POSTERN_UPSTREAM_INCLUDE_ID_TOKEN": "true"}})
	c := NewClient(t)
	if got := w.get(t, c, "/", "Authorization", "Bearer own").Header.Get("Authorization"); got != "Bearer own" {
		t.Errorf("nobody: Authorization is %q", got)
	}
	w.login(t, c, "kari", "")
	seen := w.get(t, c, "/", "Authorization", "Bearer own")
	if got := seen.Header["Authorization"]; len(got) != 1 || got[0] == "Bearer own" {
		t.Errorf("somebody: %d Authorization headers", len(got))
	}
	if strings.Count(seen.Header.Get("X-Wonderwall-Id-Token"), ".") != 2 {
		t.Error("no id token, and it was asked for")
	}
	plain := newWorld(t, worldOptions{})
	d := NewClient(t)
	plain.login(t, d, "kari", "")
	if plain.get(t, d, "/").Header.Get("X-Wonderwall-Id-Token") != "" {
		t.Error("an id token that nobody asked for")
	}
}

// S-36: an app that never asked for headers with personal data gets none.
func TestS36NoIdentityHeadersByDefault(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{env: map[string]string{"POSTERN_IDENTITY_HEADERS": ""}})
	delete(w.env, "POSTERN_IDENTITY_HEADERS")
	w.Stop(t)
	w.Process = Start(t, w.env)
	c := NewClient(t)
	w.login(t, c, "kari", "")
	for name := range w.get(t, c, "/").Header {
		if strings.HasPrefix(name, "X-Postern-") {
			t.Errorf("%s was sent", name)
		}
	}
}

// S-36: headers stay small: with very many groups these are left out, and said to be.
func TestS36ManyGroupsAreLeftOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{env: map[string]string{"POSTERN_IDENTITY_HEADERS": "postern,claims"}})
	c := NewClient(t)
	groups := `{"groups":["` + strings.Repeat("00000000-aaaa-4bbb-8ccc-000000000000\",\"", 199) + `x"]}`
	back := w.dev.SignInWith(c, c.Navigate(w.ingress+"/oauth2/login"), "nils", groups)
	c.Navigate(back.Where().String())
	seen := w.get(t, c, "/").Header
	if seen.Get("X-Postern-User") == "" {
		t.Fatal("not signed in")
	}
	size := 0
	for name, values := range seen {
		if strings.HasPrefix(name, "X-Postern-") {
			size += len(name) + len(values[0])
		}
	}
	if size > 6<<10 || seen.Get("X-Postern-Groups") != "" || !strings.Contains(seen.Get("X-Postern-Truncated"), "groups") {
		t.Errorf("%d bytes of headers, truncated %q", size, seen.Get("X-Postern-Truncated"))
	}
}

// S-12: apps route by these, and a decision on the path does not see them.
func TestS12RoutingHeaders(t *testing.T) {
	t.Parallel()
	names := []string{
		"X-Original-URL", "X-Original-URI", "X-Rewrite-URL", "X-Forwarded-Uri", "X-Forwarded-Path", "X-Forwarded-Method", "X-Envoy-Original-Path",
		"X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override",
	}
	protected := newWorld(t, worldOptions{env: map[string]string{"POSTERN_REQUIRE_AUTH": "true"}})
	c := NewClient(t)
	protected.login(t, c, "kari", "")
	open := newWorld(t, worldOptions{})
	for _, name := range names {
		for _, spelling := range []string{name, strings.ToLower(name), strings.ReplaceAll(name, "-", "_")} {
			for sent, values := range protected.get(t, c, "/", spelling, "/admin").Header {
				if values[0] == "/admin" {
					t.Errorf("protected: %s reached the app as %s", spelling, sent)
				}
			}
		}
		if got := open.get(t, NewClient(t), "/", name, "/admin").Header.Get(name); got != "/admin" {
			t.Errorf("drop-in: %s is %q", name, got)
		}
	}
}

// S-13: forwarded headers of a peer that is not trusted are replaced by what Postern saw; a trusted one is passed on, its own names only.
func TestS13ForwardedHeaders(t *testing.T) {
	t.Parallel()
	sent := []string{
		"X-Forwarded-For", "203.0.113.9", "X-Forwarded-Host", "evil.example", "X-Forwarded-Proto", "https", "X-Forwarded-Prefix", "/p",
		"X-Forwarded-Uri", "/admin", "Forwarded", "for=203.0.113.9",
	}
	strangers := newWorld(t, worldOptions{env: map[string]string{"POSTERN_TRUSTED_PROXIES": "10.0.0.0/8"}})
	seen := strangers.get(t, NewClient(t), "/", sent...).Header
	if got := seen.Get("X-Forwarded-For"); got != "127.0.0.1" {
		t.Errorf("X-Forwarded-For is %q, want the peer", got)
	}
	if seen.Get("X-Forwarded-Host") != strangers.host() || seen.Get("X-Forwarded-Proto") != "http" {
		t.Errorf("X-Forwarded-Host %q, -Proto %q", seen.Get("X-Forwarded-Host"), seen.Get("X-Forwarded-Proto"))
	}
	for _, name := range []string{"Forwarded", "X-Forwarded-Prefix", "X-Forwarded-Uri"} {
		if seen.Get(name) != "" {
			t.Errorf("%s of a stranger reached the app", name)
		}
	}
	trusted := newWorld(t, worldOptions{env: map[string]string{"POSTERN_TRUSTED_PROXIES": "127.0.0.0/8"}})
	seen = trusted.get(t, NewClient(t), "/", sent...).Header
	if seen.Get("X-Forwarded-For") == "" || seen.Get("X-Forwarded-Prefix") != "/p" || seen.Get("Forwarded") != "for=203.0.113.9" {
		t.Errorf("trusted: %v", seen)
	}
	if seen.Get("X-Forwarded-Uri") != "" {
		t.Error("trusted: X-Forwarded-Uri reached the app")
	}
	dropIn := newWorld(t, worldOptions{})
	seen = dropIn.get(t, NewClient(t), "/", sent...).Header
	if seen.Get("X-Forwarded-For") != "203.0.113.9" || seen.Get("X-Forwarded-Uri") != "/admin" {
		t.Errorf("drop-in: %v", seen)
	}
}

// S-17: the cookie does not count for what another site does with it.
func TestS17CrossSiteRequests(t *testing.T) {
	t.Parallel()
	for mode, sameSite := range map[string]int{"cross-site": 200, "same-origin": 403, "off": 200} {
		w := newWorld(t, worldOptions{env: map[string]string{"POSTERN_CSRF": mode, "POSTERN_CSRF_TRUSTED_ORIGINS": "https://friend.example"}})
		c := NewClient(t)
		w.login(t, c, "kari", "")
		forbidden := 403
		if mode == "off" {
			forbidden = 200
		}
		for name, test := range map[string]struct {
			method  string
			headers []string
			status  int
		}{
			"GET from elsewhere":             {"GET", []string{"Sec-Fetch-Site", "cross-site"}, 200},
			"POST from elsewhere":            {"POST", []string{"Sec-Fetch-Site", "cross-site"}, forbidden},
			"POST from a sibling":            {"POST", []string{"Sec-Fetch-Site", "same-site"}, sameSite},
			"POST from here":                 {"POST", []string{"Sec-Fetch-Site", "same-origin"}, 200},
			"DELETE from elsewhere":          {"DELETE", []string{"Sec-Fetch-Site", "cross-site"}, forbidden},
			"unknown method":                 {"FOO", []string{"Sec-Fetch-Site", "cross-site"}, forbidden},
			"old browser, other origin":      {"POST", []string{"Origin", "https://evil.example"}, forbidden},
			"old browser, opaque origin":     {"POST", []string{"Origin", "null"}, forbidden},
			"old browser, our origin":        {"POST", []string{"Origin", w.origin()}, 200},
			"old browser, trusted origin":    {"POST", []string{"Origin", "https://friend.example"}, 200},
			"trusted origin, fetch metadata": {"POST", []string{"Origin", "https://friend.example", "Sec-Fetch-Site", "cross-site"}, 200},
			"program":                        {"POST", nil, 200},
		} {
			if r := c.Send(test.method, w.ingress+"/x", "", test.headers...); r.StatusCode != test.status {
				t.Errorf("csrf=%s, %s: status %d, want %d", mode, name, r.StatusCode, test.status)
			}
			if r := NewClient(t).Send(test.method, w.ingress+"/x", "", test.headers...); r.StatusCode != 200 {
				t.Errorf("csrf=%s, %s, without a cookie: status %d", mode, name, r.StatusCode)
			}
		}
	}
}

// S-23: two session cookies of different values speak for nobody, and are not passed over in silence.
func TestS23TwoSessionCookies(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	a, b := NewClient(t), NewClient(t)
	w.login(t, a, "kari", "")
	w.login(t, b, "ola", "")
	name, first := w.sessionCookie(a)
	_, second := w.sessionCookie(b)
	before := len(w.app.Requests())
	for _, cookies := range [][]string{
		{"Cookie", name + "=" + first + "; " + name + "=" + second},
		{"Cookie", name + "=" + first, "Cookie", name + "=" + second},
	} {
		if r := w.ask(t, "GET", "/x", cookies...); r.StatusCode != http.StatusBadRequest {
			t.Errorf("status %d, want 400", r.StatusCode)
		}
	}
	if after := len(w.app.Requests()); after != before {
		t.Error("the request reached the app")
	}
	if r := w.ask(t, "GET", "/x", "Cookie", name+"="+first+"; "+name+"="+first); r.StatusCode != 200 {
		t.Errorf("one value twice: status %d", r.StatusCode)
	}
	w.Log.WaitFor(t, map[string]any{"reason": "conflicting_cookies"})
}

// S-23: own cookies stay between the browser and Postern: not to the app, not from the app.
func TestS23OwnCookiesAreNotTheAppsBusiness(t *testing.T) {
	t.Parallel()
	app := App(t, map[string]http.HandlerFunc{"/set": func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Set-Cookie"] = []string{
			"__Host-postern.session=tossed; Path=/; Secure", "postern.session=tossed", "__Secure-postern.callback.x=tossed; Secure", "theirs=1",
		}
	}})
	w := newWorld(t, worldOptions{app: app})
	c := NewClient(t)
	w.login(t, c, "kari", "")
	r := c.Get(w.ingress + "/set")
	if got := r.Header["Set-Cookie"]; len(got) != 1 || got[0] != "theirs=1" {
		t.Errorf("Set-Cookie of the app: %q", got)
	}
	name, value := w.sessionCookie(c)
	line := "a=1;  b=\"x y\"; " + name + "=" + value + "; c=; d"
	seen := Echoed(t, w.ask(t, "GET", "/x", "Cookie", line))
	if got := seen.Header.Get("Cookie"); strings.Contains(got, value) || !strings.Contains(got, `b="x y"`) || !strings.Contains(got, "c=; d") {
		t.Errorf("the app got the cookies %q", got)
	}
}

// S-23 and advisory 42: every cookie that Postern sets, with its attributes.
func TestS23CookieAudit(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]worldOptions{"root": {}, "path": {path: "/app"}} {
		w := newWorld(t, o)
		c := NewClient(t)
		started := c.Navigate(w.ingress + "/oauth2/login")
		done := c.Navigate(w.idp.SignIn(c, started, "kari").Where().String())
		out := c.Navigate(w.ingress + "/oauth2/logout")
		prefix, path := "__Host-postern.", "/"
		if o.path != "" {
			prefix, path = "__Secure-postern.", o.path
		}
		for _, r := range []*Response{started, done, out} {
			for _, cookie := range r.Cookies() {
				if !cookie.HttpOnly || !cookie.Secure || cookie.SameSite != http.SameSiteLaxMode || cookie.Path != path || cookie.Domain != "" ||
					!strings.HasPrefix(cookie.Name, prefix) {
					t.Errorf("%s: cookie %v", name, cookie)
				}
			}
		}
		_, value := w.sessionCookie(NewClient(t))
		if len(value) > 250 {
			t.Errorf("the session cookie has %d bytes", len(value))
		}
	}
}

// S-55: what was kept from shared caches by Authorization is kept from them for cookies too.
func TestS55AnswersToCookieCallersArePrivate(t *testing.T) {
	t.Parallel()
	app := App(t, map[string]http.HandlerFunc{"/cached": func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
	}})
	w := newWorld(t, worldOptions{app: app})
	c := NewClient(t)
	if got := c.Get(w.ingress + "/x").Header.Get("Cache-Control"); got != "" {
		t.Errorf("nobody: Cache-Control is %q", got)
	}
	w.login(t, c, "kari", "")
	if got := c.Get(w.ingress + "/x").Header.Get("Cache-Control"); got != "private" {
		t.Errorf("somebody: Cache-Control is %q", got)
	}
	if got := c.Get(w.ingress + "/cached").Header.Get("Cache-Control"); got != "max-age=60" {
		t.Errorf("the app's own Cache-Control became %q", got)
	}
}

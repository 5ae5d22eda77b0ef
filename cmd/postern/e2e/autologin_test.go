package e2e

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

var navigation = []string{"Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"}

// Scenario 10: who is redirected to log in, and what everybody else gets.
func TestAutoLogin(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{env: map[string]string{
		"POSTERN_AUTO_LOGIN": "true", "POSTERN_AUTO_LOGIN_IGNORE_PATHS": "/public/**,/one/*,/any*,/static/**/*.js,/allowed",
	}})
	login := func(path string) string { return "/oauth2/login?redirect=" + url.QueryEscape(path) }
	for name, test := range map[string]struct {
		method, path string
		headers      []string
		status       int
		location     string
	}{
		"navigation":                       {"GET", "/x?y=1", navigation, 302, login("/x?y=1")},
		"old browser that accepts HTML":    {"GET", "/x", []string{"Accept", "application/xml, TEXT/HTML;q=0.1"}, 302, login("/x")},
		"fetch":                            {"GET", "/x", []string{"Sec-Fetch-Mode", "cors", "Sec-Fetch-Dest", "empty", "Accept", "text/html"}, 401, login("/")},
		"image":                            {"GET", "/x.png", []string{"Sec-Fetch-Mode", "no-cors", "Sec-Fetch-Dest", "image"}, 401, login("/")},
		"frame":                            {"GET", "/x", []string{"Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "iframe"}, 401, login("/")},
		"only one of the two headers":      {"GET", "/x", []string{"Sec-Fetch-Mode", "navigate", "Accept", "text/html"}, 401, login("/")},
		"program":                          {"GET", "/x", []string{"Accept", "application/json"}, 401, login("/")},
		"POST":                             {"POST", "/x", navigation, 401, login("/")},
		"HEAD":                             {"HEAD", "/x", navigation, 401, login("/")},
		"OPTIONS":                          {"OPTIONS", "/x", nil, 401, login("/")},
		"PUT":                              {"PUT", "/x", nil, 401, login("/")},
		"DELETE":                           {"DELETE", "/x", nil, 401, login("/")},
		"unknown method":                   {"FOO", "/x", nil, 401, login("/")},
		"ignored":                          {"GET", "/public/a/b", navigation, 200, ""},
		"ignored, zero segments":           {"GET", "/public", nil, 200, ""},
		"ignored, slash at the end":        {"GET", "/allowed/", nil, 200, ""},
		"below an exact one":               {"GET", "/allowed/no", nil, 401, login("/")},
		"star is one segment":              {"GET", "/one/a", nil, 200, ""},
		"star is not two":                  {"GET", "/one/a/b", nil, 401, login("/")},
		"star in a segment":                {"GET", "/anything", nil, 200, ""},
		"star does not leave its segment":  {"GET", "/any/thing", nil, 401, login("/")},
		"suffix":                           {"GET", "/static/a/b/c.js", nil, 200, ""},
		"other suffix":                     {"GET", "/static/a/b/c.css", nil, 401, login("/")},
		"case":                             {"GET", "/Public/a", nil, 401, login("/")},
		"asked by browsers on their own":   {"GET", "/favicon.ico", nil, 200, ""},
		"robots":                           {"GET", "/robots.txt", nil, 200, ""},
		"dot segments out of it":           {"GET", "/public/../secret", nil, 401, login("/")},
		"encoded dot segments":             {"GET", "/public/%2e%2e/secret", nil, 401, login("/")},
		"encoded slash":                    {"GET", "/public/..%2fsecret", nil, 401, login("/")},
		"backslash":                        {"GET", `/public/..\secret`, nil, 401, login("/")},
		"encoded backslash":                {"GET", "/public/..%5csecret", nil, 401, login("/")},
		"parameters of Java servers":       {"GET", "/public/..;/secret", nil, 401, login("/")},
		"encoded twice":                    {"GET", "/public/%252e%252e/secret", nil, 401, login("/")},
		"two slashes":                      {"GET", "//public/a", nil, 401, login("/")},
		"query is no path":                 {"GET", "/secret?x=/public/", nil, 401, login("/")},
		"a page of ours as where it began": {"GET", "/x", []string{"Referer", w.ingress + "/page?q=1"}, 401, login(w.ingress + "/page?q=1")},
		"a foreign page as such":           {"GET", "/x", []string{"Referer", "https://evil.example/"}, 401, login("/")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := w.ask(t, test.method, test.path, test.headers...)
			if r.StatusCode != test.status || r.Header.Get("Location") != test.location {
				t.Fatalf("status %d, Location %q; want %d, %q", r.StatusCode, r.Header.Get("Location"), test.status, test.location)
			}
			if r.StatusCode == http.StatusUnauthorized && !strings.HasPrefix(r.Header.Get("WWW-Authenticate"), "Bearer realm=") {
				t.Errorf("WWW-Authenticate is %q", r.Header.Get("WWW-Authenticate"))
			}
			if r.StatusCode == http.StatusUnauthorized && test.method == "GET" && !strings.Contains(r.Body, "unauthenticated, please log in") &&
				!strings.Contains(r.Body, "<html") {
				t.Errorf("body %.100q", r.Body)
			}
		})
	}
}

// With require-auth and no auto-login a browser gets a page with a link, and nothing passes.
func TestRequireAuth(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{env: map[string]string{"POSTERN_REQUIRE_AUTH": "true"}})
	c := NewClient(t)
	page := c.Navigate(w.ingress + "/x?y=1")
	if page.StatusCode != 401 || !strings.Contains(page.Body, "/oauth2/login?redirect=%2Fx%3Fy%3D1") {
		t.Errorf("navigation: status %d\n%.300s", page.StatusCode, page.Body)
	}
	for _, path := range []string{"/x", "/favicon.ico", "/robots.txt"} {
		if r := c.Get(w.ingress + path); r.StatusCode != 401 {
			t.Errorf("GET %s: status %d, want 401", path, r.StatusCode)
		}
		if r := c.Get(w.ingress+path, "Authorization", "Bearer made-up"); r.StatusCode != 401 {
			t.Errorf("GET %s with a made-up token: status %d, want 401", path, r.StatusCode)
		}
	}
	if n := len(w.app.Requests()); n != 0 {
		t.Errorf("%d requests reached the app", n)
	}
	w.login(t, c, "kari", "")
	if got := w.get(t, c, "/x").Header.Get("X-Postern-User"); got != "Z990001" {
		t.Errorf("signed in: %q", got)
	}
}

// S-14: with require-auth an ignored path only chooses 401 instead of a redirect.
func TestS14IgnoredPathsAreNotPublicWithRequireAuth(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{env: map[string]string{
		"POSTERN_REQUIRE_AUTH": "true", "POSTERN_AUTO_LOGIN": "true", "POSTERN_AUTO_LOGIN_IGNORE_PATHS": "/api/**",
	}})
	c := NewClient(t)
	if r := c.Navigate(w.ingress + "/api/x"); r.StatusCode != 401 {
		t.Errorf("ignored path: status %d, want 401", r.StatusCode)
	}
	if r := c.Navigate(w.ingress + "/other"); r.StatusCode != 302 {
		t.Errorf("other path: status %d, want 302", r.StatusCode)
	}
	if n := len(w.app.Requests()); n != 0 {
		t.Errorf("%d requests reached the app", n)
	}
}

// S-40: a preflight passes only where it is asked for, without anything that says who calls; any other OPTIONS is a request like others.
func TestS40Preflight(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{env: map[string]string{"POSTERN_REQUIRE_AUTH": "true", "POSTERN_AUTH_SKIP_PREFLIGHT": "true"}})
	c := NewClient(t)
	w.login(t, c, "kari", "")
	preflight := []string{"Origin", "https://other.example", "Access-Control-Request-Method", "PUT"}
	r := c.Send("OPTIONS", w.ingress+"/x", "", append(preflight, "Authorization", "Bearer x")...)
	if r.StatusCode != 200 {
		t.Fatalf("preflight: status %d", r.StatusCode)
	}
	for _, name := range []string{"Authorization", "Cookie", "X-Postern-User"} {
		if got := Echoed(t, r).Header.Get(name); got != "" {
			t.Errorf("the app got %s of a preflight", name)
		}
	}
	stranger := NewClient(t)
	for name, r := range map[string]*Response{
		"with a body":      stranger.Send("OPTIONS", w.ingress+"/x", "body", preflight...),
		"without Origin":   stranger.Send("OPTIONS", w.ingress+"/x", "", preflight[2:]...),
		"without a method": stranger.Send("OPTIONS", w.ingress+"/x", "", preflight[:2]...),
		"GET":              stranger.Send("GET", w.ingress+"/x", "", preflight...),
	} {
		if r.StatusCode != 401 {
			t.Errorf("%s: status %d, want 401", name, r.StatusCode)
		}
	}
}

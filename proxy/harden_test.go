package proxy

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"

	"postern/config"
	"postern/oidc"
)

// ownDoors are front doors with all own endpoints of each mode. Their lists are those that requests are routed by, so that no endpoint is forgotten.
func ownDoors(t *testing.T) map[string]struct {
	door
	endpoints []endpoint
} {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { // says as little as it can
		_, _ = w.Write([]byte("{}"))
	}))
	t.Cleanup(server.Close)
	all := func(c *Config, d *Deps) {
		signer, err := oidc.NewRandomSigner(nil)
		if err != nil {
			t.Fatal(err)
		}
		d.Signer = signer
		c.Session.BackchannelLogout, c.Session.ForwardAuth = true, true
	}
	return map[string]struct {
		door
		endpoints []endpoint
	}{
		"login": {newDoor(t, "127.0.0.1:1", all), endpoints[:]},
		"SSO server": {newDoor(t, "127.0.0.1:1", all, func(c *Config, _ *Deps) {
			c.SSO = config.SSO{Enabled: true, Mode: "server", SessionCookieName: "shared", Domain: "localhost", ServerDefaultRedirectURL: "http://app.localhost/"}
			c.Cookie.SameSite = "Lax"
		}), endpoints[:]},
		"SSO proxy": {newDoor(t, "127.0.0.1:1", all, func(c *Config, d *Deps) {
			c.SSO = config.SSO{Enabled: true, Mode: "proxy", SessionCookieName: "shared", ServerURL: server.URL}
			d.Client = nil
		}), proxyEndpoints[:]},
	}
}

// links of a page lead back to an address that its reader has asked for.
var links = regexp.MustCompile(` (href|action)="[^"]*"`)

// visitors are what browsers and programs say of themselves, each with a mark in all that a client can write.
const mark = "zq7mark"

var visitors = map[string][]string{
	"a program":                 {"Accept", "application/json"},
	"a navigation":              {"Accept", "text/html", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document", "Sec-Fetch-Site", "none"},
	"a link of another site":    {"Accept", "text/html", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document", "Sec-Fetch-Site", "cross-site", "Referer", "https://evil.example/" + mark},
	"a form of another site":    {"Accept", "text/html", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document", "Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"},
	"a frame of another site":   {"Accept", "text/html", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "iframe", "Sec-Fetch-Site", "cross-site"},
	"a script of another site":  {"Accept", "*/*", "Sec-Fetch-Mode", "cors", "Sec-Fetch-Dest", "empty", "Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"},
	"a script tag":              {"Accept", "*/*", "Sec-Fetch-Mode", "no-cors", "Sec-Fetch-Dest", "script", "Sec-Fetch-Site", "cross-site"},
	"an opaque origin":          {"Accept", "*/*", "Sec-Fetch-Mode", "cors", "Sec-Fetch-Dest", "empty", "Sec-Fetch-Site", "cross-site", "Origin", "null"},
	"an old browser, elsewhere": {"Accept", "text/html", "Origin", "https://evil.example"},
}

// Row 81, and Fetch metadata on every own endpoint by every method: what is answered cannot be framed, sniffed, stored or read by another site, shows
// nothing of the request, and no site but our own ends or renews a session.
func TestRow81OwnEndpointsDefendThemselves(t *testing.T) {
	t.Parallel()
	for mode, d := range ownDoors(t) {
		paths := map[string]string{"/oauth2/" + mark: "", "/oauth2": "", "/oauth2//login": ""}
		for _, e := range d.endpoints {
			paths[ownPrefix+e.path] = e.path
		}
		var all sync.WaitGroup
		for path, rest := range paths {
			for who := range visitors {
				all.Go(func() { // each waits for a provider that does not answer
					for _, method := range []string{"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PROPFIND", strings.ToUpper(mark)} {
						w := httptest.NewRecorder()
						d.ServeHTTP(w, visitBy(who, method, path, d.cookie))
						checkOwnAnswer(t, mode+": "+method+" "+path+" by "+who, rest, w)
					}
				})
			}
		}
		all.Wait()
		if mode != "login" { // the others' sessions have another cookie
			continue
		}
		w := httptest.NewRecorder()
		d.ServeHTTP(w, visitBy("a frame of another site", "GET", "/oauth2/session", d.cookie))
		if w.Code != 200 || !strings.Contains(w.Body.String(), `"active":true`) {
			t.Errorf("%s: the session is gone: %d %s", mode, w.Code, w.Body)
		}
	}
}

func visitBy(who, method, path, cookie string) *http.Request {
	query := "?redirect=%2F" + mark + "&error=" + mark + "&error_description=<script>" + mark + "&state=" + mark + "&code=" + mark
	r := httptest.NewRequest(method, "http://app.localhost"+path+query, nil)
	r.RequestURI = path + query
	r.Header = http.Header{"User-Agent": {mark}, "X-Request-Id": {"<" + mark + ">"}, "Accept-Language": {mark}}
	for i := 0; i+1 < len(visitors[who]); i += 2 {
		r.Header[visitors[who][i]] = []string{visitors[who][i+1]}
	}
	if ours := who == "a program" || who == "a navigation"; !ours { // these may end what is theirs
		r.Header["Cookie"] = []string{cookie}
	}
	return r
}

func checkOwnAnswer(t *testing.T, name, rest string, w *httptest.ResponseRecorder) {
	t.Helper()
	header := w.Header()
	one := func(key string) string {
		if len(header[key]) > 1 {
			t.Errorf("%s: %s twice: %q", name, key, header[key])
		}
		return header.Get(key)
	}
	if got := one("X-Content-Type-Options"); got != "nosniff" {
		t.Errorf("%s: %d X-Content-Type-Options %q", name, w.Code, got)
	}
	policy := one("Content-Security-Policy")
	if !strings.HasPrefix(policy, "default-src 'none'") || strings.Contains(policy, "unsafe") || strings.Contains(policy, mark) {
		t.Errorf("%s: Content-Security-Policy %q", name, policy)
	}
	if framed := rest == pathFrontchannel; !framed && (!strings.Contains(policy, "frame-ancestors 'none'") || one("X-Frame-Options") != "DENY") ||
		framed && w.Code < 300 && (strings.Contains(policy, "frame-ancestors") || one("X-Frame-Options") != "") {
		t.Errorf("%s: %d frames: %q, %q", name, w.Code, policy, one("X-Frame-Options"))
	}
	if cache := one("Cache-Control"); !strings.Contains(cache, "no-store") && rest != pathSessionScript {
		t.Errorf("%s: Cache-Control %q", name, cache)
	}
	if got := one("Access-Control-Allow-Origin"); got != "" {
		t.Errorf("%s: Access-Control-Allow-Origin %q", name, got)
	}
	if text := w.Body.String(); strings.Contains(links.ReplaceAllString(text, ""), mark) {
		t.Errorf("%s: the answer repeats the request: %.300s", name, text)
	}
	for key, values := range header {
		if key != "Location" && key != "Set-Cookie" && strings.Contains(strings.Join(values, ""), mark) {
			t.Errorf("%s: %s repeats the request: %q", name, key, values)
		}
	}
}

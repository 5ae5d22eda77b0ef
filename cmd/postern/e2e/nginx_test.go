package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// nginxOfTheDocuments is the configuration that the documents show, with the addresses of a test.
func nginxOfTheDocuments(t *testing.T, public, listener, app string) string {
	t.Helper()
	file, err := os.ReadFile(filepath.Join(moduleRoot(t), "proxy", "forward-auth.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(file), "```nginx\n")
	text, _, ended := strings.Cut(rest, "```")
	if !found || !ended {
		t.Fatal("proxy/forward-auth.md shows no configuration of nginx")
	}
	return strings.NewReplacer("postern:3000", public, "postern:3004", listener, "app:8080", app).Replace(text)
}

// S-16 with a real ingress: nginx asks about each request, and takes it to the app with what it was told.
func TestS16NginxAsks(t *testing.T) {
	t.Parallel()
	public := "127.0.0.1:" + FreePort(t)
	f := prepareForwardWorld(t, forwardPolicy, map[string]string{"POSTERN_BIND_ADDRESS": public})
	_, port, _ := strings.Cut(f.host(), ":")
	Nginx(t, port, nginxOfTheDocuments(t, public, f.listener, f.app.Addr))
	f.Process = Start(t, f.env)
	front := "127.0.0.1:" + port

	c := NewClient(t)
	if r := c.Navigate(f.ingress + "/deep?a=1&b=2"); r.StatusCode != 302 || r.Where().String() != f.ingress+"/oauth2/login?redirect=%2Fdeep%3Fa%3D1%26b%3D2" {
		t.Fatalf("nobody navigates: status %d to %s", r.StatusCode, r.Where())
	}
	if r := c.Get(f.ingress + "/deep"); r.StatusCode != 401 || r.Header.Get("Www-Authenticate") == "" {
		t.Errorf("nobody fetches: status %d, %v", r.StatusCode, r.Header)
	}
	if done := f.login(t, c, "kari", "/deep?a=1&b=2"); done.Where().String() != f.ingress+"/deep?a=1&b=2" {
		t.Errorf("the login leads to %s", done.Where())
	}
	seen := f.get(t, c, "/deep?a=1", "X-Postern-User", "evil", "X-Postern-Groups", "evil")
	if seen.Header.Get("X-Postern-User") != "Z990001" || !strings.HasPrefix(seen.Header.Get("Authorization"), "Bearer ey") ||
		seen.Header.Get("X-Postern-Groups") != caseworker[0] || seen.URI != "/deep?a=1" {
		t.Errorf("the app saw %+v", seen)
	}
	if got := f.get(t, NewClient(t), "/public/x", "X-Postern-User", "evil").Header.Get("X-Postern-User"); got != "" {
		t.Errorf("nobody is %q to the app", got)
	}
	name, value := f.sessionCookie(c)
	cookie := name + "=" + value
	before := len(f.app.Requests())
	for _, test := range []struct {
		method, target string
		headers        []string
	}{
		{"GET", "/admin/x", nil},
		{"DELETE", "/admin/x", nil},
		{"GET", "/public%2f..%2fadmin/x", nil},
		{"GET", "/public/..;/admin/x", nil},
		{"GET", "/%2561dmin/x", nil},
		{"GET", "//admin/x", nil},
		{"GET", "/admin/x?/public/x", nil},
		{"GET", "/admin/x", []string{"X-Original-URL", "/public/x", "X-Original-Method", "GET"}}, // nginx overwrites them
		{"GET", "/x", []string{"X-Forwarded-Uri", "/public/x", "X-Forwarded-Method", "GET"}},
		{"GET", "/x", []string{"X-Forwarded-Uri", "/x"}},
		{"POST", "/orders/1", []string{"Sec-Fetch-Site", "cross-site", "Content-Length", "0"}},
		{"GET", "/x", []string{"Upgrade", "websocket", "Connection", "Upgrade", "Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==", "Origin", "https://evil.example"}},
	} {
		head := rawRequest(test.method, test.target, f.host(), append(test.headers, "Cookie", cookie)...)
		if r := RawResponse(t, front, head); r.StatusCode != 403 {
			t.Errorf("%s %s %v: status %d, want 403", test.method, test.target, test.headers, r.StatusCode)
		}
	}
	if after := len(f.app.Requests()); after != before {
		t.Errorf("the app was reached %d times", after-before)
	}
	if r := c.Send("POST", f.ingress+"/orders/1", "body of the request"); r.StatusCode != 200 || Echoed(t, r).Body != "body of the request" {
		t.Errorf("a body: status %d", r.StatusCode)
	}
}

package demoapp

import (
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"
)

var testNow = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func newApp(tb testing.TB) *App {
	tb.Helper()
	a, err := New(Config{IdPBase: "http://idp.localhost:8081", Now: func() time.Time { return testNow }})
	if err != nil {
		tb.Fatal(err)
	}
	return a
}

// kari is what Postern sends for a person, with the access token raw.
func kari(r *http.Request, raw string) *http.Request {
	claims := `{"name":"Kari Sørbø","auth_time":1772362800,"groups":["a","b"],"big":12345678901234567890}`
	for name, value := range map[string]string{
		"X-Postern-Auth": "session", "X-Postern-Provider": "entra_id", "X-Postern-Kind": "user", "X-Postern-User": "Z990001",
		"X-Postern-Name": "Kari S%C3%B8rb%C3%B8", "X-Postern-Groups": "staff,a%2Cb", "X-Postern-New-Thing": "1",
		"X-Postern-Claims": base64.RawURLEncoding.EncodeToString([]byte(claims)), "Authorization": "Bearer " + raw,
	} {
		r.Header.Set(name, value)
	}
	return r
}

func jwt(header, claims string) string {
	encode := base64.RawURLEncoding.EncodeToString
	return encode([]byte(header)) + "." + encode([]byte(claims)) + ".c2lnbmF0dXJl"
}

func get(a *App, r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	a.ServeHTTP(w, r)
	return w
}

func wantAll(t *testing.T, body string, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if !strings.Contains(body, text) {
			t.Errorf("page lacks %q", text)
		}
	}
}

func TestFrontPageShowsWhoIsCalling(t *testing.T) {
	t.Parallel()
	raw := jwt(`{"alg":"RS256","kid":"key-1"}`, `{"aud":"api://demo","scp":"defaultaccess","exp":1772370000}`)
	r := kari(httptest.NewRequest(http.MethodGet, "/", nil), raw)
	r.Header.Set("Cookie", "theme=dark")
	w := get(newApp(t), r)
	body := w.Body.String()
	wantAll(t, body,
		"Hello, Kari Sørbø", "<strong>Z990001</strong>", "Entra ID vouches", ">KS<", // the person
		"staff, a,b", "sent as <code>staff,a%2Cb</code>", "X-Postern-New-Thing", // the headers, readable
		"Show all 4 claims", "12345678901234567890", "11:00:00 UTC, 1 hour ago", // the claims, exact
		"api://demo", "13:00:00 UTC, in 1 hour", "key-1", // the token
		"<code>theme</code>", // cookies by name
		`href="/oauth2/logout"`, `href="/oauth2/login?prompt=select_account&amp;redirect=%2F"`, "http://idp.localhost:8081",
	)
	for _, never := range []string{raw, "c2lnbmF0dXJl", "=dark", "Not logged in", "ZgotmplZ"} {
		if strings.Contains(body, never) {
			t.Errorf("page shows %q", never)
		}
	}
	if w.Header().Get("Cache-Control") != "no-store" {
		t.Error("a page that names a person may be stored")
	}
}

func TestFrontPageForNobody(t *testing.T) {
	t.Parallel()
	body := get(newApp(t), httptest.NewRequest(http.MethodGet, "/", nil)).Body.String()
	wantAll(t, body, "Not logged in", "This app does not know you", `href="/oauth2/login?redirect=%2F"`, `data-known="false"`)
	if strings.Contains(body, "Log out<") || strings.Contains(body, "Your session") {
		t.Error("page for nobody speaks of a session")
	}
}

func TestDeepLinkShowsPathAndQueryAsTheyCame(t *testing.T) {
	t.Parallel()
	body := get(newApp(t), httptest.NewRequest(http.MethodGet, "/cases/42?tab=notes&x=a%2Fb&bad=%zz", nil)).Body.String()
	wantAll(t, body, "<h2 id=\"case-title\">Case 42</h2>", "<code>/cases/42?tab=notes&amp;x=a%2Fb&amp;bad=%zz</code>", "<code>a%2Fb</code>", ">a/b<",
		"redirect=%2Fcases%2F42%3Ftab%3Dnotes%26x%3Da%252Fb%26bad%3D%25zz")
}

func TestHostileInputIsText(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequest(http.MethodGet, "/cases/%3Cscript%3E?a=%3Cscript%3E&%22%3E%3Cscript%3E", nil)
	r.Host = `"><script>`
	kari(r, jwt(`{"<script>":"<script>"}`, `{"aud":["<script>"],"exp":"<script>"}`))
	r.Header.Set("X-Postern-Name", "%3Cscript%3E")
	r.Header.Set("X-Postern-Provider", "<script>")
	r.Header.Set("Cookie", "<script>=1; a=<script>")
	body := get(newApp(t), r).Body.String()
	if n := strings.Count(body, "<script"); n != 1 {
		t.Errorf("%d script elements, want our own alone", n)
	}
}

func TestOtherPagesAndMethods(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	for target, want := range map[string]int{
		"/nothing": 404, "/static/app.js": 200, "/static/app.css": 200, "/static/mark.svg": 200, "/static/../app.go": 307, "/static/none": 404,
	} {
		if w := get(a, httptest.NewRequest(http.MethodGet, target, nil)); w.Code != want {
			t.Errorf("GET %s: %d, want %d", target, w.Code, want)
		}
	}
}

// The policy forbids everything inline and foreign, so the pages must do without.
func TestPagesKeepToTheirContentSecurityPolicy(t *testing.T) {
	t.Parallel()
	a := newTryApp(t, &fakeTrier{tried: letIn()})
	calling := newOutside(t).app(t)
	for _, r := range []*http.Request{
		httptest.NewRequest(http.MethodGet, "/", nil),
		httptest.NewRequest(http.MethodGet, "/try", nil),
		kari(httptest.NewRequest(http.MethodGet, "/cases/1", nil), "opaque"),
		kari(httptest.NewRequest(http.MethodGet, "/onbehalf?api=orders", nil), receivedToken),
		httptest.NewRequest(http.MethodGet, "/nothing", nil),
	} {
		w := get(a, r)
		if r.URL.Path == "/onbehalf" {
			w = get(calling, r)
		}
		csp := w.Header().Get("Content-Security-Policy")
		if !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") {
			t.Errorf("policy %q", csp)
		}
		if inline := regexp.MustCompile(`<style| style=| on[a-z]+=|<script>`).FindString(w.Body.String()); inline != "" {
			t.Errorf("%s: inline %q", r.URL.Path, inline)
		}
		for _, m := range regexp.MustCompile(`(?:src|<link [^>]*href)="([^"]*)"`).FindAllStringSubmatch(w.Body.String(), -1) {
			if !strings.HasPrefix(m[1], "/static/") {
				t.Errorf("%s: loads %s", r.URL.Path, m[1])
			}
		}
	}
}

// The palette is that of Postern's own pages, whose contrast is computed there.
func TestPaletteIsThatOfThePages(t *testing.T) {
	t.Parallel()
	pages, err := os.ReadFile("../../../proxy/pages/page.css")
	if err != nil {
		t.Fatal(err)
	}
	ours, err := staticFiles.ReadFile("static/app.css")
	if err != nil {
		t.Fatal(err)
	}
	property := regexp.MustCompile(`--[a-z-]+: #[0-9a-f]{6};`)
	theirs := map[string]int{}
	for _, p := range property.FindAllString(string(pages), -1) {
		theirs[p]++
	}
	shared := 0
	for _, p := range property.FindAllString(string(ours), -1) {
		if strings.HasPrefix(p, "--well:") {
			continue // the ground of code, a shade off the card
		}
		if shared++; theirs[p] == 0 {
			t.Errorf("%s is not a colour of the pages", p)
		}
	}
	if shared < 20 {
		t.Errorf("only %d colours found", shared)
	}
}

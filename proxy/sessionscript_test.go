package proxy

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"testing"
)

func TestScriptIsServedAndRevalidated(t *testing.T) {
	t.Parallel()
	ask := func(method string, headers ...string) *http.Response {
		r := httptest.NewRequest(method, "https://app.example.org/a/oauth2/session.js", nil)
		for i := 0; i < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		w := httptest.NewRecorder()
		noStore(w.Header()) // as own endpoints begin
		serveScript(w, r, sessionModule, sessionModuleTag())
		return w.Result()
	}
	first := ask("GET")
	tag := first.Header.Get("ETag")
	for name, want := range map[string]string{
		"Content-Type": "text/javascript; charset=utf-8", "X-Content-Type-Options": "nosniff", "Cache-Control": "public, max-age=300",
		"Cross-Origin-Resource-Policy": "same-origin", "Expires": "", "Pragma": "", "X-Accel-Expires": "", "Set-Cookie": "",
	} {
		if got := first.Header.Get(name); got != want {
			t.Errorf("%s is %q and not %q", name, got, want)
		}
	}
	if len(tag) < 18 || tag[0] != '"' || first.StatusCode != 200 || first.ContentLength != int64(len(sessionModule)) {
		t.Errorf("status %d, ETag %s, %d bytes", first.StatusCode, tag, first.ContentLength)
	}
	for name, c := range map[string]struct {
		method  string
		headers []string
		status  int
		bytes   int64
	}{
		"a browser that has it":                {"GET", []string{"If-None-Match", tag}, 304, 0},
		"one that has another":                 {"GET", []string{"If-None-Match", `"other"`}, 200, int64(len(sessionModule))},
		"one whose cache weakened the tag":     {"GET", []string{"If-None-Match", "W/" + tag}, 304, 0},
		"HEAD":                                 {"HEAD", nil, 200, 0},
		"a date, which nothing is compared to": {"GET", []string{"If-Modified-Since", "Sun, 22 Nov 2099 00:00:00 GMT"}, 200, int64(len(sessionModule))},
	} {
		answer := ask(c.method, c.headers...)
		body := make([]byte, len(sessionModule)+1)
		n, _ := answer.Body.Read(body)
		if answer.StatusCode != c.status || int64(n) != c.bytes || answer.Header.Get("ETag") != tag {
			t.Errorf("%s: status %d with %d bytes", name, answer.StatusCode, n)
		}
	}
}

// What it must never have: another module, text that becomes markup or code, a token, or an address that is not its own.
func TestModuleDependsOnNothing(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{`(?m)^import\b`, `\bimport\(`, `innerHTML`, `\beval\b`, `Function\(`, `document\.cookie`, `localStorage`, `https?://`, `_token`, `(?i)bearer`} {
		if found := regexp.MustCompile(bad).Find(sessionModule); found != nil {
			t.Errorf("it has %q", found)
		}
	}
	if len(sessionModule) > 16<<10 {
		t.Errorf("%d bytes, for every page of every app", len(sessionModule))
	}
}

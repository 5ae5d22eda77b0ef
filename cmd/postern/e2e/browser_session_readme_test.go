package e2e

import (
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
)

// The page of proxy's README, word by word.
func TestBrowserSessionModuleAsItsDocumentUsesIt(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("../../../proxy/README.md")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile("(?s)\n```js\n(import \\{ watchSession.*?)```").FindSubmatch(readme)
	if found == nil {
		t.Fatal("the document has no page that watches the session")
	}
	app := webApp(t, "", map[string]http.HandlerFunc{
		"GET /watch": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			w.Header().Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; connect-src 'self'")
			_, _ = w.Write([]byte(`<!doctype html><title>x</title><div id="session" hidden><p></p><button>Stay</button><a target="_blank" rel="noopener">Log in</a></div>
				<button id="logout">Log out</button><script type="module" src="/watch.js"></script>`))
		},
		"GET /watch.js": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/javascript")
			_, _ = w.Write(found[1])
		},
	})
	w := browserWorld(t, worldOptions{app: app, env: map[string]string{
		"POSTERN_SESSION_INACTIVITY": "true", "POSTERN_SESSION_INACTIVITY_TIMEOUT": "10s", "POSTERN_AUTO_LOGIN_IGNORE_PATHS": "/,/watch,/watch.js",
	}})
	tab := Browser(t)
	tab.signIn(w, "kari", "/watch")
	tab.Wait("#session button") // half of the time is over
	if text := tab.Text("#session p"); !strings.HasPrefix(text, "You will be signed out in ") {
		t.Errorf("it says %q", text)
	}
	tab.Click("#session button")
	Eventually(t, "the warning goes away", func() error {
		if !Eval[bool](tab, `document.querySelector("#session").hidden`) {
			return errorf("%s", tab.Text("#session p"))
		}
		return nil
	})
	tab.Wait("#session a") // nobody did anything more
	if text := tab.Text("#session p"); text != "You are signed out." {
		t.Errorf("it says %q", text)
	}
	if got := Eval[string](tab, `document.querySelector("#session a").href`); got != w.ingress+"/oauth2/login?redirect=%2Fwatch" {
		t.Errorf("it leads to %s", got)
	}
}

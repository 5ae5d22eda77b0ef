package e2e

import (
	"html/template"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// kari's NAVident, which is how the app knows her.
const kari = "Z990001"

var appPage = template.Must(template.New("app").Parse(`<!doctype html><html lang="en"><title>The app</title>
<p id="user">{{.User}}</p><p id="address">{{.Address}}</p><a id="logout" href="{{.Root}}/oauth2/logout">Log out</a>`))

// webApp is an app of pages: each shows who is calling (#user), and the address that it was asked for (#address). Below /api it answers JSON.
func webApp(t testing.TB, root string, routes map[string]http.HandlerFunc) *AppServer {
	t.Helper()
	all := map[string]http.HandlerFunc{
		"/": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			_ = appPage.Execute(w, map[string]string{"User": whoCalls(r), "Address": r.URL.RequestURI(), "Root": root})
		},
		"/api/": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write([]byte(`{"user":"` + whoCalls(r) + `"}`))
		},
	}
	for pattern, handler := range routes {
		all[pattern] = handler
	}
	return App(t, all)
}

func whoCalls(r *http.Request) string {
	if user := r.Header.Get("X-Postern-User"); user != "" {
		return user
	}
	if r.Header.Get("X-Postern-Auth") != "" {
		return r.Header.Get("X-Postern-Subject")
	}
	return "nobody"
}

// browserWorld is a world whose app is made for a browser. Everything but the front page, /open and /api/open needs a login.
func browserWorld(t testing.TB, o worldOptions) *world {
	t.Helper()
	w := prepareBrowserWorld(t, o)
	w.Process = Start(t, w.env)
	return w
}

func prepareBrowserWorld(t testing.TB, o worldOptions) *world {
	t.Helper()
	env := map[string]string{
		"POSTERN_AUTO_LOGIN":              "true",
		"POSTERN_AUTO_LOGIN_IGNORE_PATHS": strings.Join([]string{o.path + "/", o.path + "/open", o.path + "/api/open"}, ","),
	}
	for name, value := range o.env {
		env[name] = value
	}
	o.env = env
	if o.app == nil {
		o.app = webApp(t, o.path, nil)
	}
	return prepareWorld(t, o)
}

// otherSite serves pages on other.localhost, which browsers hold to be another site than app.localhost.
func otherSite(t testing.TB, pages map[string]string) (origin string) {
	t.Helper()
	routes := map[string]http.HandlerFunc{}
	for path, page := range pages {
		routes["GET "+path] = func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			_, _ = w.Write([]byte("<!doctype html><title>Another site</title>" + page))
		}
	}
	_, port, _ := strings.Cut(App(t, routes).Addr, ":")
	return "http://other.localhost:" + port
}

// as presses the button of a person on the login page of [DevProvider], and returns the status of the page that this leads to.
func (b *Tab) as(persona string) int {
	b.t.Helper()
	return b.Press("button[value=" + persona + "]")
}

// signIn logs a person in at the app and ends on the given path of it.
func (b *Tab) signIn(w *world, persona, path string) {
	b.t.Helper()
	b.Navigate(w.ingress + "/oauth2/login?redirect=" + w.path() + path)
	if status := b.as(persona); status != http.StatusOK || b.URL() != w.ingress+path {
		b.t.Fatalf("the login ended with status %d at %s", status, b.URL())
	}
}

// at fails the test unless the tab is on the page of the app for this address, and the app knows this user.
func (b *Tab) at(w *world, path, user string) {
	b.t.Helper()
	if got := b.URL(); got != w.ingress+path {
		b.t.Errorf("the tab is at %s, want %s", got, w.ingress+path)
	}
	if got := b.Text("#user"); got != user {
		b.t.Errorf("the app is called by %q, want %q", got, user)
	}
}

// atProvider fails the test unless the tab shows a page of the project's own provider.
func (b *Tab) atProvider(w *world) {
	b.t.Helper()
	if got := b.URL(); !strings.HasPrefix(got, w.dev.origin()+"/") {
		b.t.Fatalf("the tab is at %s, want the provider", got)
	}
}

// shows fails the test unless a page of Postern itself with this heading is shown, and looks at it.
func (b *Tab) shows(status, wantStatus int, kind, heading string) {
	b.t.Helper()
	if got := b.Text("h1"); got != heading || status != wantStatus {
		b.t.Fatalf("status %d with the heading %q, want %d with %q", status, got, wantStatus, heading)
	}
	b.look("page-" + kind)
}

// look holds a page to what every page must be on a phone and on a desk, in light and in dark; E2E_SHOTS gets pictures.
func (b *Tab) look(name string) {
	b.t.Helper()
	for _, size := range []struct {
		name          string
		width, height int64
	}{{"tiny", 320, 640}, {"narrow", 390, 844}, {"wide", 1280, 900}} {
		b.Viewport(size.width, size.height)
		if over := Eval[int](b, "document.documentElement.scrollWidth - innerWidth"); over > 0 {
			b.t.Errorf("%s: %d pixels wider than a window of %d", name, over, size.width)
		}
		// WCAG 2.2 2.5.8 asks for 24 pixels; what one is meant to press here has more.
		if small := Eval[string](b, smallTargets); small != "" {
			b.t.Errorf("%s at %d pixels: hard to hit: %s", name, size.width, small)
		}
		if os.Getenv("E2E_SHOTS") == "" || size.name == "tiny" {
			continue
		}
		for _, scheme := range []string{"light", "dark"} {
			b.ColorScheme(scheme)
			run(b, "hold still", chromedp.Evaluate[chromedp.Void]("scrollTo(0, 0); document.getAnimations().forEach(a => a.finish())"))
			b.Screenshot(name + "-" + size.name + "-" + scheme)
		}
	}
	for _, message := range b.Console() {
		if strings.Contains(message, "Content Security Policy") {
			b.t.Errorf("%s: %s", name, message)
		}
	}
}

const smallTargets = `[...document.querySelectorAll("button, .ways a, .actions a, nav a, summary")]
	.filter(e => e.getClientRects().length && e.getBoundingClientRect().height < 40).map(e => e.textContent.trim()).join(", ")`

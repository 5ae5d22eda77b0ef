package e2e

import (
	"net/http"
	"testing"
)

// The whole in a browser: it alone decides whether a cookie is shared over a domain, and whether a script may read an answer.
func TestSSOInABrowser(t *testing.T) {
	t.Parallel()
	s := newSSO(t, ssoOptions{
		apps: func(t testing.TB) *AppServer { return webApp(t, "", nil) },
		one:  map[string]string{"POSTERN_AUTO_LOGIN": "true", "POSTERN_AUTO_LOGIN_IGNORE_PATHS": "/open,/start"}, two: map[string]string{"POSTERN_AUTO_LOGIN": "true", "POSTERN_AUTO_LOGIN_IGNORE_PATHS": "/"},
	})
	tab := Browser(t)
	tab.Navigate(s.one.ingress + "/cases/1?x=1")
	tab.atProvider(s.one)
	if status := tab.as("kari"); status != http.StatusOK {
		t.Fatalf("after the login: status %d at %s", status, tab.URL())
	}
	tab.at(s.one, "/cases/1?x=1", kari)
	other := tab.Open()
	other.Navigate(s.two.ingress + "/cases/2")
	other.at(s.two, "/cases/2", kari) // without a login of its own

	// A script of an app may ask its own proxy, and the server itself.
	for _, address := range []string{"/oauth2/session", s.server.ingress + "/oauth2/session"} {
		if got := Eval[bool](tab, `fetch("`+address+`", {credentials: "include"}).then(r => r.json()).then(m => m.session.active)`); !got {
			t.Errorf("%s: no session", address)
		}
	}
	if got := Eval[int](tab, `fetch("`+s.server.ingress+`/oauth2/session/refresh", {method: "POST", credentials: "include", headers: {"X-Mine": "1"}}).then(r => r.status)`); got != 200 {
		t.Errorf("refresh at the server: status %d", got)
	}
	// The module at the app's own proxy learns from the server.
	if got := Eval[string](tab, `import("/oauth2/session.js").then(m => new Promise(done => m.watchSession().addEventListener("change", e => done(e.detail.status))))`); got != "signed-in" {
		t.Errorf("the session module says %s", got)
	}
	foreign := Browser(t)
	foreign.Navigate(otherSite(t, map[string]string{"/": "hello"}))
	if got := Eval[string](foreign, `fetch("`+s.server.ingress+`/oauth2/session", {credentials: "include"}).then(() => "read", () => "refused")`); got != "refused" {
		t.Errorf("another site's script: %s", got)
	}

	if status := other.Press("#logout"); status != http.StatusOK || other.URL() != s.asDefault() {
		t.Errorf("the logout ends with status %d at %s", status, other.URL())
	}
	tab.Navigate(s.two.ingress + "/")
	tab.at(s.two, "/", "nobody")
	tab.Navigate(s.one.ingress + "/cases/3")
	tab.atProvider(s.one)

	// A logout that another site starts asks, and its button leads over the provider and back to the app.
	tab.as("ola")
	asked := tab.Navigate(otherSite(t, map[string]string{"/": `<a id="out" href="` + s.one.ingress + `/oauth2/logout?redirect=/open">out</a>`}))
	if asked != http.StatusOK {
		t.Fatalf("the other site: status %d", asked)
	}
	tab.shows(tab.Press("#out"), http.StatusOK, "confirm_logout", "Do you want to log out?")
	tab.Press("button")
	if got := tab.URL(); got != s.one.ingress+"/open" {
		t.Errorf("after the button the tab is at %s", got)
	}
}

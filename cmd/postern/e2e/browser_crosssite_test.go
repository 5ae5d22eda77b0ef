package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// S-17: what another site makes the browser send reaches the app without the person, if at all.
func TestBrowserS17AnotherSiteSpeaksForNobody(t *testing.T) {
	t.Parallel()
	w := browserWorld(t, worldOptions{})
	other := otherSite(t, map[string]string{
		"/form":  `<form method="post" action="` + w.ingress + `/open"><input name="amount" value="1000"><button>free kittens</button></form>`,
		"/":      `<p>hello</p>`,
		"/frame": `<iframe src="` + w.ingress + `/open"></iframe>`,
	})
	tab := Browser(t)
	tab.signIn(w, "kari", "/cases/1")
	before := len(w.app.Requests())

	tab.Navigate(other + "/form")
	if status := tab.Press("button"); status != http.StatusOK {
		t.Fatalf("form of another site: status %d", status)
	}
	tab.at(w, "/open", "nobody")

	tab.Navigate(other + "/frame")
	tab.Navigate(other + "/")
	got := Eval[string](tab, `fetch("`+w.ingress+`/open", {method: "POST", credentials: "include", mode: "no-cors", body: "amount=1000"}).then(r => r.type)`)
	if got != "opaque" {
		t.Errorf("fetch of another site: %s", got)
	}
	posts := 0
	for _, seen := range w.app.Requests()[before:] {
		if seen.URI != "/open" { // the icon, which the browser asks for on its own
			continue
		}
		if seen.Method == "POST" {
			posts++
		}
		if seen.Header.Get("X-Postern-User") != "" || seen.Header.Get("Authorization") != "" || strings.Contains(seen.Header.Get("Cookie"), "session") {
			t.Errorf("%s %s speaks for somebody", seen.Method, seen.URI)
		}
	}
	if posts != 2 {
		t.Errorf("%d POST requests reached the app, want the form's and the script's", posts)
	}
	tab.Navigate(w.ingress + "/cases/1")
	tab.at(w, "/cases/1", kari)
}

// After the end of the session the app's own scripts get an answer that they can read: 401 with JSON, no redirect to another origin that
// would end in an error of CORS.
func TestBrowserScriptsLearnThatTheSessionHasEnded(t *testing.T) {
	t.Parallel()
	w := browserWorld(t, worldOptions{})
	tab := Browser(t)
	tab.signIn(w, "kari", "/cases/1")
	const ask = `fetch("/api/cases").then(async r => r.status + " " + r.headers.get("Content-Type") + " " + await r.text(), e => "error: " + e)`
	if got := Eval[string](tab, ask); got != `200 application/json {"user":"`+kari+`"}` {
		t.Errorf("signed in: %s", got)
	}
	if got := Eval[int](tab, `fetch("/oauth2/logout/local", {method: "POST"}).then(r => r.status)`); got != http.StatusNoContent {
		t.Errorf("local logout by a script: status %d", got)
	}
	if got := Eval[string](tab, ask); got != `401 application/json {"error":"unauthenticated, please log in"}` {
		t.Errorf("signed out: %s", got)
	}
	const where = `fetch("/api/cases").then(r => r.headers.get("Location") + " " + r.headers.get("WWW-Authenticate"))`
	if got, want := Eval[string](tab, where), "/oauth2/login?redirect="; !strings.HasPrefix(got, want) || !strings.Contains(got, "Bearer realm=") {
		t.Errorf("where to log in: %s", got)
	}
	if got := Eval[int](tab, `fetch("/oauth2/session").then(r => r.status)`); got != http.StatusUnauthorized {
		t.Errorf("session: status %d", got)
	}
	if got := Eval[int](tab, `fetch("/oauth2/logout").then(r => r.status)`); got != http.StatusUnauthorized {
		t.Errorf("a script that follows the logout: status %d", got)
	}
	if got := Eval[string](tab, `fetch("/api/open").then(r => r.text())`); got != `{"user":"nobody"}` {
		t.Errorf("open path: %s", got)
	}
}

// S-23: a page of the same host puts a second session cookie beside the real one. Where the browser lets it, neither counts; with the cookie's
// proper name the browser does not let it.
func TestBrowserS23TossedCookie(t *testing.T) {
	t.Parallel()
	toss := func(name string) string {
		return fmt.Sprintf(`(document.cookie = "%s=tossed; path=/cases; secure", document.cookie = "%s=tossed; path=/cases")`, name, name)
	}
	t.Run("plain name", func(t *testing.T) {
		t.Parallel()
		w := browserWorld(t, worldOptions{env: map[string]string{"POSTERN_COOKIE_SECURE": "false"}})
		tab := Browser(t)
		tab.signIn(w, "kari", "/open")
		Eval[string](tab, `document.cookie = "postern.session=tossed; path=/cases"`)
		status := tab.Navigate(w.ingress + "/cases/1")
		tab.shows(status, http.StatusBadRequest, "two_sessions", "Your browser sent two logins at once")
		tab.Navigate(w.ingress + "/elsewhere") // where the second cookie is not sent
		tab.at(w, "/elsewhere", kari)
	})
	t.Run("name with the prefix", func(t *testing.T) {
		t.Parallel()
		w := browserWorld(t, worldOptions{})
		tab := Browser(t)
		tab.signIn(w, "kari", "/open")
		Eval[string](tab, toss("__Host-postern.session"))
		Eval[string](tab, toss("postern.session"))
		tab.Navigate(w.ingress + "/cases/1")
		tab.at(w, "/cases/1", kari)
	})
}

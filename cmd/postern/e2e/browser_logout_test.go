package e2e

import (
	"net/http"
	"strings"
	"testing"
)

// Out through the provider and back: both have forgotten the person.
func TestBrowserLogout(t *testing.T) {
	t.Parallel()
	w := browserWorld(t, worldOptions{})
	tab := Browser(t)
	tab.signIn(w, "kari", "/cases/1")
	if status := tab.Press("#logout"); status != http.StatusOK {
		t.Fatalf("after the logout: status %d at %s", status, tab.URL())
	}
	tab.at(w, "/", "nobody")
	for _, cookie := range tab.Cookies(w.ingress + "/") {
		t.Errorf("the cookie %s is still there", cookie.Name)
	}
	if n := w.dev.Counts(t)["logout"]; n != 1 {
		t.Errorf("the provider was asked %d times to log out", n)
	}
	tab.Navigate(w.ingress + "/cases/2")
	tab.atProvider(w)
	if signedIn := Eval[int](tab, `[...document.querySelectorAll(".tag.on")].length`); signedIn != 0 {
		t.Error("the provider still knows somebody")
	}
	tab.look("provider-login")
}

// S-32: another site can only ask. The button of the page that asks works, through the redirects to a provider on plain http.
func TestBrowserS32CrossSiteLogoutAsks(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]worldOptions{"root of the host": {}, "ingress with a path": {path: "/app"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := browserWorld(t, o)
			other := otherSite(t, map[string]string{
				"/":     `<a id="out" href="` + w.ingress + `/oauth2/logout">free kittens</a>`,
				"/post": `<form method="post" action="` + w.ingress + `/oauth2/logout"><button>free kittens</button></form>`,
				"/img":  `<img src="` + w.ingress + `/oauth2/logout"><img src="` + w.ingress + `/oauth2/logout/local">`,
			})
			tab := Browser(t)
			tab.signIn(w, "kari", "/cases/1")

			tab.Navigate(other + "/img")
			tab.Navigate(other + "/post")
			status := tab.Press("button")
			tab.shows(status, http.StatusForbidden, "cross_site", "This came from another website")

			tab.Navigate(other + "/")
			status = tab.Press("#out")
			tab.shows(status, http.StatusOK, "confirm_logout", "Do you want to log out?")
			front := "/"
			if w.path() != "" {
				front = "" // the ingress as it is configured
			}
			tab.Press(".ways a")
			tab.at(w, front, kari)

			tab.Navigate(other + "/")
			tab.Press("#out")
			if status := tab.Press("form button"); status != http.StatusOK {
				t.Fatalf("the button: status %d at %s", status, tab.URL())
			}
			tab.at(w, front, "nobody")
			if n := w.dev.Counts(t)["logout"]; n != 1 {
				t.Errorf("the provider was asked %d times to log out, want 1", n)
			}
		})
	}
}

// S-32: the button does what the link of the other site asked for, all of it.
func TestBrowserS32ButtonKeepsTheDestination(t *testing.T) {
	t.Parallel()
	w := browserWorld(t, worldOptions{})
	other := otherSite(t, map[string]string{"/": `<a id="out" href="` + w.ingress + `/oauth2/logout?redirect=/open?x=1">log out over there</a>`})
	tab := Browser(t)
	tab.signIn(w, "kari", "/cases/1")
	tab.Navigate(other + "/")
	tab.Press("#out")
	tab.Press("form button")
	tab.at(w, "/open?x=1", "nobody")
}

// S-32: the button of a local logout leads to a page that says that it worked; 204 would leave the person with the question.
func TestBrowserS32ButtonOfLocalLogoutTellsThatItWorked(t *testing.T) {
	t.Parallel()
	w := browserWorld(t, worldOptions{})
	other := otherSite(t, map[string]string{"/": `<a id="out" href="` + w.ingress + `/oauth2/logout/local">log out over there</a>`})
	tab := Browser(t)
	tab.signIn(w, "kari", "/cases/1")
	tab.Navigate(other + "/")
	tab.Press("#out")
	tab.Press("form button")
	if heading := tab.Text("h1"); heading != "You are logged out" {
		t.Errorf("after the button: heading %q", heading)
	}
	tab.Navigate(w.ingress + "/open")
	tab.at(w, "/open", "nobody")
}

// The store is away when somebody wants out: the page says that it did not happen, and its button works when the store is back.
func TestBrowserLogoutWhileTheStoreIsAway(t *testing.T) {
	t.Parallel()
	redis := Redis(t)
	w := browserWorld(t, worldOptions{env: map[string]string{"POSTERN_REDIS_URI": redis.URI(), "POSTERN_SESSION_CACHE_TTL": "0s"}})
	tab := Browser(t)
	tab.signIn(w, "kari", "/cases/1")
	redis.Freeze()
	status := tab.Navigate(w.ingress + "/cases/2")
	tab.shows(status, http.StatusServiceUnavailable, "store_trouble", "We cannot check your login right now")
	status = tab.Navigate(w.ingress + "/oauth2/logout")
	tab.shows(status, http.StatusServiceUnavailable, "logout_failed", "You are not logged out yet")
	redis.Resume()
	back := NewClient(t)
	for _, cookie := range tab.Cookies(w.ingress + "/") {
		back.SetCookie(w.ingress, &http.Cookie{Name: cookie.Name, Value: cookie.Value, Path: "/", Secure: true})
	}
	Eventually(t, "the store is back", func() error {
		if r := back.Get(w.ingress + "/oauth2/session"); r.StatusCode != 200 {
			return errorf("status %d", r.StatusCode)
		}
		return nil
	})
	if status := tab.Press("form button"); status != http.StatusOK {
		t.Fatalf("the button: status %d at %s", status, tab.URL())
	}
	tab.at(w, "/", "nobody")
}

// The provider is away when somebody wants out: the session here has ended all the same, and the page says so.
func TestBrowserLogoutWhileTheProviderIsAway(t *testing.T) {
	t.Parallel()
	redis := Redis(t)
	w := browserWorld(t, worldOptions{env: map[string]string{"POSTERN_REDIS_URI": redis.URI()}})
	tab := Browser(t)
	tab.signIn(w, "kari", "/cases/1")
	w.Stop(t)
	w.dev.Stop(t)
	w.Process = Launch(t, w.env) // one that has never read the provider's metadata
	w.WaitURL(t, "http://"+w.ProbeAddr+"/livez")
	tab.Navigate(w.ingress + "/cases/2")
	tab.at(w, "/cases/2", kari)
	status := tab.Press("#logout")
	tab.shows(status, http.StatusOK, "signed_out", "You are logged out")
	status = tab.Navigate(w.ingress + "/cases/3")
	tab.shows(status, http.StatusServiceUnavailable, "starting", "Just a moment")
	if seen := strings.Join(tab.Console(), "\n"); strings.Contains(seen, "Content Security Policy") {
		t.Error(seen)
	}
	w.Stop(t)
}

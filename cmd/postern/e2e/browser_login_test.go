package e2e

import (
	"net/http"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/network"
)

// A person opens a deep link, logs in on the provider's page, and is where she wanted to be.
func TestBrowserLogin(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]worldOptions{
		"root of the host":     {},
		"ingress with a path":  {path: "/app"},
		"provider without PAR": {idpFlags: []string{"--par=off"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := browserWorld(t, o)
			tab := Browser(t)
			deep := "/cases/42?tab=a%2Fb&q=%C3%A6+%20&empty="
			if status := tab.Navigate(w.ingress + deep); status != http.StatusOK {
				t.Fatalf("login page: status %d", status)
			}
			tab.atProvider(w)
			if status := tab.as("kari"); status != http.StatusOK {
				t.Fatalf("after the login: status %d at %s", status, tab.URL())
			}
			tab.at(w, deep, kari)
			if got := tab.Text("#address"); got != w.path()+deep {
				t.Errorf("the app was asked for %s", got)
			}
			nothingForScripts(t, tab, w)
		})
	}
}

// nothingForScripts: the cookies are out of reach of the page, and no token is anywhere in the browser.
func nothingForScripts(t *testing.T, tab *Tab, w *world) {
	t.Helper()
	if got := Eval[string](tab, "document.cookie"); got != "" {
		t.Errorf("scripts can read the cookies %q", got)
	}
	prefix, path := "__Host-", "/"
	if w.path() != "" {
		prefix, path = "__Secure-", w.path()
	}
	sessions := 0
	for _, cookie := range tab.Cookies(w.ingress + "/") {
		if strings.HasSuffix(cookie.Name, ".session") {
			sessions++
		}
		if !strings.HasPrefix(cookie.Name, prefix) || !cookie.HTTPOnly || !cookie.Secure || cookie.SameSite != network.CookieSameSiteLax || cookie.Path != path {
			t.Errorf("cookie %s: HttpOnly %v, Secure %v, SameSite %s, Path %s", cookie.Name, cookie.HTTPOnly, cookie.Secure, cookie.SameSite, cookie.Path)
		}
		if strings.Contains(cookie.Name, ".callback.") {
			t.Errorf("the cookie of the login that is done is still there: %s", cookie.Name)
		}
	}
	if sessions != 1 {
		t.Errorf("%d session cookies", sessions)
	}
	info := Eval[string](tab, `fetch("`+w.path()+`/oauth2/session").then(r => r.text())`)
	if !strings.Contains(info, `"active":true`) || strings.Contains(info, "eyJ") {
		t.Errorf("session as the page sees it: %s", info)
	}
}

// The same at a provider that was not written here.
func TestBrowserLoginAtOIDCProvider(t *testing.T) {
	t.Parallel()
	var provider *Provider
	w := browserWorld(t, worldOptions{
		idp: func(t testing.TB, redirects, postLogout []string) (identityProvider, map[string]string) {
			provider = OIDCProvider(t, ProviderOptions{RedirectURIs: redirects, PostLogoutRedirectURIs: postLogout, AskAtLogout: true})
			return provider, map[string]string{
				"POSTERN_OPENID_CLIENT_ID": KeyClient, "POSTERN_OPENID_CLIENT_JWK": provider.ClientJWK,
				"POSTERN_OPENID_WELL_KNOWN_URL": provider.WellKnown(), "POSTERN_OPENID_SCOPES": "profile,offline_access",
			}
		},
	})
	other := otherSite(t, map[string]string{"/": `<a id="out" href="` + w.ingress + `/oauth2/logout">log out over there</a>`})
	tab := Browser(t)
	tab.Navigate(w.ingress + "/cases/42?x=1")
	tab.Type("#login", "kari")
	if status := tab.Press("#sign-in"); status != http.StatusOK {
		t.Fatalf("after the login: status %d at %s", status, tab.URL())
	}
	tab.at(w, "/cases/42?x=1", "kari")
	nothingForScripts(t, tab, w)

	// S-32, with redirects of the provider on the way: its form-action must let them through.
	tab.Navigate(other + "/")
	tab.Press("#out")
	if got := tab.Text("h1"); got != "Do you want to log out?" {
		t.Fatalf("heading %q", got)
	}
	if status := tab.Press("form button"); status != http.StatusOK || !strings.HasPrefix(tab.URL(), provider.Issuer) {
		t.Fatalf("the button led to %s with status %d", tab.URL(), status)
	}
	if status := tab.Press("#sign-out"); status != http.StatusOK {
		t.Fatalf("after the logout: status %d at %s", status, tab.URL())
	}
	tab.at(w, "/", "nobody")

	// Cancelling at the provider is a refusal with a way on.
	tab.Navigate(w.ingress + "/cases/1")
	if status := tab.Press("#cancel"); status != http.StatusForbidden || tab.Text("h1") != "You were not logged in" {
		t.Errorf("cancelled: status %d, %q", status, tab.Text("h1"))
	}
}

// Two tabs are at the login page at once; each ends at its own deep link, whichever is finished first.
func TestBrowserTwoTabsLogInAtOnce(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]worldOptions{"first tab first": {}, "second tab first": {}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := browserWorld(t, o)
			first := Browser(t)
			second := first.Open()
			first.Navigate(w.ingress + "/one?tab=1")
			second.Navigate(w.ingress + "/two?tab=2")
			first.atProvider(w)
			second.atProvider(w)
			finish := []func(){
				func() {
					first.as("kari")
					first.at(w, "/one?tab=1", kari)
				},
				func() {
					second.as("kari")
					second.at(w, "/two?tab=2", kari)
				},
			}
			if name == "second tab first" {
				finish[0], finish[1] = finish[1], finish[0]
			}
			finish[0]()
			finish[1]()
			for _, tab := range []*Tab{first, second} { // the later login took the place of the earlier one, for both
				tab.Navigate(w.ingress + "/again")
				tab.at(w, "/again", kari)
			}
		})
	}
}

// A window that was left open at the login page, and the back button after a login: nothing breaks, and there is a way on.
func TestBrowserComesBackToAnOldLogin(t *testing.T) {
	t.Parallel()
	w := browserWorld(t, worldOptions{})
	tab := Browser(t)
	tab.signIn(w, "kari", "/cases/1")

	status := tab.Navigate(w.ingress + "/oauth2/callback?code=old&state=old")
	tab.shows(status, http.StatusUnauthorized, "login_expired", "This login is no longer valid")
	if status := tab.Press(".ways .main"); status != http.StatusOK {
		t.Errorf("log in again: status %d", status)
	}
	tab.at(w, "/", kari)

	w.dev.Dev(t, "token-error", map[string]any{"error": "invalid_grant", "aadsts": 70008, "times": 1})
	status = tab.Navigate(w.ingress + "/oauth2/login?redirect=/cases/2")
	tab.shows(status, http.StatusUnauthorized, "login_failed", "The login did not work")
	tab.Press(".ways .main")
	tab.at(w, "/cases/2", kari)
}

package e2e

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// browserWithoutCookies starts a Chromium whose owner has told it to block all cookies.
func browserWithoutCookies(t testing.TB) *Tab {
	t.Helper()
	path := program(t, installChromium, "chromium", "chromium-browser", "google-chrome")
	profile := filepath.Join(t.TempDir(), "profile")
	if err := os.MkdirAll(filepath.Join(profile, "Default"), 0o700); err != nil {
		t.Fatal(err)
	}
	settings := `{"profile":{"default_content_setting_values":{"cookies":2}}}`
	if err := os.WriteFile(filepath.Join(profile, "Default", "Preferences"), []byte(settings), 0o600); err != nil {
		t.Fatal(err)
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.UserDataDir(profile), chromedp.ModifyCmdFunc(dieWithTest))
	allocator, cancel := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(cancel)
	ctx, cancel := chromedp.NewContext(allocator, chromedp.WithLogf(t.Logf))
	t.Cleanup(cancel)
	return open(t, ctx)
}

// A browser that keeps no cookie is started anew once, silently, and then told why it cannot log in.
func TestBrowserThatBlocksCookiesIsTold(t *testing.T) {
	t.Parallel()
	w := browserWorld(t, worldOptions{})
	tab := browserWithoutCookies(t)
	tab.Navigate(w.ingress + "/cases/1")
	tab.atProvider(w)
	tab.as("kari")
	tab.atProvider(w)
	status := tab.as("kari")
	tab.shows(status, http.StatusUnauthorized, "cookies_missing", "Your browser does not keep our cookie")
	if cookies := tab.Cookies(w.ingress + "/"); len(cookies) != 0 {
		t.Errorf("the browser keeps cookies after all: %d", len(cookies))
	}
	if seen := len(w.app.Requests()); seen != 0 {
		t.Errorf("%d requests reached the app", seen)
	}
}

// The provider refuses an account: the page leads to a login with another one.
func TestBrowserRefusedAccount(t *testing.T) {
	t.Parallel()
	w := browserWorld(t, worldOptions{})
	tab := Browser(t)
	tab.Navigate(w.ingress + "/cases/1?x=1")
	status := tab.as("dag")
	tab.shows(status, http.StatusForbidden, "login_denied", "You were not logged in")
	if text := tab.Text("body"); strings.Contains(text, "AADSTS") {
		t.Errorf("the page repeats the provider: %s", text)
	}
	tab.Press(".ways .main")
	tab.atProvider(w)
	if !strings.Contains(tab.Text("main"), "The app wants you to choose an account") {
		t.Error("the provider was not asked to offer another account")
	}
	tab.as("kari")
	tab.at(w, "/cases/1?x=1", kari)
}

// The provider is down when a login starts, and later is up: 503 with a button that works then.
func TestBrowserProviderDown(t *testing.T) {
	t.Parallel()
	w := browserWorld(t, worldOptions{idpFlags: []string{"--par=required"}})
	tab := Browser(t)
	w.dev.Dev(t, "faults", map[string]any{"endpoint": "par", "status": 503})
	status := tab.Navigate(w.ingress + "/cases/1?x=1")
	tab.shows(status, http.StatusServiceUnavailable, "provider_trouble", "The login service does not answer")
	w.dev.Dev(t, "faults/clear", map[string]any{})
	tab.Press(".ways .main")
	tab.as("kari")
	tab.at(w, "/cases/1?x=1", kari)
}

// An app that does not accept the session and sends the browser back to log in: three rounds, then the page that says whose fault it is.
func TestBrowserLoopIsBroken(t *testing.T) {
	t.Parallel()
	app := webApp(t, "", map[string]http.HandlerFunc{
		"/picky": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/oauth2/login?redirect=/picky", http.StatusFound)
		},
	})
	w := browserWorld(t, worldOptions{app: app})
	tab := Browser(t)
	tab.Navigate(w.ingress + "/picky")
	status := tab.as("kari")
	tab.shows(status, http.StatusTooManyRequests, "app_sends_back", "You are logged in, but the service keeps asking")
	rounds := 0
	for _, seen := range app.Requests() {
		if seen.URI == "/picky" {
			rounds++
		}
	}
	if rounds != 3 {
		t.Errorf("%d rounds, want 3", rounds)
	}
	tab.Press(".ways .main")
	tab.atProvider(w)
	if !strings.Contains(tab.Text("main"), "choose an account") {
		t.Error("the way on does not offer another account")
	}
}

// More logins of one browser than the limit.
func TestBrowserTooManyLogins(t *testing.T) {
	t.Parallel()
	w := browserWorld(t, worldOptions{env: map[string]string{
		"POSTERN_RATELIMIT_ENABLED": "true", "POSTERN_RATELIMIT_LOGINS": "1", "POSTERN_RATELIMIT_WINDOW": "1h",
	}})
	tab := Browser(t)
	tab.signIn(w, "kari", "/cases/1")
	tab.Navigate(w.ingress + "/oauth2/login?redirect=/cases/2") // the one that is allowed to somebody who is signed in
	tab.at(w, "/cases/2", kari)
	status := tab.Navigate(w.ingress + "/oauth2/login?redirect=/cases/2")
	tab.shows(status, http.StatusTooManyRequests, "too_many_logins", "Too many logins just now")
	tab.Navigate(w.ingress + "/cases/2") // what is there already stays usable
	tab.at(w, "/cases/2", kari)
}

// The app is not there, or hangs, or the request makes no sense, or somebody is needed: each has its page.
func TestBrowserAppTrouble(t *testing.T) {
	t.Parallel()
	app := webApp(t, "", map[string]http.HandlerFunc{"/hang": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }})
	w := newWorld(t, worldOptions{app: app, env: map[string]string{"POSTERN_UPSTREAM_TIMEOUT": "100ms"}})
	gone := newWorld(t, worldOptions{app: &AppServer{Addr: "127.0.0.1:" + FreePort(t)}})
	strict := newWorld(t, worldOptions{app: app, env: map[string]string{"POSTERN_REQUIRE_AUTH": "true"}})
	tab := Browser(t)
	status := tab.Navigate(w.ingress + "/hang")
	tab.shows(status, http.StatusGatewayTimeout, "app_timeout", "The service takes too long")
	status = tab.Navigate(w.ingress + "/a%00b")
	tab.shows(status, http.StatusBadRequest, "bad_request", "We could not read that request")
	status = tab.Navigate(gone.ingress + "/")
	tab.shows(status, http.StatusBadGateway, "app_unreachable", "The service does not answer")

	status = tab.Navigate(strict.ingress + "/cases/1?x=1")
	tab.shows(status, http.StatusUnauthorized, "login_required", "Please log in")
	tab.Press(".ways .main")
	tab.as("kari")
	tab.at(strict, "/cases/1?x=1", kari)
}

// Somebody who reads Norwegian is told in Norwegian, in the language of the browser.
func TestBrowserSpeaksTheLanguageOfTheBrowser(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{env: map[string]string{"POSTERN_REQUIRE_AUTH": "true"}})
	tab := Browser(t)
	for tags, want := range map[string]string{"nb-NO,nb,en": "nb", "nn-NO,nn,nb": "nn", "de-DE": "en"} {
		tab.Language(tags)
		tab.Navigate(w.ingress + "/")
		if got := Eval[string](tab, "document.documentElement.lang"); got != want {
			t.Errorf("%s: the page is in %q, want %q", tags, got, want)
		}
		if want != "en" {
			tab.look("page-login_required-" + want)
		}
	}
}

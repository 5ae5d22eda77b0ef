package devidp_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"postern/oidc/devidp"
)

func chromium(t *testing.T) context.Context {
	t.Helper()
	if _, err := exec.LookPath("chromium"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("chromium is missing: apt-get install chromium")
		}
		t.Skip("chromium is missing: apt-get install chromium")
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewExecAllocator(ctx, append(chromedp.DefaultExecAllocatorOptions[:], chromedp.NoSandbox, chromedp.DisableGPU)...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	return ctx
}

// A browser holds the login form to the page's policy through every redirect after it: to the client, and on to where its single sign-on
// ends. The page must fit a telephone, too.
func TestLoginInABrowserPassesItsOwnPolicy(t *testing.T) {
	t.Parallel()
	ctx := chromium(t)
	var app *httptest.Server
	at := func(host, path string) string {
		return strings.Replace(app.URL, "127.0.0.1", host, 1) + path
	}
	app = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/cb" {
			http.Redirect(w, r, at("other.localhost", "/done?code="+fmt.Sprint(r.FormValue("code") != "")), http.StatusFound)
			return
		}
		w.Header().Set("Content-Type", "text/html")
		_, _ = fmt.Fprintf(w, `<p id="arrived">%s</p>`, r.URL.RawQuery)
	}))
	t.Cleanup(app.Close)
	w := newWorld(t, func(c *devidp.Config) {
		c.Clients[0].RedirectURIs = []string{at("app.localhost", "/cb")}
		c.Clients[0].Origins = []string{at("other.localhost", "/")}
	})
	idp := strings.Replace(w.url("/oauth2/v2.0/authorize?"), "127.0.0.1", "idp.localhost", 1)
	start := idp + authorization("redirect_uri", at("app.localhost", "/cb")).Encode()

	must(t, chromedp.Do(ctx, chromedp.EmulateViewport(320, 640), chromedp.Navigate(start)))
	width, err := chromedp.Run(ctx, chromedp.Evaluate[int](`document.documentElement.scrollWidth`))
	must(t, err)
	if width > 320 {
		t.Errorf("the login page is %d wide on a screen of 320", width)
	}
	styled, err := chromedp.Run(ctx, chromedp.Evaluate[string](`getComputedStyle(document.querySelector("button.person")).display`))
	must(t, err)
	if styled != "flex" {
		t.Errorf("the policy blocks the page's own style: display is %q", styled)
	}
	must(t, chromedp.Do(ctx, chromedp.Click(chromedp.CSS(`button[value="kari"]`))))
	bounded, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	if err := chromedp.Do(bounded, chromedp.WaitVisible(chromedp.CSS("#arrived"))); err != nil {
		where, _ := chromedp.Run(ctx, chromedp.Location())
		t.Fatalf("the login did not arrive but stopped at %s: %v", where, err)
	}
	text, err := chromedp.Run(ctx, chromedp.Evaluate[string](`document.querySelector("#arrived").textContent`))
	must(t, err)
	if text != "code=true" {
		t.Errorf("the app got %q", text)
	}
	// Single sign-on: the second time nobody is asked.
	must(t, chromedp.Do(ctx, chromedp.Navigate(start)))
	if where, err := chromedp.Run(ctx, chromedp.Location()); err != nil || !strings.HasSuffix(where, "/done?code=true") {
		t.Errorf("the second login stopped at %s: %v", where, err)
	}
}

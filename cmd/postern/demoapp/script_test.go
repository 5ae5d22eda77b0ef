package demoapp

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// door plays Postern: it strips, writes identity, and answers the session endpoints as /oauth2/session does.
type door struct {
	app *App

	mu        sync.Mutex
	refreshed time.Time
	over      bool
}

func (d *door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case strings.HasPrefix(r.URL.Path, "/oauth2/session"):
		if d.over {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		if r.Method == http.MethodPost {
			d.refreshed = d.refreshed.Add(time.Minute)
		}
		created, refreshed := d.refreshed.Add(-time.Hour).Format(time.RFC3339Nano), d.refreshed.Format(time.RFC3339Nano)
		fmt.Fprintf(w, `{"session":{"created_at":%q,"ends_at":%q,"timeout_at":"0001-01-01T00:00:00Z","ends_in_seconds":32400,"active":true,`+
			`"timeout_in_seconds":-1},"tokens":{"expire_at":%q,"refreshed_at":%q,"expire_in_seconds":1800,"next_auto_refresh_in_seconds":1770,`+
			`"refresh_cooldown":false,"refresh_cooldown_seconds":0}}`,
			created, d.refreshed.Add(9*time.Hour).Format(time.RFC3339Nano), d.refreshed.Add(time.Hour).Format(time.RFC3339Nano), refreshed)
	case r.URL.Path == "/stream" || r.URL.Path == "/echo":
		d.mu.Unlock() // these last
		defer d.mu.Lock()
		d.app.ServeHTTP(w, r)
	default:
		for name := range r.Header {
			if strings.HasPrefix(name, headerPrefix) {
				r.Header.Del(name)
			}
		}
		d.app.ServeHTTP(w, kari(r, "opaque"))
	}
}

// inBrowser opens the address in a headless Chromium.
func inBrowser(t *testing.T, address string) context.Context {
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
	if err := chromedp.Do(ctx, chromedp.Navigate(address)); err != nil {
		t.Fatal(err)
	}
	return ctx
}

func TestScriptInABrowser(t *testing.T) {
	t.Parallel()
	d := &door{app: newApp(t), refreshed: testNow}
	server := httptest.NewServer(d)
	t.Cleanup(server.Close) // after the browser has left its stream
	ctx := inBrowser(t, server.URL+"/")

	wait := func(what, expression string) {
		t.Helper()
		bounded, cancel := context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
		if _, err := chromedp.Run(bounded, chromedp.Poll[bool](expression)); err != nil {
			seen, _ := chromedp.Run(ctx, chromedp.Evaluate[string](`document.querySelector("main").innerText`))
			t.Fatalf("%s: %v\nThe page says:\n%s", what, err, seen)
		}
	}
	click := func(selector string) {
		t.Helper()
		if err := chromedp.Do(ctx, chromedp.Click(chromedp.CSS(selector))); err != nil {
			t.Fatal(err)
		}
	}
	text := func(selector, contains string) string {
		return fmt.Sprintf("document.querySelector(%q).textContent.includes(%q)", selector, contains)
	}

	wait("session countdown", text("[data-clock=session]", "8:59:5"))
	wait("token countdown", text("[data-clock=token]", "29:5"))
	wait("bars", `document.querySelector("[data-bar=session]").value > 0.89 && Math.abs(document.querySelector("[data-bar=token]").value - 0.5) < 0.01`)
	click("#refresh")
	wait("refresh in place", text("#session-status", "Renewed."))
	click("#forge")
	wait("forged header", text("#forge-result", "Sent: mallory. Arrived: Z990001."))
	click("#echo button")
	wait("WebSocket", text("#echo-result", "It came back: Hello, gate"))
	wait("event stream", text("#stream", "event 2"))

	d.mu.Lock()
	d.over = true
	d.mu.Unlock()
	click("#refresh")
	wait("end of the session", text("#session-status", "The session has ended.")+` && document.querySelector("#refresh").disabled`)
	wait("no clock runs on", text("[data-clock=session]", "00:00"))
}

func TestPageFitsANarrowScreen(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(&door{app: newApp(t), refreshed: testNow})
	t.Cleanup(server.Close) // after the browser has left its stream
	ctx := inBrowser(t, server.URL+"/cases/42?tab=notes&x="+strings.Repeat("a%2Fb", 40))
	if err := chromedp.Do(ctx, chromedp.EmulateViewport(320, 640)); err != nil {
		t.Fatal(err)
	}
	got, err := chromedp.Run(ctx, chromedp.Evaluate[int](
		`document.querySelectorAll("details").forEach(d => d.open = true); document.documentElement.scrollWidth`))
	if err != nil || got > 320 {
		t.Errorf("the page is %d pixels wide on a screen of 320 (WCAG 1.4.10), %v", got, err)
	}
}

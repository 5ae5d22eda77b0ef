package e2e

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

const installChromium = "apt-get install --no-install-recommends chromium, or run .ci/test"

// Tab is a tab of a Chromium with a profile of its own. Each method ends the test if the browser cannot do what it is asked to.
type Tab struct {
	t   testing.TB
	ctx context.Context

	mu       sync.Mutex
	messages []string
}

// Browser starts a Chromium with an empty profile and no screen; the window is 1280 by 800.
func Browser(t testing.TB) *Tab {
	t.Helper()
	path := program(t, installChromium, "chromium", "chromium-browser", "google-chrome")
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.WindowSize(1280, 800),
		chromedp.UserDataDir(filepath.Join(t.TempDir(), "profile")), chromedp.ModifyCmdFunc(dieWithTest))
	allocator, cancel := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(cancel)
	ctx, cancel := chromedp.NewContext(allocator, chromedp.WithLogf(t.Logf))
	t.Cleanup(cancel)
	return open(t, ctx)
}

// Open is another tab of the same browser: same cookies.
func (b *Tab) Open() *Tab {
	b.t.Helper()
	ctx, cancel := chromedp.NewContext(b.ctx)
	b.t.Cleanup(cancel)
	return open(b.t, ctx)
}

func open(t testing.TB, ctx context.Context) *Tab {
	t.Helper()
	b := &Tab{t: t, ctx: ctx}
	console := chromedp.Console(ctx)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("start the browser: %v", err)
	}
	go func() {
		for m, err := range console {
			if err != nil {
				return
			}
			b.mu.Lock()
			b.messages = append(b.messages, string(m.Type)+": "+m.Text)
			b.mu.Unlock()
		}
	}()
	return b
}

// Console is what the pages wrote to the console so far, "error: …" for one; violations of a content security policy are among them.
func (b *Tab) Console() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]string(nil), b.messages...)
}

// Navigate goes to an address as if it had been typed, and returns the status of the page that it ends on, after redirects.
func (b *Tab) Navigate(url string) int {
	b.t.Helper()
	return int(run(b, "navigate", chromedp.NavigateResponse(url)).Status)
}

// Press clicks what the CSS selector names and waits for the page that this leads to; it returns that page's status.
func (b *Tab) Press(selector string) int {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, Patience)
	defer cancel()
	resp, err := chromedp.RunResponse(ctx, chromedp.Click(chromedp.CSS(selector)))
	if err != nil {
		b.fail("press "+selector, err)
	}
	return int(resp.Status)
}

// Click clicks without waiting for a page.
func (b *Tab) Click(selector string) {
	b.t.Helper()
	run(b, "click "+selector, chromedp.Click(chromedp.CSS(selector)))
}

// Type puts text into a field.
func (b *Tab) Type(selector, text string) {
	b.t.Helper()
	run(b, "type into "+selector, chromedp.SendKeys(chromedp.CSS(selector), text))
}

// Wait returns when the element can be seen.
func (b *Tab) Wait(selector string) {
	b.t.Helper()
	run(b, "wait for "+selector, chromedp.WaitVisible(chromedp.CSS(selector)))
}

// Text is the visible text of an element.
func (b *Tab) Text(selector string) string {
	b.t.Helper()
	return run(b, "read "+selector, chromedp.Text(chromedp.CSS(selector)))
}

// Title is the title of the page.
func (b *Tab) Title() string {
	b.t.Helper()
	return run(b, "read the title", chromedp.Title())
}

// URL is where the tab is.
func (b *Tab) URL() string {
	b.t.Helper()
	return run(b, "read the address", chromedp.Location())
}

// Eval is the value of a JavaScript expression in the page, awaited if it is a promise.
func Eval[T any](b *Tab, expression string) T {
	b.t.Helper()
	return run(b, "evaluate", chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
}

// Cookies is every cookie of the profile that would be sent to the URL.
func (b *Tab) Cookies(url string) []*network.Cookie {
	b.t.Helper()
	result, err := chromedp.Call(b.ctx, network.GetCookies, network.GetCookiesParams{URLs: []string{url}})
	if err != nil {
		b.fail("read the cookies", err)
	}
	return result.Cookies
}

// Viewport makes the page so many CSS pixels large: 390 by 844 is a phone.
func (b *Tab) Viewport(width, height int64) {
	b.t.Helper()
	run(b, "set the viewport", chromedp.EmulateViewport(width, height))
}

// ColorScheme is what the page is told the person prefers: "light" or "dark".
func (b *Tab) ColorScheme(scheme string) {
	b.t.Helper()
	_, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
	})
	if err != nil {
		b.fail("set the colour scheme", err)
	}
}

// Language is the Accept-Language of the tab.
func (b *Tab) Language(tags string) {
	b.t.Helper()
	agent := Eval[string](b, "navigator.userAgent")
	_, err := chromedp.Call(b.ctx, emulation.SetUserAgentOverride, emulation.SetUserAgentOverrideParams{UserAgent: agent, AcceptLanguage: tags})
	if err != nil {
		b.fail("set the language", err)
	}
}

// Screenshot writes the whole page to name.png, in E2E_SHOTS if that is set, else beside the test's artifacts, and returns the file's path.
func (b *Tab) Screenshot(name string) string {
	b.t.Helper()
	dir := os.Getenv("E2E_SHOTS")
	if dir == "" {
		dir = b.t.ArtifactDir()
	} else if err := os.MkdirAll(dir, 0o750); err != nil {
		b.t.Fatal(err)
	}
	path := filepath.Join(dir, name+".png")
	if err := os.WriteFile(path, run(b, "take a screenshot", chromedp.FullScreenshot(100)), 0o600); err != nil {
		b.t.Fatal(err)
	}
	return path
}

func run[T any](b *Tab, what string, action chromedp.Action[T]) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, Patience)
	defer cancel()
	for {
		value, err := chromedp.Run(ctx, action)
		switch {
		case err == nil:
			return value
		case ctx.Err() == nil && strings.Contains(err.Error(), "No node with given id"):
			// The page went away between finding the element and using it: look on the page that came instead.
		default:
			b.fail(what, err)
		}
	}
}

// fail shows where the browser is, without a query that may hold codes.
func (b *Tab) fail(what string, err error) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, time.Second)
	defer cancel()
	where, _ := chromedp.Run(ctx, chromedp.Evaluate[string]("location.origin + location.pathname + ' – ' + document.title"))
	b.t.Fatalf("browser: %s: %v (on %s)", what, err, where)
}

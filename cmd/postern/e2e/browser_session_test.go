package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// watched is an app whose page, of its own below each root, uses the session module as a careful front-end would: under a policy that allows
// scripts of its own address and nothing inline.
func watched(t testing.TB, roots ...string) *AppServer {
	routes := map[string]http.HandlerFunc{}
	for _, root := range roots {
		routes["GET "+root+"/watch"] = func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			w.Header().Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; connect-src 'self'")
			_, _ = fmt.Fprintf(w, `<!doctype html><title>A form</title><h1>A form</h1><input id="text"><script type="module" src="%s/watch.js"></script>`, root)
		}
		routes["GET "+root+"/watch.js"] = func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/javascript")
			_, _ = fmt.Fprintf(w, `import { watchSession } from "%s/oauth2/session.js";
				const options = Object.fromEntries([...new URLSearchParams(location.search)].map(([name, value]) => [name, JSON.parse(value)]));
				globalThis.heard = [];
				globalThis.ticks = [];
				globalThis.session = watchSession(options);
				session.addEventListener("change", event => heard.push(event.detail.status));
				session.addEventListener("tick", event => ticks.push(event.detail.secondsLeft));`, root)
		}
	}
	return webApp(t, roots[0], routes)
}

// watchWorld is a world with that app; its page needs no login.
func watchWorld(t testing.TB, env map[string]string, roots ...string) *world {
	t.Helper()
	if len(roots) == 0 {
		roots = []string{""}
	}
	all := map[string]string{}
	for name, value := range env {
		all[name] = value
	}
	var open []string
	for _, root := range roots {
		open = append(open, root+"/", root+"/watch", root+"/watch.js")
	}
	w := prepareBrowserWorld(t, worldOptions{path: roots[0], app: watched(t, roots...), env: all})
	w.env["POSTERN_AUTO_LOGIN_IGNORE_PATHS"] = strings.Join(open, ",")
	for _, root := range roots[1:] {
		w.env["POSTERN_INGRESS"] += "," + w.origin() + root
	}
	w.Process = Start(t, w.env)
	return w
}

// hears waits until the page has heard exactly this, one status after the other.
func (b *Tab) hears(want ...string) {
	b.t.Helper()
	Eventually(b.t, "the page hears "+strings.Join(want, ", "), func() error {
		if got := Eval[string](b, `(globalThis.heard ?? []).join(", ")`); got != strings.Join(want, ", ") {
			return errorf("it heard %q", got)
		}
		return nil
	})
	for _, message := range b.Console() {
		if strings.Contains(message, "Content Security Policy") || strings.Contains(message, "Uncaught") {
			b.t.Errorf("the page says: %s", message)
		}
	}
}

func TestBrowserSessionModuleCountsDownToTheEnd(t *testing.T) {
	t.Parallel()
	w := watchWorld(t, map[string]string{"POSTERN_SESSION_MAX_LIFETIME": "7s"})
	tab := Browser(t)
	tab.signIn(w, "kari", "/watch?pollSeconds=3600")
	tab.hears("ending", "signed-out")
	ticks := Eval[[]int](tab, `ticks`)
	for i, left := range ticks {
		if left < 0 || left > 7 || i > 0 && left > ticks[i-1] {
			t.Errorf("it counted %v", ticks)
			break
		}
	}
	if len(ticks) < 3 {
		t.Errorf("it counted %v: too little of seven seconds", ticks)
	}
	if got := Eval[bool](tab, `session.state.secondsLeft === null && session.state.limit === null`); !got {
		t.Error("a session that is over still has time left")
	}
}

// Somebody who types keeps the session, though the app is asked for nothing; somebody who only looks does not.
func TestBrowserSessionModuleKeepsTheSessionOfWhoeverWorks(t *testing.T) {
	t.Parallel()
	w := watchWorld(t, map[string]string{"POSTERN_SESSION_INACTIVITY": "true", "POSTERN_SESSION_INACTIVITY_TIMEOUT": "12s"})
	works, looks := Browser(t), Browser(t)
	works.signIn(w, "kari", "/watch?pollSeconds=1")
	looks.signIn(w, "ola", "/watch?pollSeconds=1")
	before := len(w.app.Requests())
	typed := 0
	Eventually(t, "the idle session ends", func() error {
		works.Type("#text", "a")
		typed++
		if got := Eval[string](looks, `heard.join(", ")`); got != "signed-in, ending, signed-out" {
			return errorf("%s", got)
		}
		return nil
	})
	works.Type("#text", "a")
	if got := Eval[string](works, `session.state.status + " " + session.state.limit`); !strings.HasSuffix(got, " idle") || strings.HasPrefix(got, "signed-out") {
		t.Errorf("after %d letters: %s", typed, got)
	}
	if got := Eval[bool](works, `fetch("/oauth2/session").then(r => r.json()).then(m => m.session.active)`); !got {
		t.Error("the server does not know of the work")
	}
	if after := len(w.app.Requests()); after != before {
		t.Errorf("the app was asked %d times", after-before)
	}
}

// As an SSO proxy does not renew by use, the module has to: while somebody works, and before the tokens are of no use.
func TestBrowserSessionModuleRenewsTokensBeforeTheyExpire(t *testing.T) {
	t.Parallel()
	w := watchWorld(t, nil)
	w.dev.Dev(t, "token-lifetime", map[string]any{"seconds": 16})
	works := Browser(t)
	works.signIn(w, "kari", "/watch?pollSeconds=3600")
	works.hears("signed-in")
	before := w.dev.Counts(t)["token"]
	Eventually(t, "tokens are renewed", func() error {
		works.Type("#text", "a")
		if got := w.dev.Counts(t)["token"]; got == before {
			return errorf("%d requests for tokens", got)
		}
		return nil
	})
	if left := Eval[int](works, `fetch("/oauth2/session").then(r => r.json()).then(m => m.tokens.expire_in_seconds)`); left < 1 {
		t.Errorf("the tokens expire in %d seconds", left)
	}
	works.hears("signed-in")
}

func TestBrowserSessionModuleHearsOfALogoutInAnotherTab(t *testing.T) {
	t.Parallel()
	w := watchWorld(t, nil)
	tab := Browser(t)
	tab.signIn(w, "kari", "/watch?pollSeconds=3600")
	other := tab.Open()
	other.Navigate(w.ingress + "/watch?pollSeconds=3600")
	tab.hears("signed-in")
	other.hears("signed-in")
	Eval[any](tab, `session.logout("/")`)
	other.hears("signed-in", "signed-out")
	Eventually(t, "the first tab is back", func() error {
		if got := tab.URL(); got != w.ingress+"/" {
			return errorf("it is at %s", got)
		}
		return nil
	})
}

func TestBrowserSessionModuleHearsOfTheBackChannel(t *testing.T) {
	t.Parallel()
	w := watchWorld(t, nil)
	w.hears(t, map[string]any{"back_channel_logout_uri": "http://" + w.Addr + "/oauth2/logout/backchannel"})
	tab := Browser(t)
	tab.signIn(w, "kari", "/watch?pollSeconds=1")
	tab.hears("signed-in")
	if n := w.dev.EndSessions(t, "kari"); n != 1 {
		t.Fatalf("%d sessions were told of", n)
	}
	tab.hears("signed-in", "signed-out")
}

// What is typed survives a session that ends meanwhile, and a login beside it.
func TestBrowserSessionModuleLogsInBesideAForm(t *testing.T) {
	t.Parallel()
	w := watchWorld(t, map[string]string{"POSTERN_SESSION_MAX_LIFETIME": "20s"})
	tab := Browser(t)
	tab.Navigate(w.ingress + "/watch?pollSeconds=3600")
	tab.Type("#text", "four hours of work")
	tab.hears("signed-out")
	other := tab.Open()
	other.Navigate(Eval[string](tab, `session.loginURL()`))
	other.as("kari")
	if got, want := other.URL(), w.ingress+"/watch?pollSeconds=3600"; got != want {
		t.Errorf("the new tab is at %s, want %s", got, want)
	}
	tab.hears("signed-out", "ending")
	if got := Eval[string](tab, `document.querySelector("#text").value`); got != "four hours of work" {
		t.Errorf("the form has %q", got)
	}
	if got := Eval[bool](tab, `Date.parse(session.state.createdAt) > 0`); !got {
		t.Error("it does not say which login this is")
	}
}

// One origin with two apps: each has a session, and a module, of its own.
func TestBrowserSessionModuleKeepsIngressesApart(t *testing.T) {
	t.Parallel()
	w := watchWorld(t, nil, "/one", "/two")
	tab := Browser(t)
	other := tab.Open()
	other.Navigate(w.origin() + "/two/watch?pollSeconds=1")
	other.hears("signed-out")
	tab.signIn(w, "kari", "/watch?pollSeconds=1")
	tab.hears("signed-in")
	if got := Eval[string](other, `session.loginURL("/two/x")`); got != w.origin()+"/two/oauth2/login?redirect=%2Ftwo%2Fx" {
		t.Errorf("the other app logs in at %s", got)
	}
	other.hears("signed-out")
}

// Trouble is no logout.
func TestBrowserSessionModuleTakesSilenceForNothing(t *testing.T) {
	t.Parallel()
	w := watchWorld(t, nil)
	tab := Browser(t)
	tab.signIn(w, "kari", "/watch?pollSeconds=1")
	tab.hears("signed-in")
	Eval[any](tab, `(() => {
		globalThis.answers = [];
		const real = fetch;
		const wrong = [() => Promise.reject(new TypeError("no network")), () => new Response("", { status: 503 }), () => new Response("<p>", { status: 200 }),
			() => new Response("", { status: 403 }), () => new Response("{}", { status: 200 })];
		globalThis.fetch = async (...args) => { answers.push(args[0].pathname); return wrong[answers.length % wrong.length](); };
		globalThis.mend = () => { globalThis.fetch = real; };
	})()`)
	Eventually(t, "it has asked in vain", func() error {
		if n := Eval[int](tab, `answers.length`); n < 6 {
			return errorf("%d times", n)
		}
		return nil
	})
	tab.hears("signed-in")
	Eval[any](tab, `mend()`)
	Eval[any](tab, `session.extend().then(() => null)`)
	tab.hears("signed-in")
	// A watch that was stopped asks and says nothing more.
	Eval[any](tab, `session.stop()`)
	Eval[any](tab, `(() => { globalThis.asked = 0; globalThis.fetch = () => { asked++; return Promise.reject(new Error()); }; dispatchEvent(new Event("focus")); })()`)
	if got := Eval[int](tab, `new Promise(done => setTimeout(() => done(asked), 2500))`); got != 0 {
		t.Errorf("a watch that was stopped asked %d times", got)
	}
}

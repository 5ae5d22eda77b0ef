package e2e

import (
	"net/http"
	"testing"
)

// Complaint 7: out in one tab is out in the other, at once.
func TestBrowserLogoutInOneTabIsSeenInAnother(t *testing.T) {
	t.Parallel()
	w := browserWorld(t, worldOptions{})
	tab := Browser(t)
	tab.signIn(w, "kari", "/cases/1")
	other := tab.Open()
	other.Navigate(w.ingress + "/cases/2")
	other.at(w, "/cases/2", kari)
	if status := Eval[int](other, `fetch("/api/x").then(r => r.status)`); status != http.StatusOK {
		t.Fatalf("before: status %d", status)
	}
	tab.Press("#logout")
	tab.at(w, "/", "nobody")
	if status := Eval[int](other, `fetch("/api/x").then(r => r.status)`); status != http.StatusUnauthorized {
		t.Errorf("a script of the other tab: status %d", status)
	}
	other.Navigate(w.ingress + "/cases/2")
	other.atProvider(w)
}

// Complaint 8: somebody logs out at the provider, whose page loads the app's front channel in a frame. The browser keeps the app's cookie from it.
func TestBrowserFrontChannelLogoutInAFrame(t *testing.T) {
	t.Parallel()
	w := browserWorld(t, worldOptions{})
	w.hears(t, map[string]any{"front_channel_logout_uri": w.ingress + "/oauth2/logout/frontchannel"})
	tab := Browser(t)
	tab.signIn(w, "kari", "/cases/1")
	provider := tab.Open()
	if status := provider.Navigate(w.dev.origin() + "/" + devTenant + "/oauth2/v2.0/logout"); status != http.StatusOK {
		t.Fatalf("the provider's logout page: status %d", status)
	}
	if frames := Eval[int](provider, `document.querySelectorAll("iframe").length`); frames != 1 {
		t.Fatalf("%d frames on the provider's page", frames)
	}
	Eventually(t, "the session ends", func() error {
		if status := Eval[int](tab, `fetch("/api/x").then(r => r.status)`); status != http.StatusUnauthorized {
			return errorf("status %d", status)
		}
		return nil
	})
	for _, message := range provider.Console() {
		t.Errorf("the provider's page says: %s", message)
	}
	tab.Navigate(w.ingress + "/cases/2")
	tab.atProvider(w)
}

// The same over the back channel, with the page of the app open.
func TestBrowserBackChannelLogout(t *testing.T) {
	t.Parallel()
	w := browserWorld(t, worldOptions{})
	w.hears(t, map[string]any{"back_channel_logout_uri": "http://" + w.Addr + "/oauth2/logout/backchannel"})
	tab := Browser(t)
	tab.signIn(w, "kari", "/cases/1")
	if n := w.dev.EndSessions(t, "kari"); n != 1 {
		t.Fatalf("%d sessions were told of", n)
	}
	if status := Eval[int](tab, `fetch("/api/x").then(r => r.status)`); status != http.StatusUnauthorized {
		t.Errorf("a script of the page: status %d", status)
	}
	tab.Navigate(w.ingress + "/cases/2")
	tab.atProvider(w)
}

// S-33: the page of a login that a logout has overtaken, and its way on.
func TestBrowserS33LoginOvertakenByALogout(t *testing.T) {
	t.Parallel()
	w := browserWorld(t, worldOptions{})
	w.hears(t, map[string]any{"back_channel_logout_uri": "http://" + w.Addr + "/oauth2/logout/backchannel"})
	w.dev.Dev(t, "faults", map[string]any{"endpoint": "token", "latency_ms": 700, "times": 1}) // the logout comes while the code is redeemed
	tab := Browser(t)
	tab.Navigate(w.ingress + "/oauth2/login?redirect=/cases/1")
	tab.Click("button[value=kari]")
	Eventually(t, "the provider knows the browser", func() error {
		if w.dev.Counts(t)["token"] == 0 {
			return errorf("no code was brought yet")
		}
		return nil
	})
	w.dev.EndSessions(t, "kari")
	tab.Wait("h1")
	Eventually(t, "the page is there", func() error {
		if got := tab.Text("h1"); got != "You were logged out in the meantime" {
			return errorf("heading %q", got)
		}
		return nil
	})
	tab.look("page-login_overtaken")
	tab.Press(".ways a")
	if status := tab.as("kari"); status != http.StatusOK {
		t.Fatalf("the next login: status %d", status)
	}
	tab.at(w, "/cases/1", kari)
}

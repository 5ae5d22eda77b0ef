package devidp_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"postern/oidc/devidp"
)

func (w *world) logout(q url.Values) *http.Response {
	w.Helper()
	return w.get(w.url("/oauth2/v2.0/logout?" + q.Encode()))
}

func (w *world) signedIn() bool {
	w.Helper()
	return w.sent(w.authorize(authorization("prompt", "none"))).Get("code") != ""
}

func TestLogoutEndsTheSessionAndGoesBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, identify := range map[string]func() url.Values{
		"by hint": func() url.Values { return url.Values{"id_token_hint": {w.tokens("kari").text("id_token")}} },
		"by expired hint": func() url.Values {
			hint := w.tokens("kari").text("id_token")
			w.pass(2 * 60 * 60 * 1e9)
			return url.Values{"id_token_hint": {hint}, "client_id": {clientID}}
		},
		"by client":      func() url.Values { w.login("kari"); return url.Values{"client_id": {clientID}, "logout_hint": {"O.x"}} },
		"without either": func() url.Values { w.login("kari"); return url.Values{} },
	} {
		q := identify()
		if !w.signedIn() {
			t.Fatalf("%s: not signed in before", name)
		}
		r := w.logout(with(q, "post_logout_redirect_uri", signedOut, "state", "a&b"))
		if got := r.Header.Get("Location"); r.StatusCode != http.StatusFound || got != signedOut+"?state=a%26b" {
			t.Errorf("%s: %d, Location %q", name, r.StatusCode, got)
		}
		if w.signedIn() {
			t.Errorf("%s: still signed in", name)
		}
	}
}

func TestLogoutByPostAndWithoutRedirect(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.login("kari")
	r := w.logout(nil)
	if got := body(t, r); r.StatusCode != http.StatusOK || !strings.Contains(got, "You are signed out") || w.signedIn() {
		t.Errorf("without redirect: %d %s", r.StatusCode, got)
	}
	w.login("kari")
	r, err := w.browser.PostForm(w.url("/oauth2/v2.0/logout"), url.Values{"client_id": {clientID}, "post_logout_redirect_uri": {signedOut}})
	must(t, err)
	defer r.Body.Close()
	if r.StatusCode != http.StatusSeeOther || r.Header.Get("Location") != signedOut || w.signedIn() {
		t.Errorf("by POST: %d", r.StatusCode)
	}
}

func TestLogoutNeverRedirectsToAStranger(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	hint := w.tokens("kari").text("id_token")
	for name, q := range map[string]url.Values{
		"unregistered":      {"post_logout_redirect_uri": {"http://evil.example/"}},
		"other client's":    {"client_id": {clientID}, "post_logout_redirect_uri": {"http://other.localhost/out"}},
		"hint's not theirs": {"id_token_hint": {hint}, "post_logout_redirect_uri": {"http://other.localhost/out"}},
		"more path":         {"post_logout_redirect_uri": {signedOut + "/x"}},
		"more query":        {"post_logout_redirect_uri": {signedOut + "?x"}},
		"a redirect_uri":    {"post_logout_redirect_uri": {redirect}},
	} {
		w.login("kari")
		r := w.logout(q)
		if got := body(t, r); r.StatusCode != http.StatusBadRequest || r.Header.Get("Location") != "" || strings.Contains(got, "evil") {
			t.Errorf("%s: %d %s", name, r.StatusCode, got)
		}
		if w.signedIn() {
			t.Errorf("%s: still signed in", name)
		}
	}
}

func TestLogoutRefusesAForeignHint(t *testing.T) {
	t.Parallel()
	w, stranger := newWorld(t), newWorld(t, func(c *devidp.Config) { c.KeyFile = "" })
	a := w.tokens("kari")
	minted, err := stranger.idp.Mint(devidp.MintRequest{Claims: map[string]any{"iss": w.issuer(), "aud": clientID, "sid": "x"}})
	must(t, err)
	for name, q := range map[string]url.Values{
		"nonsense":                {"id_token_hint": {"nonsense"}},
		"of another provider":     {"id_token_hint": {minted}},
		"an access token":         {"id_token_hint": {a.text("access_token")}},
		"cut":                     {"id_token_hint": {a.text("id_token")[:400]}},
		"of another client":       {"id_token_hint": {a.text("id_token")}, "client_id": {otherID}},
		"twice":                   {"id_token_hint": {a.text("id_token"), a.text("id_token")}},
		"with a changed payload":  {"id_token_hint": {strings.Replace(a.text("id_token"), ".", ".A", 1)}},
		"without its signature":   {"id_token_hint": {a.text("id_token")[:strings.LastIndexByte(a.text("id_token"), '.')+1]}},
		"with control characters": {"id_token_hint": {a.text("id_token") + "\n"}},
	} {
		q.Set("post_logout_redirect_uri", signedOut)
		if r := w.logout(q); r.StatusCode != http.StatusBadRequest || r.Header.Get("Location") != "" {
			t.Errorf("%s: %d", name, r.StatusCode)
		}
	}
	if !w.signedIn() {
		t.Error("a bad hint ended the session")
	}
}

func TestFrontChannelLogoutTellsEveryClientOfTheSession(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *devidp.Config) {
		c.Clients[0].FrontChannelLogoutURI = "http://app.localhost:8080/oauth2/logout/frontchannel"
		c.Clients[1].FrontChannelLogoutURI = "http://other.localhost/front?x=1"
	})
	sid, _ := w.verified(w.tokens("kari").text("id_token"))["sid"].(string)
	r := w.logout(url.Values{"post_logout_redirect_uri": {signedOut}, "state": {"s"}})
	page, policy := body(t, r), r.Header.Get("Content-Security-Policy")
	want := "http://app.localhost:8080/oauth2/logout/frontchannel?" + url.Values{"iss": {w.issuer()}, "sid": {sid}}.Encode()
	if r.StatusCode != http.StatusOK || !strings.Contains(page, `<iframe src="`+strings.ReplaceAll(want, "&", "&amp;")+`"`) {
		t.Errorf("page %d lacks %s:\n%s", r.StatusCode, want, page)
	}
	if strings.Contains(page, "other.localhost") {
		t.Error("a client that had no part in the session is told")
	}
	if !strings.Contains(page, signedOut+"?state=s") || !strings.Contains(policy, "frame-src http://app.localhost:8080;") {
		t.Errorf("policy %q, page\n%s", policy, page)
	}
}

package devidp_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"postern/oidc/devidp"
)

// told is an app with a back channel, and the logout tokens that it got.
func told(t *testing.T, status int) (address string, tokens func() []string) {
	t.Helper()
	var mu sync.Mutex
	var all []string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/x-www-form-urlencoded" || len(r.Cookies()) != 0 {
			t.Errorf("told by %s, %s", r.Method, r.Header.Get("Content-Type"))
		}
		mu.Lock()
		defer mu.Unlock()
		all = append(all, r.PostFormValue("logout_token"))
		w.WriteHeader(status)
	}))
	t.Cleanup(srv.Close)
	return strings.Replace(srv.URL, "127.0.0.1", "app.localhost", 1), func() []string {
		mu.Lock()
		defer mu.Unlock()
		return append([]string(nil), all...)
	}
}

// OIDC Back-Channel Logout 1.0 §2.4 and §2.5.
func TestBackChannelLogoutTellsEveryClientOfTheSession(t *testing.T) {
	t.Parallel()
	address, tokens := told(t, http.StatusOK)
	w := newWorld(t, func(c *devidp.Config) {
		c.Clients[0].BackChannelLogoutURI = address + "/out"
		c.Clients[1].BackChannelLogoutURI = address + "/other"
	})
	if m := w.metadata(); m["backchannel_logout_supported"] != true || m["backchannel_logout_session_supported"] != true {
		t.Error("the metadata does not offer the back channel")
	}
	login := w.verified(w.tokens("kari").text("id_token"))
	if r := w.logout(url.Values{"post_logout_redirect_uri": {signedOut}}); r.StatusCode != http.StatusFound {
		t.Errorf("status %d", r.StatusCode)
	}
	if len(tokens()) != 1 { // the other client had no part in it
		t.Fatalf("%d logout tokens, want 1", len(tokens()))
	}
	got := w.verified(tokens()[0])
	header := part(t, tokens()[0], 0)
	if header["typ"] != "logout+jwt" || got["iss"] != login["iss"] || got["aud"] != clientID || got["sub"] != login["sub"] || got["sid"] != login["sid"] ||
		got["jti"] == "" || got["nonce"] != nil || got["exp"].(float64)-got["iat"].(float64) > 120 {
		t.Errorf("header %v, claims %v", header, got)
	}
	if events, _ := got["events"].(map[string]any); len(events) != 1 || events["http://schemas.openid.net/event/backchannel-logout"] == nil {
		t.Errorf("events %v", got["events"])
	}
}

func TestMetadataOffersNoBackChannelThatNobodyWants(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if m := w.metadata(); m["backchannel_logout_supported"] != false || m["revocation_endpoint"] != nil {
		t.Errorf("back channel %v, revocation %v", m["backchannel_logout_supported"], m["revocation_endpoint"])
	}
}

// The knob ends the sessions of a person, wherever they are logged in, and says what the clients answered.
func TestLogoutKnob(t *testing.T) {
	t.Parallel()
	address, tokens := told(t, http.StatusServiceUnavailable)
	w := newWorld(t, func(c *devidp.Config) { c.Admin, c.Clients[0].BackChannelLogoutURI = true, address })
	w.tokens("kari")
	w.tokens("kari") // in another browser
	w.tokens("ola")
	ask := func(user string) (answer struct {
		Ended int
		Told  []devidp.Told
	},
	) {
		r, err := http.Post(w.srv.URL+"/_dev/logout", "application/json", strings.NewReader(`{"user":"`+user+`"}`))
		must(t, err)
		defer r.Body.Close()
		must(t, json.NewDecoder(r.Body).Decode(&answer))
		return answer
	}
	if got := ask("kari"); got.Ended != 2 || len(got.Told) != 2 || got.Told[0] != (devidp.Told{Client: clientID, Status: 503}) || len(tokens()) != 2 {
		t.Errorf("kari: %+v, %d tokens", got, len(tokens()))
	}
	if !w.signedIn() {
		t.Error("ola is logged out as well")
	}
	if got := ask(""); got.Ended != 1 || w.signedIn() {
		t.Errorf("everybody: %+v", got)
	}
	if got := ask("kari"); got.Ended != 0 || len(got.Told) != 0 {
		t.Errorf("nobody: %+v", got)
	}
}

func TestMintedLogoutTokenIsAsAnIssuerWouldSendIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, profile := range []string{devidp.MintEntraLogout, devidp.MintIDPortenLogout} {
		raw, err := w.idp.Mint(devidp.MintRequest{Profile: profile, Base: w.srv.URL, Claims: map[string]any{"sid": "chosen"}})
		must(t, err)
		header, claims := part(t, raw, 0), part(t, raw, 1)
		if header["typ"] != "logout+jwt" || claims["sid"] != "chosen" || claims["sub"] == "" || claims["aud"] != clientID || claims["events"] == nil {
			t.Errorf("%s: %v %v", profile, header, claims)
		}
	}
}

// RFC 7009 §2.1: by the client alone, and with the refresh token its whole family goes.
func TestRevocation(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *devidp.Config) { c.Revocation, c.RefreshRotation = true, devidp.RotateStrict })
	revoke := func(form url.Values) int {
		r, err := http.PostForm(w.url("/oauth2/v2.0/revoke"), form)
		must(t, err)
		defer r.Body.Close()
		return r.StatusCode
	}
	a := w.tokens("kari")
	mine := url.Values{"client_id": {clientID}, "client_secret": {secret}, "token": {a.text("refresh_token")}}
	for name, tc := range map[string]struct {
		form url.Values
		want int
	}{
		"by nobody":          {with(mine, "client_secret", ""), 401},
		"by a wrong secret":  {with(mine, "client_secret", "guess"), 401},
		"without a token":    {with(mine, "token", ""), 400},
		"an unknown token":   {with(mine, "token", "unknown"), 200},
		"by another client":  {with(mine, "client_id", otherID, "client_secret", secret+"2"), 200},
		"an access token":    {with(mine, "token", a.text("access_token")), 400},
		"with a wrong hint":  {with(mine, "token", "unknown", "token_type_hint", "access_token"), 200},
		"a parameter twice":  {url.Values{"client_id": {clientID}, "client_secret": {secret}, "token": {"a", "b"}}, 400},
		"two ways to say it": {with(mine, "client_assertion", "x"), 400},
	} {
		if got := revoke(tc.form); got != tc.want {
			t.Errorf("%s: status %d, want %d", name, got, tc.want)
		}
	}
	b := w.token(refreshForm(a.text("refresh_token")))
	if b.status != http.StatusOK {
		t.Fatalf("the token was revoked by somebody else: %v", b.body)
	}
	if got := revoke(with(mine, "token", b.text("refresh_token"), "token_type_hint", "refresh_token")); got != 200 {
		t.Fatalf("status %d", got)
	}
	if got := w.token(refreshForm(b.text("refresh_token"))); got.code() != 50173 {
		t.Errorf("the revoked token: %d %v", got.status, got.body)
	}
	if n := w.idp.Counts()["revoke"]; n != 10 {
		t.Errorf("%d requests were counted", n)
	}
}

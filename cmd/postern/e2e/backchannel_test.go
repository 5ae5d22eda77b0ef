package e2e

import (
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// S-33: a logout token ends the sessions that it names, everywhere and once; others never notice. (OIDC Back-Channel Logout 1.0 §2.5 to §2.8.)
func TestS33BackChannelLogout(t *testing.T) {
	t.Parallel()
	w := logoutWorld(t, worldOptions{})
	one, two, ola := NewClient(t), NewClient(t), NewClient(t)
	w.login(t, one, "kari", "")
	w.login(t, two, "kari", "")
	w.login(t, ola, "ola", "")
	sub, sid := w.names(t, one)

	bySession := w.logoutToken(t, map[string]any{"sub": sub, "sid": sid})
	wantLogout(t, "by session", w.tell(t, bySession), http.StatusOK)
	w.wantAlive(t, "the session that was named", one, false)
	w.wantAlive(t, "another browser of the same person", two, true)
	wantLogout(t, "the same token again", w.tell(t, bySession), http.StatusBadRequest)

	one = NewClient(t) // the provider knows the old one by the session that has ended
	w.login(t, one, "kari", "")
	byPerson := w.logoutToken(t, map[string]any{"sub": sub, "sid": nil})
	wantLogout(t, "by person", w.tell(t, byPerson), http.StatusOK)
	w.wantAlive(t, "the first browser", one, false)
	w.wantAlive(t, "the second browser", two, false)
	two = NewClient(t)
	w.login(t, two, "kari", "")
	wantLogout(t, "the same token again", w.tell(t, byPerson), http.StatusBadRequest)
	w.wantAlive(t, "a login after the logout", two, true)

	wantLogout(t, "an unknown session", w.tell(t, w.logoutToken(t, map[string]any{"sid": "nobody's"})), http.StatusOK)
	wantLogout(t, "an unknown person", w.tell(t, w.logoutToken(t, map[string]any{"sub": "nobody", "sid": nil})), http.StatusOK)
	w.wantAlive(t, "somebody else", ola, true)
	w.Log.Without(t, map[string]string{"sub": sub, "sid": sid, "token": bySession})
}

// S-33: what is not acceptable is 400 and ends nothing; the checks of the token itself are a table in the room that makes them.
func TestS33BackChannelRefusesWhatIsNotALogout(t *testing.T) {
	t.Parallel()
	w := logoutWorld(t, worldOptions{})
	c := NewClient(t)
	w.login(t, c, "kari", "")
	sub, sid := w.names(t, c)
	names := map[string]any{"sub": sub, "sid": sid}
	good := func() string { return w.logoutToken(t, names) }
	also := func(name string, value any) string { return w.logoutToken(t, with(maps.Clone(names), name, value)) }
	for name, token := range map[string]string{
		"nothing": "", "nonsense": "a.b.c", "another client": also("aud", "another"), "another issuer": also("iss", w.dev.IDPortenIssuer()),
		"a nonce": also("nonce", "n"), "no event": also("events", nil), "no name": also("jti", nil), "issued 6 minutes ago": w.logoutToken(t, names, map[string]any{"iat_in": -360}),
		"expired": w.logoutToken(t, names, map[string]any{"exp_in": -60}), "type of an id token": w.logoutToken(t, names, map[string]any{"header": map[string]any{"typ": "JWT"}}),
		"an id token":             w.dev.Mint(t, map[string]any{"profile": "entra-id-token", "claims": map[string]any{"sid": sid}}),
		"a broken signature":      w.logoutToken(t, names, map[string]any{"bad_signature": true}),
		"no algorithm":            w.logoutToken(t, names, map[string]any{"alg": "none"}),
		"the public key a secret": w.logoutToken(t, names, map[string]any{"alg": "HS256"}),
		"a key of another issuer": w.logoutToken(t, names, map[string]any{"key": "idporten"}),
		"of ID-porten":            w.dev.Mint(t, map[string]any{"profile": "idporten-logout-token", "claims": with(maps.Clone(names), "aud", DevClientID)}),
		"17 KiB":                  also("pad", strings.Repeat("p", 17<<10)),
	} {
		wantLogout(t, name, w.tell(t, token, "Accept", "text/html"), http.StatusBadRequest)
	}
	address := "http://" + w.Addr + "/oauth2/logout/backchannel"
	const form = "application/x-www-form-urlencoded"
	for name, r := range map[string]*Response{
		"JSON":               c.Send("POST", address, `{"logout_token":"`+good()+`"}`, "Content-Type", "application/json"),
		"no type":            c.Send("POST", address, "logout_token="+good()),
		"in the query":       c.Send("POST", address+"?logout_token="+good(), "", "Content-Type", form),
		"twice":              c.PostForm(address, url.Values{"logout_token": {good(), good()}}),
		"a form of 17 KiB":   c.PostForm(address, url.Values{"logout_token": {good()}, "x": {strings.Repeat("x", 17<<10)}}),
		"an unreadable form": c.Send("POST", address, "logout_token=%zz", "Content-Type", form),
	} {
		wantLogout(t, name, r, http.StatusBadRequest)
	}
	for _, method := range []string{"GET", "HEAD", "PUT", "DELETE", "OPTIONS"} {
		if r := c.Send(method, address, ""); r.StatusCode != http.StatusMethodNotAllowed || r.Header.Get("Allow") != "POST" {
			t.Errorf("%s: status %d, Allow %q", method, r.StatusCode, r.Header.Get("Allow"))
		}
	}
	w.wantAlive(t, "after all of them", c, true)
	wantLogout(t, "with what is none of ours beside it", c.PostForm(address, url.Values{"logout_token": {good()}, "x": {"y"}}), http.StatusOK)
	w.wantAlive(t, "after a good one", c, false)
}

// Whoever sends the form byte by byte is cut off.
func TestBackChannelLogoutDoesNotWaitForASlowForm(t *testing.T) {
	t.Parallel()
	w := logoutWorld(t, worldOptions{env: map[string]string{"POSTERN_LIMITS_HEADER_TIME": "1s"}})
	conn, err := net.Dial("tcp", w.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	head := "POST /oauth2/logout/backchannel HTTP/1.1\r\nHost: " + w.host() + "\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 1000\r\n\r\n"
	if _, err := conn.Write([]byte(head + "logout_token=ey")); err != nil {
		t.Fatal(err)
	}
	_ = conn.SetReadDeadline(time.Now().Add(Patience))
	answer, err := io.ReadAll(conn) // ends when the connection does
	if err != nil || strings.HasPrefix(string(answer), "HTTP/1.1 2") {
		t.Errorf("%v %.200q", err, answer)
	}
}

func TestBackChannelLogoutCanBeSwitchedOff(t *testing.T) {
	t.Parallel()
	w := logoutWorld(t, worldOptions{env: map[string]string{"POSTERN_SESSION_BACKCHANNEL_LOGOUT": "false"}})
	if r := w.tell(t, w.logoutToken(t, nil)); r.StatusCode != http.StatusNotFound {
		t.Errorf("status %d", r.StatusCode)
	}
}

// The provider itself ends the sessions of a person, and tells.
func TestBackChannelLogoutOfTheTestProvider(t *testing.T) {
	t.Parallel()
	for name, path := range map[string]string{"root of the host": "", "ingress with a path": "/app"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := logoutWorld(t, worldOptions{path: path})
			one, two, ola := NewClient(t), NewClient(t), NewClient(t)
			w.login(t, one, "kari", "")
			w.login(t, two, "kari", "")
			w.login(t, ola, "ola", "")
			if n := w.dev.EndSessions(t, "kari"); n != 2 {
				t.Errorf("%d sessions were told of", n)
			}
			w.wantAlive(t, "one browser", one, false)
			w.wantAlive(t, "the other", two, false)
			w.wantAlive(t, "somebody else", ola, true)
			w.login(t, one, "kari", "")
			w.wantAlive(t, "a new login", one, true)
		})
	}
}

// The same at a provider that was not written here: whoever logs out there is logged out here.
func TestBackChannelLogoutOfOIDCProvider(t *testing.T) {
	t.Parallel()
	var provider *Provider
	w := newWorld(t, worldOptions{idp: func(t testing.TB, redirects, postLogout []string) (identityProvider, map[string]string) {
		u, err := url.Parse(redirects[0])
		if err != nil {
			t.Fatal(err)
		}
		provider = OIDCProvider(t, ProviderOptions{
			RedirectURIs: redirects, PostLogoutRedirectURIs: postLogout,
			BackchannelLogoutURI: "http://127.0.0.1:" + u.Port() + "/oauth2/logout/backchannel",
		})
		return provider, map[string]string{
			"POSTERN_OPENID_CLIENT_ID": KeyClient, "POSTERN_OPENID_CLIENT_JWK": provider.ClientJWK,
			"POSTERN_OPENID_WELL_KNOWN_URL": provider.WellKnown(), "POSTERN_OPENID_SCOPES": "profile,offline_access",
		}
	}})
	one, two, other := NewClient(t), NewClient(t), NewClient(t)
	w.login(t, one, "kari", "")
	w.login(t, two, "kari", "")
	w.login(t, other, "ola", "")
	page := one.Navigate(provider.Issuer + "/session/end")
	if done := one.Follow(one.Submit(page, map[string]string{"logout": "yes"})); done.StatusCode != http.StatusOK {
		t.Fatalf("the provider's logout: status %d\n%.300s", done.StatusCode, done.Body)
	}
	Eventually(t, "the session ends", func() error {
		if r := one.Get(w.ingress + "/oauth2/session"); r.StatusCode != http.StatusUnauthorized {
			return fmt.Errorf("status %d", r.StatusCode)
		}
		return nil
	})
	w.wantAlive(t, "the browser that logged out", one, false)
	w.wantAlive(t, "another browser of the same person", two, true)
	w.wantAlive(t, "somebody else", other, true)
	if strings.Contains(provider.Log.Text(), "Error") {
		t.Errorf("the provider complains:\n%s", provider.Log.Text())
	}
}

// S-33: the store is away. The provider hears 503 and may come again with the same token.
func TestS33LogoutTokenIsNotUsedUpWhileTheStoreIsAway(t *testing.T) {
	t.Parallel()
	redis := Redis(t)
	w := logoutWorld(t, worldOptions{env: map[string]string{"POSTERN_REDIS_URI": redis.URI()}})
	c := NewClient(t)
	w.login(t, c, "kari", "")
	sub, sid := w.names(t, c)
	token := w.logoutToken(t, map[string]any{"sub": sub, "sid": sid})
	redis.Freeze()
	for range 3 {
		began := time.Now()
		wantLogout(t, "store away", w.tell(t, token), http.StatusServiceUnavailable)
		if took := time.Since(began); took > 3*time.Second {
			t.Errorf("answered after %s", took)
		}
	}
	redis.Resume()
	Eventually(t, "the store is back", func() error {
		if r := w.tell(t, token); r.StatusCode != http.StatusOK {
			return fmt.Errorf("status %d %s", r.StatusCode, r.Body)
		}
		return nil
	})
	w.wantAlive(t, "after the same token", c, false)
	wantLogout(t, "once more", w.tell(t, token), http.StatusBadRequest)
}

// A token that was used at one replica is used at all, and so is what it has ended (row 44 of the peers' advisories: replay on every replica).
func TestS33LogoutTokenCountsOnEveryReplica(t *testing.T) {
	t.Parallel()
	redis := Redis(t)
	w := logoutWorld(t, worldOptions{env: map[string]string{"POSTERN_REDIS_URI": redis.URI()}})
	env := map[string]string{}
	for name, value := range w.env {
		env[name] = value
	}
	env["POSTERN_BIND_ADDRESS"] = "127.0.0.1:" + FreePort(t)
	other := Start(t, env)
	c := NewClient(t)
	w.login(t, c, "kari", "")
	sub, sid := w.names(t, c)
	name, value := w.sessionCookie(c)
	session := func(addr string) int {
		return NewClient(t).Get("http://"+addr+"/oauth2/session", "Host", w.host(), "Cookie", name+"="+value).StatusCode
	}
	for _, addr := range []string{w.Addr, other.Addr} {
		if got := session(addr); got != http.StatusOK {
			t.Fatalf("before the logout: status %d", got)
		}
	}
	token := w.logoutToken(t, map[string]any{"sub": sub, "sid": sid})
	said := NewClient(t).PostForm("http://"+other.Addr+"/oauth2/logout/backchannel", url.Values{"logout_token": {token}})
	wantLogout(t, "at the other replica", said, http.StatusOK)
	wantLogout(t, "the same token here", w.tell(t, token), http.StatusBadRequest)
	for _, addr := range []string{w.Addr, other.Addr} {
		err := poll(time.Second, func() error { // contract 3.4
			if got := session(addr); got != http.StatusUnauthorized {
				return fmt.Errorf("status %d", got)
			}
			return nil
		})
		if err != nil {
			t.Errorf("a second after the logout: %v", err)
		}
	}
}

// S-33: forged logout tokens cost one fetch of keys per 30 s, of a budget of their own: a caller with a token of a new key is not delayed.
func TestS33ForgedLogoutTokensDoNotDelayABearerTokenOfANewKey(t *testing.T) {
	t.Parallel()
	w := logoutWorld(t, worldOptions{env: map[string]string{"POSTERN_BEARER_PROVIDERS": "entra_id", "POSTERN_REQUIRE_AUTH": "true"}})
	user := func() string {
		return w.dev.Mint(t, map[string]any{"profile": "entra-user", "claims": map[string]any{"aud": DevClientID, "azp": DevClientID}})
	}
	ask := func(token string) *Response {
		return NewClient(t).Get(w.ingress+"/x", "Authorization", "Bearer "+token)
	}
	if r := ask(user()); r.StatusCode != 200 {
		t.Fatalf("a token of a known key: status %d %s", r.StatusCode, r.Body)
	}
	before := w.dev.Counts(t)["keys"]
	for n := range 20 {
		forged := w.logoutToken(t, nil, map[string]any{"key": "unknown", "header": map[string]any{"kid": fmt.Sprintf("kid-%d", n)}})
		want := http.StatusServiceUnavailable // held back: it may be a new key
		if n == 0 {
			want = http.StatusBadRequest
		}
		wantLogout(t, fmt.Sprintf("forged token %d", n), w.tell(t, forged), want)
	}
	if n := w.dev.Counts(t)["keys"] - before; n != 1 {
		t.Errorf("%d fetches of keys", n)
	}
	w.dev.Dev(t, "keys/rotate", map[string]any{})
	if r := ask(user()); r.StatusCode != 200 {
		t.Errorf("a caller with a token of the new key: status %d %s", r.StatusCode, r.Body)
	}
	wantLogout(t, "a logout token of the new key", w.tell(t, w.logoutToken(t, nil)), http.StatusOK)
}

// S-33: the provider logs the person out while the browser is on its way back: that login makes no session, and the page leads on.
func TestS33LogoutOvertakesTheLogin(t *testing.T) {
	t.Parallel()
	w := logoutWorld(t, worldOptions{})
	c := NewClient(t)
	back := w.idp.SignIn(c, c.Navigate(w.ingress+"/oauth2/login?redirect=/deep"), "kari")
	w.dev.EndSessions(t, "kari")
	r := c.Navigate(back.Where().String())
	if r.StatusCode != http.StatusUnauthorized || !strings.Contains(r.Body, "You were logged out in the meantime") ||
		!strings.Contains(r.Body, "/oauth2/login?redirect=%2Fdeep") {
		t.Errorf("status %d\n%.2000s", r.StatusCode, r.Body)
	}
	if name, _ := w.sessionCookie(c); name != "" {
		t.Error("a session was made")
	}
	w.login(t, c, "kari", "")
	w.wantAlive(t, "the next login", c, true)
}

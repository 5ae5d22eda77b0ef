package e2e

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/chacha20poly1305"
)

// ofWonderwall is a session as a wonderwall SSO server keeps it. It is written here from what is known of that format, and by nothing of ours.
type ofWonderwall struct {
	key     string         // of the record in the store: provider, client id, the provider's session id
	dataKey []byte         // 32 bytes
	data    map[string]any // the record
}

// wonderwallSession is a session of a citizen that is well in every way; change makes it something else.
func wonderwallSession(t testing.TB, access, idToken string, change func(session, tokens, data map[string]any)) *ofWonderwall {
	t.Helper()
	s := &ofWonderwall{key: "idporten:client-1:sid-" + rand.Text(), dataKey: make([]byte, 32)}
	_, _ = rand.Read(s.dataKey)
	now := time.Now()
	session := map[string]any{"created_at": now, "ends_at": now.Add(time.Hour), "timeout_at": time.Time{}}
	tokens := map[string]any{"expire_at": now.Add(30 * time.Minute), "refreshed_at": now}
	s.data = map[string]any{
		"external_session_id": "sid-1", "access_token": access, "id_token": idToken, "refresh_token": "refresh-81c2", "acr": "idporten-loa-high",
		"metadata": map[string]any{"session": session, "tokens": tokens},
	}
	if change != nil {
		change(session, tokens, s.data)
	}
	return s
}

// wonderwallSeal is XChaCha20-Poly1305 with a random nonce in front and no associated data.
func wonderwallSeal(t testing.TB, key []byte, v any) []byte {
	t.Helper()
	plain, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	aead, err := chacha20poly1305.NewX(key)
	if err != nil {
		t.Fatal(err)
	}
	nonce := make([]byte, aead.NonceSize(), aead.NonceSize()+len(plain)+aead.Overhead())
	_, _ = rand.Read(nonce)
	return aead.Seal(nonce, nonce, plain, nil)
}

// cookie is the value of the session cookie.
func (o *ofWonderwall) cookie(t testing.TB) string {
	t.Helper()
	key, err := base64.StdEncoding.DecodeString(testKey)
	if err != nil {
		t.Fatal(err)
	}
	return base64.RawURLEncoding.EncodeToString(wonderwallSeal(t, key, map[string]any{"id": o.key, "dek": o.dataKey}))
}

// keep puts the record where the server would.
func (s *ssoWorld) keep(t testing.TB, o *ofWonderwall) {
	t.Helper()
	if err := s.redis.Client(t).Set(t.Context(), o.key, wonderwallSeal(t, o.dataKey, o.data), time.Hour).Err(); err != nil {
		t.Fatal(err)
	}
}

// browserOfWonderwall has the cookie as wonderwall sets it: without a prefix, for the domain.
func browserOfWonderwall(t testing.TB, w *world, value string) *Client {
	t.Helper()
	c := NewClient(t)
	c.SetCookie(w.ingress, &http.Cookie{Name: ssoCookie, Value: value, Domain: ssoDomain, Path: "/", Secure: true, HttpOnly: true})
	return c
}

// S-49: an SSO proxy reads the sessions of a wonderwall SSO server, and only reads: what the server does to one counts at once.
func TestS49ProxyReadsSessionsOfWonderwall(t *testing.T) {
	t.Parallel()
	s := newSSO(t, ssoOptions{noServer: true, citizens: true})
	access, idToken := s.dev.Mint(t, profile("idporten", "acr", "idporten-loa-high")), s.dev.Mint(t, profile("idporten-id-token", "acr", "idporten-loa-high", "pid", "11865131102"))
	kept := wonderwallSession(t, access, idToken, nil)
	s.keep(t, kept)
	cookie := kept.cookie(t)
	c := browserOfWonderwall(t, s.one, cookie)
	for _, w := range []*world{s.one, s.two} {
		seen := w.get(t, c, "/x")
		for name, want := range map[string]string{
			"X-Postern-Auth": "session", "X-Postern-Provider": "idporten", "X-Postern-Kind": "user", "X-Postern-User": "11865131102",
			"X-Postern-Acr": "idporten-loa-high", "Authorization": "Bearer " + access, "Cookie": "",
		} {
			if got := seen.Header.Get(name); got != want {
				t.Errorf("%s: %s is %q, want %q", w.ingress, name, got, want)
			}
		}
	}
	// No memory of it: a refresh by the server, its idle end, and its logout all count for the very next request.
	renewed := s.dev.Mint(t, profile("idporten", "acr", "idporten-loa-high"))
	kept.data["access_token"] = renewed
	s.keep(t, kept)
	if got := s.one.get(t, c, "/").Header.Get("Authorization"); got != "Bearer "+renewed {
		t.Error("the app got the old token after a refresh")
	}
	session := kept.data["metadata"].(map[string]any)["session"].(map[string]any)
	session["timeout_at"] = time.Now().Add(-time.Second)
	s.keep(t, kept)
	if got := s.one.user(t, c); got != "" {
		t.Errorf("an idle session speaks for %q", got)
	}
	session["timeout_at"] = time.Now().Add(time.Minute)
	s.keep(t, kept)
	if got := s.one.user(t, c); got == "" {
		t.Error("the session did not come back")
	}
	if err := s.redis.Client(t).Del(t.Context(), kept.key).Err(); err != nil {
		t.Fatal(err)
	}
	if got := s.one.user(t, c); got != "" {
		t.Errorf("after the logout the session speaks for %q", got)
	}
	s.neverRefused(t)
	for _, w := range []*world{s.one, s.two} {
		w.Log.Without(t, map[string]string{"cookie": cookie, "access token": access, "id token": idToken, "refresh token": "refresh-81c2", "pid": "11865131102", "record": kept.key})
	}
}

// S-49: what is not a session that lives is nobody, never trouble of ours and never somebody.
func TestS49WhatIsNoSessionOfWonderwall(t *testing.T) {
	t.Parallel()
	s := newSSO(t, ssoOptions{noServer: true, citizens: true})
	access, idToken := s.dev.Mint(t, profile("idporten")), s.dev.Mint(t, profile("idporten-id-token", "acr", "idporten-loa-high"))
	low := s.dev.Mint(t, profile("idporten-id-token", "acr", "idporten-loa-substantial"))
	for name, change := range map[string]func(session, tokens, data map[string]any){
		"ended":                     func(session, _, _ map[string]any) { session["ends_at"] = time.Now().Add(-time.Second) },
		"without an end":            func(session, _, _ map[string]any) { delete(session, "ends_at") },
		"end in words":              func(session, _, _ map[string]any) { session["ends_at"] = "tomorrow" },
		"end of all times":          func(session, _, _ map[string]any) { session["ends_at"] = "9999-12-31T00:00:00Z" },
		"idle":                      func(session, _, _ map[string]any) { session["timeout_at"] = time.Now().Add(-time.Second) },
		"access token expired":      func(_, tokens, _ map[string]any) { tokens["expire_at"] = time.Now().Add(-time.Second) },
		"access token never issued": func(_, tokens, _ map[string]any) { delete(tokens, "expire_at") },
		"no access token":           func(_, _, data map[string]any) { data["access_token"] = "" },
		"no id token":               func(_, _, data map[string]any) { data["id_token"] = "" },
		"id token is no JWT":        func(_, _, data map[string]any) { data["id_token"] = "a.b" },
		"id token of nobody":        func(_, _, data map[string]any) { data["id_token"] = "e30.e30.x" },
		"id token is a number":      func(_, _, data map[string]any) { data["id_token"] = 5 },
		"level below the app's":     func(_, _, data map[string]any) { data["id_token"], data["acr"] = low, "idporten-loa-substantial" },
		"level that was not raised": func(_, _, data map[string]any) { data["acr"] = "idporten-loa-substantial" },
		"no metadata":               func(_, _, data map[string]any) { delete(data, "metadata") },
		"too large":                 func(_, _, data map[string]any) { data["padding"] = strings.Repeat("x", 300<<10) },
	} {
		kept := wonderwallSession(t, access, idToken, change)
		s.keep(t, kept)
		c := browserOfWonderwall(t, s.one, kept.cookie(t))
		if got := s.one.get(t, c, "/x").Header; got.Get("X-Postern-Auth") != "" || got.Get("Authorization") != "" {
			t.Errorf("%s: the app sees %v", name, got)
		}
	}
	good := wonderwallSession(t, access, idToken, nil)
	s.keep(t, good)
	stranger, elsewhere, short := *good, *good, *good
	stranger.dataKey = make([]byte, 32)
	elsewhere.key = "postern:session:{x}"
	short.dataKey = good.dataKey[:31]
	value := good.cookie(t)
	for name, cookie := range map[string]string{
		"of another data key (S-06)": stranger.cookie(t), "of a key that is ours": elsewhere.cookie(t), "of a short data key": short.cookie(t),
		"cut off": value[:len(value)-2], "padded": value + "==", "with another first letter": otherLetter(value[0]) + value[1:], "of nothing": "e30", "of a tag alone": strings.Repeat("A", 54),
		"far too long": strings.Repeat("A", 6000), "of no base64": "not base64!",
	} {
		r := s.one.ask(t, "GET", "/x", "Cookie", ssoCookie+"="+cookie)
		if r.StatusCode != 200 || Echoed(t, r).Header.Get("X-Postern-Auth") != "" {
			t.Errorf("a cookie %s: status %d %.200s", name, r.StatusCode, r.Body)
		}
	}
	if s.one.user(t, browserOfWonderwall(t, s.one, value)) == "" {
		t.Error("the owner's cookie does not count any more")
	}
}

// S-49, contract 3.4: a store that cannot be asked is 503 for such a session too, and not nobody.
func TestS49StoreTroubleIsNotNobody(t *testing.T) {
	t.Parallel()
	s := newSSO(t, ssoOptions{noServer: true, citizens: true, one: map[string]string{"POSTERN_AUTO_LOGIN": "true"}})
	kept := wonderwallSession(t, s.dev.Mint(t, profile("idporten")), s.dev.Mint(t, profile("idporten-id-token", "acr", "idporten-loa-high")), nil)
	s.keep(t, kept)
	c := browserOfWonderwall(t, s.one, kept.cookie(t))
	s.redis.Freeze()
	if r := c.Navigate(s.one.ingress + "/x"); r.StatusCode != http.StatusServiceUnavailable || r.Header.Get("Retry-After") == "" {
		t.Errorf("status %d to %s", r.StatusCode, r.Header.Get("Location"))
	}
	s.redis.Resume()
	Eventually(t, "the session is back", func() error {
		if r := c.Get(s.one.ingress + "/x"); r.StatusCode != 200 {
			return errorf("status %d", r.StatusCode)
		}
		return nil
	})
}

// While the server is exchanged: a login at Postern's takes the place of the session of wonderwall, and a logout there leaves none behind.
func TestS49ServerTakesOverFromWonderwall(t *testing.T) {
	t.Parallel()
	s := newSSO(t, ssoOptions{citizens: true})
	kept := wonderwallSession(t, s.dev.Mint(t, profile("idporten")), s.dev.Mint(t, profile("idporten-id-token", "acr", "idporten-loa-high", "pid", "05836230282")), nil)
	s.keep(t, kept)
	c := browserOfWonderwall(t, s.one, kept.cookie(t))
	if got := s.one.user(t, c); got != "05836230282" {
		t.Fatalf("the app sees %q", got)
	}
	s.login(t, c, s.two, "gunnar", "?level=idporten-loa-high")
	if _, there := c.Cookies(s.one.ingress)[ssoCookie]; there {
		t.Error("the cookie of wonderwall is still there after the login")
	}
	if got := s.one.user(t, c); got != "11865131102" {
		t.Errorf("after the login the app sees %q", got)
	}
	again := browserOfWonderwall(t, s.one, kept.cookie(t))
	again.Navigate(again.Navigate(s.one.ingress + "/oauth2/logout").Where().String())
	if got := s.one.user(t, again); got != "" {
		t.Errorf("after the logout the app sees %q", got)
	}
}

func otherLetter(c byte) string {
	if c == 'A' {
		return "B"
	}
	return "A"
}

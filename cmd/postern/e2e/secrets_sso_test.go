package e2e

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// S-37: an SSO server and its proxies tell no more than a Postern that stands alone: of cookies, tokens and the way of a login through all of them.
func TestS37SSOShowsNoSecret(t *testing.T) {
	t.Parallel()
	const person, query = "01017012345", "reset-token-in-the-query-5f2a"
	h := newHoard(map[string]string{
		"personal number": person, "token in a query": query, "Redis' password": readerPassword,
	})
	more := map[string]string{"POSTERN_UPSTREAM_ACCESS_LOGS": "true", "POSTERN_UPSTREAM_INCLUDE_ID_TOKEN": "true"}
	closed := map[string]string{"POSTERN_UPSTREAM_ACCESS_LOGS": "true", "POSTERN_AUTO_LOGIN": "true"}
	s := newSSO(t, ssoOptions{provider: h.provider, one: more, two: closed})
	s.dev.Dev(t, "token-lifetime", map[string]any{"seconds": 3})
	deep := "/p/" + person + "?fnr=" + person + "&token=" + query

	// A login from a proxy, and back to it.
	c := NewClient(t)
	h.show("nobody, by script", c.Get(s.two.ingress+deep))
	h.led("nobody, by a link", c.Navigate(s.two.ingress+deep), deep)
	sent := h.led("login at the proxy", c.Navigate(s.one.ingress+"/oauth2/login?redirect="+url.QueryEscape(deep)), deep)
	started := c.Navigate(sent.Where().String())
	h.cookies(c, s.server.ingress+"/")
	back := s.dev.SignIn(c, started, "kari").Where()
	h.show("forged callback", NewClient(t).Navigate(s.server.ingress+"/oauth2/callback?state="+query+"&code="+query+"&error_description="+person))
	h.led("callback at a proxy", NewClient(t).Navigate(s.one.ingress+"/oauth2/callback?"+back.RawQuery), deep)
	h.led("callback", c.Navigate(back.String()), deep)
	h.show("callback once more", c.Navigate(back.String()))
	const name = "__Secure-" + ssoCookie
	cookie := c.Cookies(s.one.ingress)[name]
	h.keep("session cookie", cookie)

	// The session, as apps and browsers read it.
	seen := s.one.get(t, c, deep).Header
	h.token("access token for the app", seen.Get("Authorization"))
	h.token("id token for the app", seen.Get("X-Wonderwall-Id-Token"))
	h.person(t, seen.Get("X-Wonderwall-Id-Token"))
	s.two.get(t, c, deep)
	for _, at := range []*world{s.server, s.one, s.two} {
		h.show("session at "+at.ingress, c.Get(at.ingress+"/oauth2/session"))
		h.show("refresh at "+at.ingress, c.Send("POST", at.ingress+"/oauth2/session/refresh", ""))
		for kind, bad := range map[string]string{
			"damaged":   cookie[:len(cookie)-4] + "AAAA",
			"cut":       cookie[:len(cookie)-9],
			"two":       cookie + "; " + name + "=" + query,
			"its token": strings.TrimPrefix(seen.Get("Authorization"), "Bearer "),
		} {
			for _, path := range []string{"/oauth2/session", "/oauth2/session/refresh", "/x", "/oauth2/logout/local"} {
				r := NewClient(t).Get(at.ingress+path, "Cookie", name+"="+bad)
				if path != "/x" { // where the app may be, which echoes
					h.show(kind+" cookie, "+path+" at "+at.ingress, r)
				}
			}
		}
		NewClient(t).Get(at.ingress + "/x?session=" + cookie)
		h.show("no endpoint at "+at.ingress, c.Get(at.ingress+"/oauth2/nothing?session="+cookie))
	}
	time.Sleep(3100 * time.Millisecond) // past the token's life: the next is a new one
	h.show("refresh when due", c.Send("POST", s.one.ingress+"/oauth2/session/refresh", ""))
	h.token("renewed access token for the app", s.one.get(t, c, "/x").Header.Get("Authorization"))

	// The way out, and trouble.
	h.show("another site's logout", c.Navigate(s.one.ingress+"/oauth2/logout/local", "Sec-Fetch-Site", "cross-site"))
	out := h.led("logout", c.Navigate(s.two.ingress+"/oauth2/logout?redirect="+url.QueryEscape(deep)), deep)
	c.FollowUntil(out, func(next *url.URL) bool { return next.Path == "/p/"+person || next.Path == "/start" })
	s.login(t, c, s.one, "kari", "")
	h.cookies(c, s.server.ingress+"/")
	s.dev.Dev(t, "faults", map[string]any{"endpoint": "token", "status": 500, "body": "<html>" + query})
	h.show("refresh in trouble", c.Send("POST", s.one.ingress+"/oauth2/session/refresh", ""))
	s.redis.Stop(t)
	h.show("store in trouble", c.Navigate(s.two.ingress+deep))
	h.show("logout in trouble", c.Get(s.one.ingress+"/oauth2/logout/local"))
	h.kept(t, s.server.Process)
	s.server.Stop(t)
	h.show("no server", c.Get(s.one.ingress+"/oauth2/session"))
	h.knows(t, "code", "state", "nonce", "code_verifier", "client_secret", "access_token", "refresh_token", "id_token", "session cookie")
	h.kept(t, s.server.Process, s.one.Process, s.two.Process)
}

// led shows an answer with the address that it leads to, which may hold the one that the person asked for themself and no other secret.
func (h *hoard) led(name string, r *Response, own string) *Response {
	to := r.Header.Get("Location")
	for _, form := range []string{url.QueryEscape(own), own} {
		to = strings.ReplaceAll(to, form, "")
	}
	if r.StatusCode == http.StatusFound {
		h.shown["Location of "+name] = to
	}
	return h.show(name, r)
}

package e2e

import (
	"net/url"
	"testing"
)

// S-37: logout tokens, and the story around them: none that is taken, refused, forged, replayed or misplaced is repeated anywhere.
func TestS37LogoutTokensAreNotShown(t *testing.T) {
	t.Parallel()
	const person = "01017012345"
	h := newHoard(map[string]string{"personal number": person, "admin token": adminToken})
	admin, env := adminEnv(t, map[string]string{"POSTERN_UPSTREAM_ACCESS_LOGS": "true", "POSTERN_UPSTREAM_INCLUDE_ID_TOKEN": "true"})
	w := logoutWorld(t, worldOptions{env: env, provider: h.provider})
	c := NewClient(t)
	w.login(t, c, "kari", "/p/"+person+"?fnr="+person)
	h.cookies(c, w.ingress+"/")
	h.person(t, w.get(t, c, "/").Header.Get("X-Wonderwall-Id-Token"))
	sub, sid := w.names(t, c)
	h.keep("sub", sub)
	h.keep("sid", sid)

	made := func(name string, claims map[string]any, changes ...map[string]any) string {
		token := w.logoutToken(t, claims, changes...)
		h.token("logout token, "+name, token)
		return token
	}
	tell := func(name, token string, status int) {
		t.Helper()
		if r := h.show(name, w.tell(t, token)); r.StatusCode != status {
			t.Errorf("%s: status %d, want %d %s", name, r.StatusCode, status, r.Body)
		}
	}
	valid := made("valid", map[string]any{"sub": sub, "sid": sid})
	tell("cut", valid[:len(valid)-8], 400)
	h.keep("logout token, cut", valid[:len(valid)-8])
	tell("valid", valid, 200)
	tell("replayed", valid, 400)
	tell("of nobody", made("of nobody", map[string]any{"sid": "session-of-nobody-41f7", "sub": person}), 200)
	tell("for another app", made("for another app", map[string]any{"aud": "somebody-else"}), 400)
	tell("with a nonce", made("with a nonce", map[string]any{"nonce": "nonce-of-nobody-0e77"}), 400)
	tell("expired", made("expired", map[string]any{"iat": 1_000_000_000, "exp": 1_000_000_120}), 400)
	tell("forged", made("forged", nil, map[string]any{"key": "unknown", "header": map[string]any{"kid": "kid-of-nobody-77aa"}}), 400)
	h.show("forged, again", w.tell(t, made("forged again", nil, map[string]any{"key": "unknown", "header": map[string]any{"kid": "kid-of-nobody-77ab"}})))

	misplaced := made("misplaced", map[string]any{"sub": sub})
	h.show("in the query", NewClient(t).PostForm(w.ingress+"/oauth2/logout/backchannel?logout_token="+misplaced, nil))
	h.show("by GET", NewClient(t).Get(w.ingress+"/oauth2/logout/backchannel?logout_token="+misplaced))
	h.show("in the path", NewClient(t).Get(w.ingress+"/oauth2/logout/backchannel/"+misplaced))
	h.show("twice", NewClient(t).PostForm(w.ingress+"/oauth2/logout/backchannel", url.Values{"logout_token": {misplaced, valid}}))
	h.show("as JSON", NewClient(t).Send("POST", w.ingress+"/oauth2/logout/backchannel", `{"logout_token":"`+misplaced+`"}`, "Content-Type", "application/json"))
	h.show("to the admin API", operate(t, admin, "POST", "/sessions/end", misplaced))

	c = NewClient(t) // the provider knows the old one by the session that has ended
	w.login(t, c, "kari", "")
	h.cookies(c, w.ingress+"/")
	if told := w.dev.EndSessions(t, "kari"); told == 0 {
		t.Error("the provider told nobody")
	}
	h.show("after the provider's logout", c.Navigate(w.ingress+"/oauth2/session"))
	h.knows(t, "logout token, valid", "logout token, forged", "client_secret", "id_token")
	h.kept(t, w.Process)
}

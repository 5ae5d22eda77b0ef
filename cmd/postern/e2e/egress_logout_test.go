package e2e

import (
	"net/http"
	"strings"
	"testing"
)

// S-09: a logout ends the token that the app was handed, wherever it comes back: at the way out, at the token API, at introspection and at the
// front door. What was exchanged before, and is still in the cache, is no way around that.
func TestS09LogoutEndsTheTokenForTheNextHop(t *testing.T) {
	t.Parallel()
	x := newOutbound(t, outboundOptions{env: map[string]string{"POSTERN_BEARER_PROVIDERS": "all", "POSTERN_REQUIRE_AUTH": "true"}})
	kari, authorization := x.signedIn("kari")
	ola, others := x.signedIn("ola")
	exchange := func(authorization string) *Response {
		return x.tokens.ask(exchangePath, map[string]any{
			"identity_provider": "entra_id", "target": ordersName, "user_token": strings.TrimPrefix(authorization, "Bearer "),
		})
	}
	active := func(authorization string) any {
		return x.tokens.introspect("entra_id", strings.TrimPrefix(authorization, "Bearer "))["active"]
	}
	works := func(when, authorization string) {
		t.Helper()
		for _, path := range []string{"/orders/x", "/stock/x"} {
			if r := x.call(path, authorization); r.StatusCode != 200 {
				t.Errorf("%s: egress %s: %d %s", when, path, r.StatusCode, r.Body)
			}
		}
		token(t, exchange(authorization))
		if r := NewClient(t).Get(x.ingress+"/x", "Authorization", authorization); r.StatusCode != 200 || active(authorization) != true {
			t.Errorf("%s: front door %d, active %v", when, r.StatusCode, active(authorization))
		}
	}
	works("before", authorization)
	if r := kari.Get(x.ingress + "/oauth2/logout/local"); r.StatusCode != http.StatusNoContent {
		t.Fatalf("logout: status %d", r.StatusCode)
	}
	x.mark()
	for _, path := range []string{"/orders/x", "/stock/y", "/either/x"} {
		noToken(t, x.call(path, authorization, "X-Postern-Egress", "1"), 401, "invalid_token", "")
	}
	noToken(t, exchange(authorization), 401, "invalid_token", "")
	noToken(t, x.tokens.ask(exchangePath, map[string]any{
		"identity_provider": "azuread", "target": stockName, "skip_cache": true, "user_token": strings.TrimPrefix(authorization, "Bearer "),
	}), 401, "invalid_token", "")
	if active(authorization) != false {
		t.Error("introspection says active")
	}
	wantRefusal(t, "at the front door", NewClient(t).Get(x.ingress+"/x", "Authorization", authorization), 401, "invalid_token")
	wantRefusal(t, "with somebody's cookie", ola.Get(x.ingress+"/x", "Authorization", authorization), 401, "invalid_token")
	x.unseen("after the logout")

	works("another session", others)
	_, again := x.signedIn("kari")
	works("a new login of the same user", again)
}

// A session that another login replaces has ended as well.
func TestS09ALoginThatReplacesASessionEndsItsToken(t *testing.T) {
	t.Parallel()
	x := newOutbound(t, outboundOptions{})
	kari, first := x.signedIn("kari")
	if r := x.call("/orders/x", first); r.StatusCode != 200 {
		t.Fatalf("egress: %d %s", r.StatusCode, r.Body)
	}
	x.login(t, kari, "ola", "")
	noToken(t, x.call("/orders/x", first), 401, "invalid_token", "")
	if r := x.call("/orders/x", x.get(t, kari, "/x").Header.Get("Authorization")); r.StatusCode != 200 {
		t.Errorf("the token of the new session: %d %s", r.StatusCode, r.Body)
	}
}

package e2e

import (
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"
)

// What the provider says of its refusal reaches the app, and what to do about it.
func TestARefusalReachesTheAppWithAHint(t *testing.T) {
	t.Parallel()
	x := newTexas(t, nil)
	user := x.entraUser("kari")
	exchange := func(target string) *Response {
		return x.ask(exchangePath, map[string]any{"identity_provider": "azuread", "target": target, "user_token": user})
	}
	got := noToken(t, exchange(closedName), 400, "invalid_grant", "AADSTS65001")
	if got.Suberror != "consent_required" || len(got.Codes) != 1 || got.Codes[0] != 65001 || got.Correlation == "" || !strings.Contains(got.Hint, "accessPolicy") {
		t.Errorf("65001: %+v", got)
	}
	got = noToken(t, x.ask(tokenPath, map[string]any{"identity_provider": "azuread", "target": closedName}), 400, "invalid_grant", "AADSTS501051")
	if got.Hint == "" {
		t.Errorf("501051: %+v", got)
	}
	got = noToken(t, x.ask(exchangePath, map[string]any{"identity_provider": "tokenx", "target": closedName, "user_token": x.citizen("gunnar")}), 400, "invalid_request", "is not authorized to get token")
	if got.Hint == "" {
		t.Errorf("TokenX: %+v", got)
	}
	got = noToken(t, x.ask(tokenPath, map[string]any{"identity_provider": "maskinporten", "target": "nav:other/scope"}), 400, "invalid_scope", "MP-200")
	if got.Hint == "" {
		t.Errorf("Maskinporten: %+v", got)
	}
	for name, raw := range map[string]string{
		"expired":               x.dev.Mint(t, map[string]any{"profile": "entra-user", "exp_in": -600, "claims": map[string]any{"aud": ownClientID}}),
		"for another app":       x.dev.Mint(t, map[string]any{"profile": "entra-user", "claims": map[string]any{"aud": "22222222-0000-4000-8000-000000000002"}}),
		"an app's":              x.dev.Mint(t, map[string]any{"profile": "entra-app", "claims": map[string]any{"aud": ownClientID}}),
		"of another provider":   x.citizen("gunnar"),
		"no token":              "hello",
		"with a line feed":      "a\nb",
		"with a forged ending":  user + "x",
		"a whole header's text": "Bearer " + user,
	} {
		r := x.ask(exchangePath, map[string]any{"identity_provider": "azuread", "target": ordersName, "user_token": raw})
		if r.StatusCode != 400 && r.StatusCode != 401 || strings.Contains(r.Body, "access_token") || strings.Contains(r.Body, user) {
			t.Errorf("user token %s: %d %s", name, r.StatusCode, r.Body)
		}
	}

	x.dev.Dev(t, "token-error", map[string]any{"aadsts": 50076, "claims": `{"access_token":{"acrs":{"essential":true,"value":"c1"}}}`, "times": 1})
	if got := noToken(t, exchange(stockName), 400, "interaction_required", "AADSTS50076"); !strings.Contains(got.Claims, `"acrs"`) {
		t.Errorf("claims challenge: %+v", got)
	}

	x.dev.Dev(t, "token-requests/forget", map[string]any{})
	for range 10 {
		noToken(t, exchange(closedName), 400, "invalid_grant", "AADSTS65001")
	}
	if n := x.dev.Counts(t)["token"]; n > 1 { // the one from before may have been forgotten meanwhile
		t.Errorf("a refusal was asked for %d times", n)
	}
	x.Log.Without(t, map[string]string{"the user token": user})
}

// Nobody to speak to is 503, no answer in time 504, one without sense 502; a moment's trouble is not seen at all.
func TestTroubleOfTheProviderIsNamed(t *testing.T) {
	t.Parallel()
	x := newTexas(t, nil)
	target := 0
	ask := func() *Response { // each time something that no cache has, and nothing remembers
		target++
		return x.ask(tokenPath, map[string]any{"identity_provider": "maskinporten", "target": "nav:team/orders.read", "resource": "https://" + strings.Repeat("a", target)})
	}
	fault := func(members map[string]any) {
		x.dev.Dev(t, "faults/clear", map[string]any{})
		body := map[string]any{"issuer": "maskinporten", "endpoint": "token"}
		maps.Copy(body, members)
		x.dev.Dev(t, "faults", body)
	}
	for _, passing := range []map[string]any{
		{"status": 503, "times": 2},
		{"status": 429, "retry_after": 1, "times": 1},
		{"drop": true, "times": 2},
		{"latency_ms": 1900, "times": 1},
		{"after": true, "drop": true, "times": 1}, // the answer is lost: the second assertion must be another one
		{"members": map[string]any{"token_type": "bearer", "expires_in": "119"}, "times": 1},
	} {
		fault(passing)
		within(t, 5*time.Second, "a moment's trouble", func() { token(t, ask()) })
	}
	for _, lasting := range []struct {
		fault  map[string]any
		status int
		says   string
	}{
		{map[string]any{"status": 503, "body": "<html>down</html>", "content_type": "text/html"}, 503, "'maskinporten' is in trouble: it answers 503"},
		{map[string]any{"status": 200, "body": "<html>hello</html>", "content_type": "text/html"}, 502, "'maskinporten' gave an answer that makes no sense"},
		{map[string]any{"truncate": true}, 502, "makes no sense"},
		{map[string]any{"pad": 3 << 20}, 502, "makes no sense"},
		{map[string]any{"members": map[string]any{"expires_in": nil}}, 502, "makes no sense"},
		{map[string]any{"status": 302, "body": ""}, 502, "makes no sense"},
		{map[string]any{"hang": true}, 504, "'maskinporten' did not answer in time"},
	} {
		fault(lasting.fault)
		var r *Response
		within(t, 6*time.Second, lasting.says, func() { r = ask() })
		noToken(t, r, lasting.status, "server_error", lasting.says)
		if (r.Header.Get("Retry-After") != "") != (lasting.status == 503) {
			t.Errorf("%d with Retry-After %q", r.StatusCode, r.Header.Get("Retry-After"))
		}
		x.dev.Dev(t, "faults/clear", map[string]any{})
		Eventually(t, "the first token after the trouble", func() error { // nobody may have tried for a moment
			if r := ask(); r.StatusCode != http.StatusOK {
				return errorf("status %d %s", r.StatusCode, r.Body)
			}
			return nil
		})
	}
}

// What lives in the cache is served while the provider is away, and a provider that is slow delays nobody who asks another one.
func TestTokensOutliveTheirProvider(t *testing.T) {
	t.Parallel()
	x := newTexas(t, nil)
	cached := map[string]any{"identity_provider": "azuread", "target": ordersName}
	first := token(t, x.ask(tokenPath, cached))
	good := x.entraUser("kari")
	if got := x.introspect("azuread", good); got["active"] != true {
		t.Fatalf("introspection: %v", got)
	}

	x.dev.Dev(t, "faults", map[string]any{"endpoint": "token", "latency_ms": 2000})
	slow := make(chan *Response, 1)
	go func() {
		slow <- x.ask(exchangePath, map[string]any{"identity_provider": "azuread", "target": ordersName, "user_token": good})
	}()
	Eventually(t, "the slow call to begin", func() error {
		if n := x.dev.Counts(t)["token"]; n < 2 {
			return errorf("%d calls", n)
		}
		return nil
	})
	within(t, time.Second, "another provider", func() {
		token(t, x.ask(tokenPath, map[string]any{"identity_provider": "maskinporten", "target": "nav:team/orders.read"}))
	})
	within(t, time.Second, "introspection", func() { x.introspect("azuread", x.entraUser("ola")) })
	token(t, <-slow)

	x.dev.Kill(t)
	for range 3 {
		if again := token(t, x.ask(tokenPath, cached)); again.Access != first.Access {
			t.Error("another token in the outage")
		}
	}
	if got := x.introspect("azuread", good); got["active"] != true {
		t.Errorf("introspection in the outage: %v", got)
	}
	within(t, 6*time.Second, "a new token in the outage", func() {
		noToken(t, x.ask(tokenPath, map[string]any{"identity_provider": "azuread", "target": stockName}), 503, "server_error", "'entra_id' cannot be reached")
	})
	if status, body := x.Readyz(t); status != http.StatusOK {
		t.Errorf("readyz %d %s", status, body)
	}
}

// A provider that is away at the start keeps nobody down.
func TestTexasStartsWithoutItsProvider(t *testing.T) {
	t.Parallel()
	x := prepareTexas(t, nil)
	x.dev.Freeze()
	x.Process = LaunchWith(t, x.env)
	x.ProbeAddr = x.env["PROBE_BIND_ADDRESS"]
	x.WaitURL(t, "http://"+x.ProbeAddr+"/livez")
	r := x.ask(tokenPath, map[string]any{"identity_provider": "maskinporten", "target": "nav:team/orders.read"})
	noToken(t, r, 503, "server_error", "'maskinporten' is not ready")
	if r := x.ask(introspectPath, map[string]any{"identity_provider": "tokenx", "token": "e30.e30.e30"}); r.StatusCode == 401 {
		t.Errorf("introspection without keys: %d %s", r.StatusCode, r.Body)
	}
	x.dev.Resume()
	Eventually(t, "the first token", func() error {
		if r := x.ask(tokenPath, map[string]any{"identity_provider": "maskinporten", "target": "nav:team/orders.read"}); r.StatusCode != 200 {
			return errorf("status %d %s", r.StatusCode, r.Body)
		}
		return nil
	})
	x.Stop(t)
}

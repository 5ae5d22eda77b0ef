package devidp_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"postern/oidc/devidp"
)

func TestCodeFlowWithEachWayOfClientAuthentication(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	post := func(form url.Values) answer { return w.token(form) }
	for name, way := range map[string]struct {
		redeem func(url.Values) answer
		azpacr string
	}{
		"client_secret_post": {post, "1"},
		"client_secret_basic": {func(f url.Values) answer {
			return w.token(with(f, "client_secret", "", "client_id", ""), basicAuth(clientID, secret))
		}, "1"},
		"private_key_jwt with client_id": {func(f url.Values) answer { return w.token(withAssertion(f, w.assertion(nil))) }, "2"},
		"private_key_jwt alone": {func(f url.Values) answer {
			return w.token(with(withAssertion(f, w.assertion(nil)), "client_id", ""))
		}, "2"},
		"private_key_jwt for the token endpoint": {func(f url.Values) answer {
			return w.token(withAssertion(f, w.assertion(map[string]any{"aud": w.url("/oauth2/v2.0/token")})))
		}, "2"},
		"private_key_jwt of the new type": {func(f url.Values) answer {
			return w.token(withAssertion(f, w.assertion(nil, "typ", "client-authentication+jwt")))
		}, "2"},
	} {
		t.Run(name, func(t *testing.T) {
			a := way.redeem(codeForm(w.login("kari")))
			if a.status != http.StatusOK || a.text("token_type") != "Bearer" || a.body["expires_in"] != 4500.0 || a.text("refresh_token") == "" {
				t.Fatalf("answer %d: %v", a.status, a.body)
			}
			if got := a.header.Get("Cache-Control"); got != "no-store" {
				t.Errorf("Cache-Control %q", got)
			}
			if got := w.verified(a.text("access_token"))["azpacr"]; got != way.azpacr {
				t.Errorf("azpacr %v", got)
			}
			again := way.redeem(refreshForm(a.text("refresh_token")))
			if again.status != http.StatusOK || again.text("id_token") == "" {
				t.Errorf("refresh answered %d: %v", again.status, again.body)
			}
		})
	}
}

func TestClaimsAreThoseOfEntraID(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.tokens("ola", "scope", ownScope+" email")
	id, access := w.verified(a.text("id_token")), w.verified(a.text("access_token"))
	now := float64(w.clock().Unix())
	groups := []any{devidp.GroupCaseworkers, devidp.GroupApprovers}
	common := map[string]any{
		"iss": w.issuer(), "aud": clientID, "tid": devidp.DefaultTenantID, "ver": "2.0", "iat": now, "nbf": now,
		"oid": "a1b9d0d6-52a8-4b7e-9d53-0c1d2e3f4a02", "name": "Ola Beslutter", "preferred_username": "ola.beslutter@trygdeetaten.example",
		"NAVident": "Z990002", "groups": groups,
	}
	wantID := lay(lay(map[string]any{}, common), map[string]any{
		"exp": now + 3600, "nonce": "the-nonce", "email": "ola.beslutter@trygdeetaten.example", "xms_edov": true,
	})
	wantAccess := lay(lay(map[string]any{}, common), map[string]any{
		"exp": now + 4500, "azp": clientID, "azp_name": "dev-gcp:team-a:app", "azpacr": "1", "scp": "defaultaccess orders.read",
	})
	for _, random := range []string{"uti", "rh", "aio", "sub", "sid", "login_hint"} {
		if text, _ := id[random].(string); text == "" {
			t.Errorf("id token: no %s", random)
		}
		delete(id, random)
		delete(access, random)
	}
	if diff := cmp.Diff(wantID, id); diff != "" {
		t.Errorf("id token:\n%s", diff)
	}
	if diff := cmp.Diff(wantAccess, access); diff != "" {
		t.Errorf("access token:\n%s", diff)
	}
	refreshed := w.verified(w.token(refreshForm(a.text("refresh_token"))).text("id_token"))
	if _, there := refreshed["nonce"]; there {
		t.Error("a refreshed id token has a nonce")
	}
}

func TestSubjectIsPairwise(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	mine := w.verified(w.tokens("kari").text("access_token"))
	other := w.verified(w.tokens("kari", "scope", "openid api://"+otherID+"/.default").text("access_token"))
	if mine["sub"] == other["sub"] || mine["oid"] != other["oid"] || other["aud"] != otherID {
		t.Errorf("sub %v and %v, oid %v and %v, aud %v", mine["sub"], other["sub"], mine["oid"], other["oid"], other["aud"])
	}
}

func TestGroups(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	none := w.verified(w.tokens("nils").text("id_token"))
	if _, there := none["groups"]; there || none["_claim_names"] != nil {
		t.Errorf("somebody without groups has %v", none)
	}
	over := w.verified(w.tokens("anna").text("id_token"))
	names, _ := over["_claim_names"].(map[string]any)
	if _, there := over["groups"]; there || names["groups"] != "src1" || over["_claim_sources"] == nil {
		t.Errorf("overage is %v", over)
	}
}

func TestGraphTokenCannotBeVerified(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.tokens("kari", "scope", "openid profile User.Read")
	header, payload, signature := split3(a.text("access_token"))
	if header == "" || payload == "" || signature == "" {
		t.Fatal("not a JWT")
	}
	defer func() {
		if got := w.verified(a.text("id_token")); got["aud"] != clientID {
			t.Errorf("id token %v", got)
		}
	}()
	if verifies(w, a.text("access_token")) {
		t.Error("the token for Graph verifies with the published keys")
	}
}

func TestSingleSignOn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.login("kari")
	sso := func(changes ...string) *http.Response { return w.authorize(authorization(changes...)) }
	silent := func(r *http.Response) bool { return r.StatusCode == http.StatusFound && w.sent(r).Get("code") != "" }

	for name, changes := range map[string][]string{
		"again":                {},
		"prompt none":          {"prompt", "none"},
		"hint at the same":     {"login_hint", "KARI.saksbehandler@trygdeetaten.example"},
		"max_age not yet over": {"max_age", "3600"},
		"levels that are none": {"acr_values", "whatever"},
		"what Entra ignores":   {"domain_hint", "example.com", "resource", "https://api.example", "ui_locales", "nb"},
	} {
		if !silent(sso(changes...)) {
			t.Errorf("%s: a page is shown", name)
		}
	}
	w.pass(10 * time.Second)
	for name, changes := range map[string][]string{
		"prompt login":     {"prompt", "login"},
		"select account":   {"prompt", "select_account"},
		"consent":          {"prompt", "consent"},
		"hint at somebody": {"login_hint", "ola"},
		"max_age over":     {"max_age", "9"},
		"max_age 0":        {"max_age", "0"},
	} {
		if r := sso(changes...); r.StatusCode != http.StatusOK || !strings.Contains(body(w, r), "Who do you want to be?") {
			t.Errorf("%s: status %d, no page", name, r.StatusCode)
		}
	}
	if got := w.sent(sso("prompt", "none", "max_age", "9")).Get("error"); got != "login_required" {
		t.Errorf("prompt=none with an old session: %q", got)
	}
	w.browser = w.newBrowser()
	got := w.sent(sso("prompt", "none"))
	if got.Get("error") != "login_required" || got.Get("state") != "the-state" || got.Get("iss") != w.issuer() {
		t.Errorf("prompt=none without a session: %v", got)
	}
}

func TestNewLoginReplacesTheSession(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	idToken := func(code string) map[string]any { return w.verified(w.token(codeForm(code)).text("id_token")) }
	first := idToken(w.login("kari"))
	w.pass(time.Minute)

	same := w.choose(w.authorize(authorization("prompt", "select_account")), "kari", "")
	if got := idToken(same.Get("code")); got["sid"] != first["sid"] {
		t.Error("choosing the account that is logged in made a new session")
	}
	anew := w.choose(w.authorize(authorization("prompt", "login", "max_age", "0")), "kari", "")
	got := idToken(anew.Get("code"))
	if got["sid"] == first["sid"] || got["auth_time"] != float64(w.clock().Unix()) {
		t.Errorf("prompt=login: sid %v after %v, auth_time %v", got["sid"], first["sid"], got["auth_time"])
	}
	other := w.choose(w.authorize(authorization("prompt", "select_account")), "ola", "")
	if got := idToken(other.Get("code")); got["NAVident"] != "Z990002" {
		t.Errorf("switched to %v", got["NAVident"])
	}
}

func TestRefusedLogins(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for persona, want := range map[string]string{"dag": "AADSTS50105", "cancel": "AADSTS65004"} {
		w.browser = w.newBrowser()
		got := w.choose(w.authorize(authorization()), persona, "")
		if got.Get("error") != "access_denied" || !strings.HasPrefix(got.Get("error_description"), want) || got.Get("code") != "" {
			t.Errorf("%s: %v", persona, got)
		}
		if got := w.sent(w.authorize(authorization("prompt", "none"))).Get("error"); got != "login_required" {
			t.Errorf("%s: there is a session: %q", persona, got)
		}
	}
}

func TestResponseNamesTheIssuerAndKeepsTheQuery(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	got := w.choose(w.authorize(authorization("redirect_uri", redirect+"?x=1", "state", "a b&c=d#é")), "kari", "")
	if got.Get("iss") != w.issuer() || got.Get("state") != "a b&c=d#é" || got.Get("x") != "1" || got.Get("session_state") == "" {
		t.Errorf("answer %v", got)
	}
}

func TestLevels(t *testing.T) {
	t.Parallel()
	personas := append(devidp.DefaultPersonas(), devidp.Persona{
		ID: "low", Name: "Lav", Username: "lav", ObjectID: "a1b9d0d6-52a8-4b7e-9d53-0c1d2e3f4a99", ACR: "substantial",
	})
	w := newWorld(t, func(c *devidp.Config) { c.ACRValues, c.Personas = []string{"substantial", "high"}, personas })
	for _, c := range []struct{ persona, asked, want string }{
		{"kari", "", "high"}, {"kari", "substantial", "substantial"}, {"kari", "unknown high", "high"}, {"low", "high", "substantial"}, {"low", "", "substantial"},
	} {
		if got := w.verified(w.tokens(c.persona, "acr_values", c.asked).text("id_token"))["acr"]; got != c.want {
			t.Errorf("%s asked for %q: acr %v", c.persona, c.asked, got)
		}
	}
	if got := list(w.metadata()["acr_values_supported"]); got != "substantial high" {
		t.Errorf("acr_values_supported %q", got)
	}
}

func TestClaimsParameter(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.tokens("kari", "claims", `{"access_token":{"acrs":{"essential":true,"value":"c1"}},"id_token":{"auth_time":{"essential":true}}}`)
	if got := list(w.verified(a.text("access_token"))["acrs"]); got != "c1" {
		t.Errorf("acrs %q", got)
	}
	if got := w.verified(a.text("id_token"))["auth_time"]; got != float64(w.clock().Unix()) {
		t.Errorf("auth_time %v", got)
	}
}

func TestAutomaticLogin(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *devidp.Config) { c.AutoLogin = "kari" })
	ident := func(changes ...string) any {
		w.browser = w.newBrowser()
		return w.verified(w.token(codeForm(w.sent(w.authorize(authorization(changes...))).Get("code"))).text("id_token"))["NAVident"]
	}
	if got := ident(); got != "Z990001" {
		t.Errorf("logged in as %v", got)
	}
	if got := ident("login_hint", "ola"); got != "Z990002" {
		t.Errorf("with a hint logged in as %v", got)
	}
	must(t, w.idp.SetAutoLogin("siri"))
	if got := ident(); got != "Z990003" {
		t.Errorf("after a change logged in as %v", got)
	}
	if err := w.idp.SetAutoLogin("nobody"); err == nil {
		t.Error("an unknown persona was taken")
	}
}

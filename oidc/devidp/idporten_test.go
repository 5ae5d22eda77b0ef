package devidp_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/lestrrat-go/jwx/v2/jws"

	"postern/oidc/devidp"
)

const bjornsPID = "17814730360"

// idporten is a good authorization request at ID-porten.
func idporten(changes ...string) url.Values {
	return authorization(append([]string{"scope", "openid profile"}, changes...)...)
}

func (w *world) citizenPage(changes ...string) *http.Response {
	w.Helper()
	return w.get(w.srv.URL + "/idporten/authorize?" + idporten(changes...).Encode())
}

// citizen logs somebody in on a fresh page and redeems the code.
func (w *world) citizen(persona string, changes ...string) answer {
	w.Helper()
	w.browser = w.newBrowser()
	got := w.choose(w.citizenPage(changes...), persona, "")
	a := w.postTo(w.srv.URL+"/idporten/token", codeForm(got.Get("code")))
	if a.status != http.StatusOK {
		w.Fatalf("error %q, token endpoint answered %d: %v", got.Get("error"), a.status, a.body)
	}
	return a
}

// of verifies a token with an issuer's keys and returns its claims.
func (w *world) of(issuer devidp.Issuer, raw string) map[string]any {
	w.Helper()
	payload, err := jws.Verify([]byte(raw), jws.WithKeySet(w.keysOf(issuer), jws.WithInferAlgorithmFromKey(true)))
	must(w, err)
	var claims map[string]any
	must(w, json.Unmarshal(payload, &claims))
	return claims
}

// dropped takes members away that are random, after a look that they are there.
func dropped(t *testing.T, claims map[string]any, names ...string) map[string]any {
	t.Helper()
	for _, name := range names {
		if text, _ := claims[name].(string); text == "" {
			t.Errorf("no %s in %v", name, claims)
		}
		delete(claims, name)
	}
	return claims
}

func consumer() map[string]any {
	return map[string]any{"authority": "iso6523-actorid-upis", "ID": "0192:314159268"}
}

func TestIDPortenLogin(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	got := w.choose(w.citizenPage("acr_values", "idporten-loa-high", "ui_locales", "de nn"), "bjorn", "")
	if got.Get("iss") != w.srv.URL+"/idporten" || got.Get("state") != "the-state" {
		t.Errorf("answer %v", got)
	}
	now := float64(w.clock().Unix())
	a := w.postTo(w.srv.URL+"/idporten/token", withAssertion(codeForm(got.Get("code")), w.assertion(map[string]any{"aud": w.srv.URL + "/idporten"})))
	if a.status != 200 || a.text("token_type") != "Bearer" || a.text("scope") != "openid profile" || a.text("refresh_token") == "" || a.body["ext_expires_in"] != nil {
		t.Fatalf("%d %v", a.status, a.body)
	}
	id := w.of(devidp.IDPorten, a.text("id_token"))
	subject := id["sub"]
	if diff := cmp.Diff(map[string]any{
		"iss": w.srv.URL + "/idporten", "aud": clientID, "iat": now, "exp": now + 120, "pid": bjornsPID, "acr": "idporten-loa-high",
		"amr": []any{"BankID"}, "auth_time": now, "locale": "nn", "nonce": "the-nonce",
	}, dropped(t, id, "jti", "sid", "sub")); diff != "" {
		t.Errorf("id token:\n%s", diff)
	}
	access := w.of(devidp.IDPorten, a.text("access_token"))
	if diff := cmp.Diff(map[string]any{
		"iss": w.srv.URL + "/idporten", "aud": "unspecified", "sub": subject, "iat": now, "exp": now + 4500, "pid": bjornsPID,
		"acr": "idporten-loa-high", "client_id": clientID, "client_amr": "private_key_jwt", "client_orgno": "314159268", "consumer": consumer(),
		"scope": "openid profile",
	}, dropped(t, access, "jti")); diff != "" {
		t.Errorf("access token:\n%s", diff)
	}
	again := w.postTo(w.srv.URL+"/idporten/token", refreshForm(a.text("refresh_token")))
	if got := w.of(devidp.IDPorten, again.text("id_token")); got["pid"] != bjornsPID || got["acr"] != "idporten-loa-high" || got["sub"] != subject {
		t.Errorf("refreshed id token %v", got)
	}
	if other := w.verified(w.tokens("bjorn").text("id_token")); other["pid"] != nil {
		t.Error("Entra ID tells a national identity number")
	}
}

func TestIDPortenClientAuthentication(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.srv.URL + "/idporten/token"
	for name, redeem := range map[string]func(url.Values) answer{
		"client_secret_post": func(f url.Values) answer { return w.postTo(token, f) },
		"client_secret_basic": func(f url.Values) answer {
			return w.postTo(token, with(f, "client_secret", "", "client_id", ""), basicAuth(clientID, secret))
		},
		"private_key_jwt for the issuer": func(f url.Values) answer {
			return w.postTo(token, withAssertion(f, w.assertion(map[string]any{"aud": w.srv.URL + "/idporten"})))
		},
		"private_key_jwt for the token endpoint": func(f url.Values) answer {
			return w.postTo(token, withAssertion(f, w.assertion(map[string]any{"aud": token})))
		},
	} {
		w.browser = w.newBrowser()
		a := redeem(codeForm(w.choose(w.citizenPage(), "turid", "").Get("code")))
		if a.status != 200 || w.of(devidp.IDPorten, a.text("access_token"))["client_amr"] != strings.Fields(name)[0] {
			t.Errorf("%s: %d %v", name, a.status, a.body)
		}
	}
	for name, form := range map[string]url.Values{
		"wrong secret":   codeForm("x", "client_secret", "wrong"),
		"unknown client": codeForm("x", "client_id", "nobody"),
		"no proof":       codeForm("x", "client_secret", ""),
	} {
		a := w.postTo(token, form)
		if a.status != 401 || a.text("error") != "invalid_client" || a.body["error_codes"] != nil || strings.Contains(a.text("error_description"), "AADSTS") {
			t.Errorf("%s: %d %v", name, a.status, a.body)
		}
	}
}

func TestIDPortenLevels(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, c := range []struct{ persona, asked, want, amr string }{
		{"bjorn", "", "idporten-loa-substantial", "Minid-APP"},
		{"bjorn", "idporten-loa-high", "idporten-loa-high", "BankID"},
		{"bjorn", "idporten-loa-low", "idporten-loa-low", "Selfregistered-email"},
		{"ingrid", "idporten-loa-high", "idporten-loa-substantial", "Minid-APP"}, // noticing it is the client's job
		{"liv", "idporten-loa-high", "idporten-loa-low", "Selfregistered-email"},
	} {
		a := w.citizen(c.persona, "acr_values", c.asked)
		if got := w.of(devidp.IDPorten, a.text("id_token")); got["acr"] != c.want || list(got["amr"]) != c.amr {
			t.Errorf("%s asked for %q: acr %v, amr %v", c.persona, c.asked, got["acr"], got["amr"])
		}
		if got := w.of(devidp.IDPorten, a.text("access_token"))["acr"]; got != c.want {
			t.Errorf("%s asked for %q: access token with acr %v", c.persona, c.asked, got)
		}
	}
}

func TestIDPortenStepUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.citizen("bjorn")
	if r := w.citizenPage("acr_values", "idporten-loa-low"); w.sent(r).Get("code") == "" {
		t.Error("single sign-on does not reach a lower level")
	}
	if got := w.sent(w.citizenPage("acr_values", "idporten-loa-high", "prompt", "none")).Get("error"); got != "login_required" {
		t.Errorf("a higher level without a page: %q", got)
	}
	w.pass(time.Minute)
	page := w.citizenPage("acr_values", "idporten-loa-high")
	a := w.postTo(w.srv.URL+"/idporten/token", codeForm(w.choose(page, "bjorn", "").Get("code")))
	if got := w.of(devidp.IDPorten, a.text("id_token")); got["acr"] != "idporten-loa-high" || got["auth_time"] != float64(w.clock().Unix()) {
		t.Errorf("after stepping up: %v", got)
	}
	w.citizen("ingrid")
	if r := w.citizenPage("acr_values", "idporten-loa-high"); w.sent(r).Get("code") == "" {
		t.Error("somebody who reaches no more is asked in vain")
	}
}

func TestIDPortenRefusesBadRequests(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, c := range map[string]struct {
		changes []string
		want    string
	}{
		"level it has not":       {[]string{"acr_values", "Level4"}, "invalid_request"},
		"two levels":             {[]string{"acr_values", "idporten-loa-high idporten-loa-low"}, "invalid_request"},
		"no PKCE":                {[]string{"code_challenge", ""}, "invalid_request"},
		"plain PKCE":             {[]string{"code_challenge_method", "plain"}, "invalid_request"},
		"implicit":               {[]string{"response_type", "id_token"}, "unsupported_response_type"},
		"no scope":               {[]string{"scope", ""}, "invalid_request"},
		"resource is no URI":     {[]string{"resource", "app"}, "invalid_target"},
		"resource with fragment": {[]string{"resource", "https://app.example/#x"}, "invalid_target"},
	} {
		got := w.sent(w.citizenPage(c.changes...))
		if got.Get("error") != c.want || got.Get("iss") != w.srv.URL+"/idporten" || strings.Contains(got.Get("error_description"), "AADSTS") {
			t.Errorf("%s: %v", name, got)
		}
	}
	if r := w.citizenPage("redirect_uri", "http://evil.example/"); r.StatusCode != 400 || strings.Contains(body(t, r), "AADSTS") {
		t.Errorf("unregistered redirect_uri: %d", r.StatusCode)
	}
}

// ID-porten puts any URI that a client asks for into aud (S-02).
func TestS02IDPortenAudienceIsWhatTheClientAskedFor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.citizen("turid", "resource", "https://somebody-elses.example/api")
	if got := w.of(devidp.IDPorten, a.text("access_token")); got["aud"] != "https://somebody-elses.example/api" || got["client_id"] != clientID {
		t.Errorf("claims %v", got)
	}
	if got := w.of(devidp.IDPorten, a.text("id_token"))["aud"]; got != clientID {
		t.Errorf("id token for %v", got)
	}
}

func TestIDPortenPushedRequest(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	par := w.srv.URL + "/idporten/par"
	a := w.postTo(par, withAssertion(idporten("acr_values", "idporten-loa-high"), w.assertion(map[string]any{"aud": par})))
	if a.status != http.StatusCreated {
		t.Fatalf("push: %d %v", a.status, a.body)
	}
	page := w.get(w.srv.URL + "/idporten/authorize?" + url.Values{"client_id": {clientID}, "request_uri": {a.text("request_uri")}}.Encode())
	redeemed := w.postTo(w.srv.URL+"/idporten/token", codeForm(w.choose(page, "gunnar", "").Get("code")))
	if got := w.of(devidp.IDPorten, redeemed.text("id_token"))["acr"]; got != "idporten-loa-high" {
		t.Errorf("acr %v", got)
	}
	if a := w.postTo(par, idporten("client_secret", secret, "acr_values", "x")); a.status != 400 || a.text("error") != "invalid_request" {
		t.Errorf("a bad request was pushed: %d %v", a.status, a.body)
	}
}

func TestLoginPagesOfferWhoFits(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	button := func(id string) string { return `value="` + id + `"` }
	employees, citizens := body(t, w.authorize(authorization())), body(t, w.citizenPage("acr_values", "idporten-loa-high"))
	for id, at := range map[string]struct{ entra, idporten bool }{
		"kari": {true, false}, "dag": {true, false}, "bjorn": {true, true}, "turid": {true, true}, "gunnar": {false, true}, "liv": {false, true},
	} {
		if got := strings.Contains(employees, button(id)); got != at.entra {
			t.Errorf("%s at Entra ID: %v", id, got)
		}
		if got := strings.Contains(citizens, button(id)); got != at.idporten {
			t.Errorf("%s at ID-porten: %v", id, got)
		}
	}
	if strings.Contains(employees, bjornsPID) || !strings.Contains(citizens, bjornsPID) || !strings.Contains(citizens, "idporten-loa-high") {
		t.Error("national identity numbers or the level are on the wrong page")
	}
	for persona, page := range map[string]*http.Response{"kari": w.citizenPage(), "gunnar": w.authorize(authorization())} {
		r, err := devidp.Answer(w.browser, page, persona, "")
		must(t, err)
		if got := body(t, r); r.StatusCode != 400 || !strings.Contains(got, `role="alert"`) {
			t.Errorf("%s logged in at the wrong issuer: %d", persona, r.StatusCode)
		}
	}
}

func TestIDPortenAutomaticLogin(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *devidp.Config) { c.AutoLogin = "gunnar" })
	if w.sent(w.citizenPage()).Get("code") == "" {
		t.Error("nobody logged in")
	}
	if r := w.authorize(authorization()); r.StatusCode != 200 || !strings.Contains(body(t, r), "Who do you want to be?") {
		t.Error("a citizen logged in at Entra ID")
	}
}

func TestIDPortenLogout(t *testing.T) {
	t.Parallel()
	front := "http://app.localhost:8080/oauth2/logout/frontchannel"
	w := newWorld(t, func(c *devidp.Config) { c.Clients[0].FrontChannelLogoutURI = front })
	logout := func(q url.Values) *http.Response { return w.get(w.srv.URL + "/idporten/endsession?" + q.Encode()) }
	silent := func() bool { return w.sent(w.citizenPage("prompt", "none")).Get("code") != "" }
	for name, q := range map[string]func(answer) url.Values{
		"by hint":   func(a answer) url.Values { return url.Values{"id_token_hint": {a.text("id_token")}} },
		"by client": func(answer) url.Values { return url.Values{"client_id": {clientID}} },
	} {
		a := w.citizen("bjorn")
		sid, _ := w.of(devidp.IDPorten, a.text("id_token"))["sid"].(string)
		r := logout(with(q(a), "post_logout_redirect_uri", signedOut, "state", "s"))
		page := body(t, r)
		want := front + "?" + url.Values{"iss": {w.srv.URL + "/idporten"}, "sid": {sid}}.Encode()
		if r.StatusCode != 200 || !strings.Contains(page, strings.ReplaceAll(want, "&", "&amp;")) || !strings.Contains(page, signedOut+"?state=s") {
			t.Errorf("%s: %d %s", name, r.StatusCode, page)
		}
		if silent() {
			t.Errorf("%s: still signed in", name)
		}
	}
	if r := logout(url.Values{"client_id": {clientID}, "post_logout_redirect_uri": {signedOut}}); r.Header.Get("Location") != signedOut {
		t.Errorf("nobody to tell: %d", r.StatusCode)
	}
	hint := w.citizen("bjorn").text("id_token")
	foreign := w.tokens("bjorn").text("id_token")
	for name, q := range map[string]url.Values{
		"without saying who":        {"post_logout_redirect_uri": {signedOut}},
		"unregistered":              {"client_id": {clientID}, "post_logout_redirect_uri": {signedOut + "/x"}},
		"another client's hint":     {"id_token_hint": {hint}, "client_id": {otherID}, "post_logout_redirect_uri": {signedOut}},
		"a hint that is Entra ID's": {"id_token_hint": {foreign}, "post_logout_redirect_uri": {signedOut}},
	} {
		if r := logout(q); r.StatusCode != 400 || r.Header.Get("Location") != "" {
			t.Errorf("%s: %d", name, r.StatusCode)
		}
	}
}

func TestIDPortenPlannedErrorsAndRevocation(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.citizen("bjorn").text("refresh_token")
	w.idp.FailToken(devidp.TokenError{Issuer: devidp.IDPorten, Error: "invalid_grant", Status: 400, Description: "expired"})
	if a := w.postTo(w.srv.URL+"/idporten/token", refreshForm(token)); a.text("error") != "invalid_grant" || a.text("error_description") != "expired" {
		t.Errorf("planned: %v", a.body)
	}
	if n := w.idp.RevokeRefreshTokens("bjorn", devidp.IDPorten); n != 1 {
		t.Errorf("%d revoked", n)
	}
	if a := w.postTo(w.srv.URL+"/idporten/token", refreshForm(token)); a.text("error") != "invalid_grant" {
		t.Errorf("revoked: %v", a.body)
	}
	if got := w.idp.Counts(); got["idporten/token/refresh_token"] != 2 || got["token/refresh_token"] != 0 {
		t.Errorf("counts %v", got)
	}
}

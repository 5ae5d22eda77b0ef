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

// userToken is an access token of a user for the app, as its login brings it.
func (w *world) userToken(persona, claims string) string {
	w.Helper()
	w.browser = w.newBrowser()
	got := w.choose(w.authorize(authorization()), persona, claims)
	return w.good(w.token(codeForm(got.Get("code"))))
}

func TestOnBehalfOfKeepsTheUser(t *testing.T) {
	t.Parallel()
	w := newApps(t)
	mine := w.verified(w.userToken("kari", `{"department":"4488"}`))
	a := w.token(withAssertion(onBehalfForm(w.userToken("kari", `{"department":"4488"}`)), w.assertion(nil)))
	now := float64(w.clock().Unix())
	claims := w.verified(w.good(a))
	if claims["sub"] == mine["sub"] || claims["oid"] != mine["oid"] {
		t.Errorf("sub %v after %v, oid %v after %v", claims["sub"], mine["sub"], claims["oid"], mine["oid"])
	}
	if diff := cmp.Diff(map[string]any{
		"iss": w.issuer(), "aud": apiID, "tid": devidp.DefaultTenantID, "ver": "2.0", "iat": now, "nbf": now, "exp": now + 4500,
		"oid": "a1b9d0d6-52a8-4b7e-9d53-0c1d2e3f4a01", "name": "Kari Saksbehandler", "preferred_username": "kari.saksbehandler@trygdeetaten.example",
		"NAVident": "Z990001", "groups": []any{devidp.GroupCaseworkers}, "azp": clientID, "azp_name": appName, "azpacr": "2",
		"scp": "defaultaccess orders.read", "department": "4488",
	}, dropped(t, claims, "sub", "uti", "rh", "aio")); diff != "" {
		t.Errorf("claims:\n%s", diff)
	}
	delete(a.body, "access_token")
	if diff := cmp.Diff(map[string]any{
		"token_type": "Bearer", "expires_in": 4500.0, "ext_expires_in": 4500.0,
		"scope": "api://" + apiID + "/defaultaccess api://" + apiID + "/orders.read",
	}, a.body); diff != "" {
		t.Errorf("answer:\n%s", diff)
	}
}

func TestOnBehalfOfGivesARefreshTokenIfAsked(t *testing.T) {
	t.Parallel()
	w := newApps(t)
	a := w.token(onBehalfForm(w.userToken("kari", ""), "scope", "api://"+apiID+"/orders.read offline_access"))
	if got := w.verified(w.good(a)); got["scp"] != "orders.read" || a.text("id_token") != "" {
		t.Errorf("scp %v, id token %q", got["scp"], a.text("id_token"))
	}
	again := w.token(refreshForm(a.text("refresh_token")))
	if got := w.verified(w.good(again)); got["aud"] != apiID || got["NAVident"] != "Z990001" || got["azp"] != clientID {
		t.Errorf("refreshed: %v", got)
	}
}

func TestOnBehalfOfGoesOnAlongAChain(t *testing.T) {
	t.Parallel()
	w := newApps(t, func(c *devidp.Config) { c.Clients[1].PreAuthorized = []string{apiID} })
	token := w.good(w.token(onBehalfForm(w.userToken("ola", ""))))
	next := w.token(onBehalfForm(token, "client_id", apiID, "client_secret", secret+"3", "scope", "api://dev-gcp.team-b.other/.default"))
	if got := w.verified(w.good(next)); got["aud"] != otherID || got["azp"] != apiID || got["azp_name"] != apiName || got["NAVident"] != "Z990002" {
		t.Errorf("after two hops: %v", got)
	}
}

// What a token says of its user is what the next one says, whether the directory has it or somebody made it up.
func TestOnBehalfOfCarriesOnWhatTheAssertionSays(t *testing.T) {
	t.Parallel()
	made := func(m devidp.MintRequest) func(*world) string {
		m.Profile = devidp.MintEntraUser
		return func(w *world) string { return w.mint(m) }
	}
	for name, c := range map[string]struct {
		change    func(*devidp.ClientConfig)
		assertion func(*world) string
		want      map[string]any
	}{
		"groups from the login page": {nil, func(w *world) string { return w.userToken("kari", `{"groups":["g"]}`) }, map[string]any{"groups": []any{"g"}}},
		"a claim taken away":         {nil, func(w *world) string { return w.userToken("kari", `{"NAVident":null}`) }, map[string]any{"NAVident": nil, "name": "Kari Saksbehandler"}},
		"a minted user":              {nil, made(devidp.MintRequest{Persona: "ola"}), map[string]any{"NAVident": "Z990002", "groups": []any{devidp.GroupCaseworkers, devidp.GroupApprovers}}},
		"a user of nobody's": {nil, made(devidp.MintRequest{Claims: map[string]any{"oid": "0dd", "name": "Odd", "groups": []string{"g"}, "NAVident": nil}}), map[string]any{
			"oid": "0dd", "name": "Odd", "groups": []any{"g"}, "NAVident": nil,
		}},
		"overage": {nil, made(devidp.MintRequest{Persona: "anna"}), map[string]any{"groups": nil, "_claim_names": map[string]any{"groups": "src1"}}},
		"overage of nobody's": {nil, made(devidp.MintRequest{Persona: "anna", Claims: map[string]any{"oid": "0dd"}}), map[string]any{
			"groups": nil, "_claim_names": map[string]any{"groups": "src1"},
		}},
		"groups that are the API's": {
			func(c *devidp.ClientConfig) { c.Groups = []string{devidp.GroupApprovers, devidp.GroupAdmins} }, made(devidp.MintRequest{Persona: "ola"}),
			map[string]any{"groups": []any{devidp.GroupApprovers}},
		},
		"few of very many groups": {
			func(c *devidp.ClientConfig) { c.Groups = []string{"00000000-aaaa-4bbb-8ccc-000000000007"} }, made(devidp.MintRequest{Persona: "anna"}),
			map[string]any{"groups": []any{"00000000-aaaa-4bbb-8ccc-000000000007"}, "_claim_names": nil},
		},
		"what belongs to one token": {nil, made(devidp.MintRequest{Claims: map[string]any{"jti": "x", "roles": []string{"r"}, "xms_cc": []string{"cp1"}}}), map[string]any{
			"jti": nil, "roles": nil, "xms_cc": nil, "idtyp": nil,
		}},
	} {
		change := c.change
		if change == nil {
			change = func(*devidp.ClientConfig) {}
		}
		w := newApps(t, api(change))
		got := w.verified(w.good(w.token(onBehalfForm(c.assertion(w)))))
		for claim, want := range c.want {
			if diff := cmp.Diff(want, got[claim]); diff != "" {
				t.Errorf("%s: %s:\n%s", name, claim, diff)
			}
		}
	}
}

func TestOnBehalfOfReadsTheDirectoryAnew(t *testing.T) {
	t.Parallel()
	w := newApps(t)
	before := w.userToken("kari", "")
	must(t, w.idp.SetGroups("kari", []string{devidp.GroupAdmins}))
	if got := w.verified(w.good(w.token(onBehalfForm(before)))); list(got["groups"]) != devidp.GroupAdmins {
		t.Errorf("groups %v", got["groups"])
	}
}

func TestOnBehalfOfRefusals(t *testing.T) {
	t.Parallel()
	w := newApps(t)
	user := w.userToken("kari", "")
	login := w.tokens("kari")
	user2 := func(m devidp.MintRequest) string {
		m.Profile = devidp.MintEntraUser
		return w.mint(m)
	}
	must(t, w.idp.RotateKeys())
	unknown := w.mint(devidp.MintRequest{Profile: devidp.MintEntraUser, Key: "unknown"})
	toOther := []string{"scope", "api://" + otherID + "/.default"}
	for name, c := range map[string]struct {
		form   url.Values
		status int
		code   string
		aadsts int
	}{
		"no assertion":            {onBehalfForm(""), 400, "invalid_request", 900144},
		"no requested_token_use":  {onBehalfForm(user, "requested_token_use", ""), 400, "invalid_request", 900144},
		"another use":             {onBehalfForm(user, "requested_token_use", "x"), 400, "invalid_request", 90013},
		"no scope":                {onBehalfForm(user, "scope", ""), 400, "invalid_request", 900144},
		"two resources":           {onBehalfForm(user, "scope", apiID+"/.default "+clientID+"/.default"), 400, "invalid_request", 28000},
		"an unknown app":          {onBehalfForm(user, "scope", "api://nobody/.default"), 400, "invalid_resource", 500011},
		"bad scope":               {onBehalfForm(user, "scope", `api://x"/.default`), 400, "invalid_scope", 70011},
		"bad claims parameter":    {onBehalfForm(user, "claims", "x"), 400, "invalid_request", 90013},
		"wrong secret":            {onBehalfForm(user, "client_secret", "x"), 401, "invalid_client", 7000215},
		"no JWT":                  {onBehalfForm("nonsense"), 400, "invalid_request", 50027},
		"asks for an extension":   {onBehalfForm(user2(devidp.MintRequest{Header: map[string]any{"crit": []string{"x"}}})), 400, "invalid_request", 50027},
		"doubled claims":          {onBehalfForm(user2(devidp.MintRequest{RawPayload: `{"aud":"a","aud":"b"}`})), 400, "invalid_request", 50027},
		"bad signature":           {onBehalfForm(user2(devidp.MintRequest{BadSignature: true})), 400, "invalid_grant", 50013},
		"unknown key":             {onBehalfForm(unknown), 400, "invalid_grant", 50013},
		"alg none":                {onBehalfForm(user2(devidp.MintRequest{Alg: "none"})), 400, "invalid_grant", 50013},
		"HS256":                   {onBehalfForm(user2(devidp.MintRequest{Alg: "HS256"})), 400, "invalid_grant", 50013},
		"PS256":                   {onBehalfForm(user2(devidp.MintRequest{Alg: "PS256"})), 400, "invalid_grant", 50013},
		"ES256":                   {onBehalfForm(user2(devidp.MintRequest{Alg: "ES256"})), 400, "invalid_grant", 50013},
		"key of another issuer":   {onBehalfForm(user2(devidp.MintRequest{Key: "tokenx"})), 400, "invalid_grant", 50013},
		"another issuer":          {onBehalfForm(user2(devidp.MintRequest{Claims: map[string]any{"iss": "https://login.microsoftonline.com/x/v2.0"}})), 400, "invalid_grant", 50013},
		"a token of TokenX":       {onBehalfForm(w.mint(devidp.MintRequest{Profile: devidp.MintTokenX})), 400, "invalid_grant", 50013},
		"a token for Graph":       {onBehalfForm(w.good(w.token(codeForm(w.login("kari", "scope", "openid"))))), 400, "invalid_grant", 50013},
		"an id token":             {onBehalfForm(login.text("id_token")), 400, "invalid_grant", 50013},
		"nobody in it":            {onBehalfForm(user2(devidp.MintRequest{Claims: map[string]any{"oid": nil}})), 400, "invalid_grant", 50013},
		"for another app":         {onBehalfForm(user2(devidp.MintRequest{Claims: map[string]any{"aud": apiID}})), 400, "invalid_grant", 500131},
		"aud is a list":           {onBehalfForm(user2(devidp.MintRequest{Claims: map[string]any{"aud": []string{clientID}}})), 400, "invalid_grant", 500131},
		"presented by another":    {onBehalfForm(user, "client_id", otherID, "client_secret", secret+"2"), 400, "invalid_grant", 500131},
		"expired":                 {onBehalfForm(user2(devidp.MintRequest{ExpIn: new(0)})), 400, "invalid_grant", 500133},
		"no exp":                  {onBehalfForm(user2(devidp.MintRequest{Claims: map[string]any{"exp": nil}})), 400, "invalid_grant", 500133},
		"not valid yet":           {onBehalfForm(user2(devidp.MintRequest{NbfIn: new(30)})), 400, "invalid_grant", 500133},
		"an app's token":          {onBehalfForm(w.good(w.token(appForm("scope", clientID+"/.default")))), 400, "invalid_grant", 7000114},
		"consent missing":         {onBehalfForm(user, toOther...), 400, "invalid_grant", 65001},
		"an unknown permission":   {onBehalfForm(user, "scope", apiID+"/orders.write"), 400, "invalid_grant", 65001},
		"who is assigned nowhere": {onBehalfForm(user2(devidp.MintRequest{Persona: "dag"})), 400, "invalid_grant", 50105},
	} {
		a := w.token(c.form)
		if a.status != c.status || a.text("error") != c.code || a.code() != c.aadsts {
			t.Errorf("%s: %d %s %d, want %d %s %d", name, a.status, a.text("error"), a.code(), c.status, c.code, c.aadsts)
		}
		if want := map[bool]string{true: "consent_required"}[c.aadsts == 65001]; a.text("suberror") != want {
			t.Errorf("%s: suberror %q", name, a.text("suberror"))
		}
		if strings.Contains(a.text("error_description"), "nonsense") || a.text("trace_id") == "" {
			t.Errorf("%s: %v", name, a.body)
		}
	}
	w.good(w.token(onBehalfForm(user))) // by a key that has been rotated, and is still published
	w.idp.WithdrawKeys()
	if a := w.token(onBehalfForm(user)); a.code() != 50013 {
		t.Errorf("by a key that was withdrawn: %v", a.body)
	}
	w.pass(76 * time.Minute)
	must(t, w.idp.RotateKeys())
	if a := w.token(onBehalfForm(user2(devidp.MintRequest{IatIn: new(-5000), ExpIn: new(-1)}))); a.code() != 500133 {
		t.Errorf("later: %v", a.body)
	}
}

func TestOnBehalfOfTakesTheAppsOtherNames(t *testing.T) {
	t.Parallel()
	w := newApps(t)
	for _, aud := range []string{clientID, "api://" + clientID, "api://dev-gcp.team-a.app"} {
		w.good(w.token(onBehalfForm(w.mint(devidp.MintRequest{Profile: devidp.MintEntraUser, Claims: map[string]any{"aud": aud}}))))
	}
}

func TestAssignmentIsByGroup(t *testing.T) {
	t.Parallel()
	w := newApps(t, api(func(c *devidp.ClientConfig) {
		c.RequireAssignment, c.Groups = true, []string{devidp.GroupApprovers}
	}))
	for name, c := range map[string]struct {
		persona, claims string
		aadsts          int
	}{
		"a member":                    {"ola", "", 0},
		"member of another group":     {"kari", "", 50105},
		"member of none":              {"nils", "", 50105},
		"member by the login page":    {"kari", `{"groups":["` + devidp.GroupApprovers + `"]}`, 0},
		"no member by the login page": {"ola", `{"groups":[]}`, 50105},
	} {
		a := w.token(onBehalfForm(w.userToken(c.persona, c.claims)))
		if a.code() != c.aadsts || (c.aadsts != 0 && (a.status != http.StatusBadRequest || a.text("error") != "invalid_grant")) {
			t.Errorf("%s: %d %v", name, a.status, a.body)
		}
	}
}

// The same at the login of the app itself, also when somebody is signed in already.
func TestLoginOfAnAppThatRequiresAssignment(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *devidp.Config) {
		c.Clients[0].RequireAssignment, c.Clients[0].Groups = true, []string{devidp.GroupApprovers}
	})
	if got := w.choose(w.authorize(authorization()), "kari", ""); got.Get("error") != "access_denied" || !strings.Contains(got.Get("error_description"), "50105") {
		t.Errorf("kari: %v", got)
	}
	if got := w.sent(w.authorize(authorization("prompt", "none"))); got.Get("error") != "access_denied" {
		t.Errorf("kari again: %v", got)
	}
	got := w.verified(w.tokens("ola").text("access_token"))
	if list(got["groups"]) != devidp.GroupApprovers {
		t.Errorf("ola's groups %v", got["groups"])
	}
}

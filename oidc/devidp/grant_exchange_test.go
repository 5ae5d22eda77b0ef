package devidp_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/lestrrat-go/jwx/v2/jwa"

	"postern/oidc/devidp"
)

// citizenToken is an access token of ID-porten, as a login brings it.
func (w *world) citizenToken() string {
	w.Helper()
	return w.citizen("bjorn", "acr_values", devidp.LevelHigh).text("access_token")
}

func TestExchangeCopiesTheSubjectAndWritesOverIt(t *testing.T) {
	t.Parallel()
	w := newApps(t)
	subject := w.citizenToken()
	a := w.exchange(w.exchangeForm(subject, "scope", "a b", "resource", "ignored"))
	raw := w.good(a)
	now := float64(w.clock().Unix())
	want := lay(part(t, subject, 1), map[string]any{
		"iss": w.srv.URL + "/tokenx", "aud": apiName, "client_id": appName, "idp": w.srv.URL + "/idporten", "iat": now, "nbf": now, "exp": now + 900,
	})
	if want["pid"] != bjornsPID || want["acr"] != devidp.LevelHigh || want["consumer"] == nil {
		t.Fatalf("subject %v", want)
	}
	jti := want["jti"]
	delete(want, "jti")
	got := w.of(devidp.TokenX, raw)
	if got["jti"] == jti {
		t.Error("the subject's jti is in it")
	}
	if diff := cmp.Diff(want, dropped(t, got, "jti")); diff != "" {
		t.Errorf("claims:\n%s", diff)
	}
	if header := part(t, raw, 0); header["alg"] != "RS256" || header["typ"] != "JWT" || header["kid"] != w.idp.KeyIDs(devidp.TokenX)[0] {
		t.Errorf("header %v", header)
	}
	delete(a.body, "access_token")
	if diff := cmp.Diff(map[string]any{
		"issued_token_type": "urn:ietf:params:oauth:token-type:access_token", "token_type": "Bearer", "expires_in": 900.0, "scope": "a b",
	}, a.body); diff != "" {
		t.Errorf("answer:\n%s", diff)
	}
	if b := w.exchange(w.exchangeForm(subject)); b.body["scope"] != nil {
		t.Errorf("a scope that was not asked for: %v", b.body)
	}
}

func TestExchangeGoesOnAlongAChain(t *testing.T) {
	t.Parallel()
	w := newApps(t, func(c *devidp.Config) { c.Clients[1].TokenX.Inbound = []string{apiName, appName} })
	first := w.good(w.exchange(w.exchangeForm(w.citizenToken())))
	byAPI := sign(t, appKeys()[1], jwa.RS256, lay(part(t, w.tokenXAssertion(nil), 1), map[string]any{"iss": apiName, "sub": apiName}), "typ", "JWT")
	got := w.of(devidp.TokenX, w.good(w.exchange(w.exchangeForm(first, "client_assertion", byAPI, "audience", strangerName))))
	if got["idp"] != w.srv.URL+"/idporten" || got["client_id"] != apiName || got["aud"] != strangerName || got["pid"] != bjornsPID || got["act"] != nil {
		t.Errorf("after two hops: %v", got)
	}
	a := w.exchange(w.exchangeForm(first, "audience", strangerName))
	if a.text("error_description") != "invalid subject_token: audience does not match client_id="+appName {
		t.Errorf("a token that was made for another app: %d %v", a.status, a.body)
	}
}

func TestExchangeMapsLevelsIfSwitchedOn(t *testing.T) {
	t.Parallel()
	on := func(c *devidp.Config) { c.TokenXMapACR = true }
	for acr, want := range map[string]any{
		devidp.LevelHigh: "Level4", devidp.LevelSubstantial: "Level3", devidp.LevelLow: devidp.LevelLow, "Level4": "Level4", "odd": "odd",
	} {
		off, w := newApps(t), newApps(t, on)
		mint := devidp.MintRequest{Profile: devidp.MintIDPorten, Claims: map[string]any{"acr": acr}}
		if got := w.of(devidp.TokenX, w.good(w.exchange(w.exchangeForm(w.mint(mint)))))["acr"]; got != want {
			t.Errorf("%s becomes %v, not %v", acr, got, want)
		}
		if got := off.of(devidp.TokenX, off.good(off.exchange(off.exchangeForm(off.mint(mint)))))["acr"]; got != acr {
			t.Errorf("without the switch %s becomes %v", acr, got)
		}
	}
	w := newApps(t, on)
	list := devidp.MintRequest{Profile: devidp.MintIDPorten, Claims: map[string]any{"acr": []string{devidp.LevelHigh}}}
	if got := w.of(devidp.TokenX, w.good(w.exchange(w.exchangeForm(w.mint(list)))))["acr"]; len(got.([]any)) != 1 {
		t.Errorf("a list of levels: %v", got)
	}
}

func TestExchangedTokensLiveAsLongAsConfigured(t *testing.T) {
	t.Parallel()
	w := newApps(t, func(c *devidp.Config) { c.TokenXLifetime = 42 * time.Second })
	life := func(want float64) {
		t.Helper()
		a := w.exchange(w.exchangeForm(w.mint(devidp.MintRequest{Profile: devidp.MintIDPorten, ExpIn: new(5)})))
		got := w.of(devidp.TokenX, w.good(a))
		if a.body["expires_in"] != want || got["exp"].(float64)-got["iat"].(float64) != want {
			t.Errorf("expires_in %v of %v", a.body["expires_in"], got)
		}
	}
	life(42)
	w.idp.SetTokenLifetime(7*time.Second, devidp.TokenX)
	life(7)
	if a := w.token(appForm()); a.body["expires_in"] != 4500.0 {
		t.Errorf("Entra ID gives %v", a.body["expires_in"])
	}
	w.pass(500 * time.Millisecond)
	if a := w.exchange(w.exchangeForm(w.mint(devidp.MintRequest{Profile: devidp.MintIDPorten}))); a.body["expires_in"] != 6.0 {
		t.Errorf("expires_in %v, of less than 7 whole seconds", a.body["expires_in"])
	}
}

// Each check of TokenX, in its order: a request that fails one of them passes all before it.
func TestExchangeRefusals(t *testing.T) {
	t.Parallel()
	w := newApps(t)
	good := w.citizenToken()
	now := w.clock().Unix()
	form := func(changes ...string) url.Values { return w.exchangeForm(good, changes...) }
	assert := func(changes map[string]any, header ...string) url.Values {
		return form("client_assertion", w.tokenXAssertion(changes, header...))
	}
	subject := func(m devidp.MintRequest) url.Values {
		if m.Profile == "" {
			m.Profile = devidp.MintIDPorten
		}
		return w.exchangeForm(w.mint(m))
	}
	claims := part(t, w.tokenXAssertion(nil), 1)
	const verification = "token verification failed: "
	const invalid = "invalid subject_token: "
	noKey := "Signed+JWT+rejected%3A+Another+algorithm+expected%2C+or+no+matching+key%28s%29+found"
	audience := "JWT+aud+claim+has+value+%5B" + "x" + "%5D%2C+must+be+exactly+one+of+%5B" +
		url.QueryEscape(w.srv.URL+"/tokenx") + "+" + url.QueryEscape(w.srv.URL+"/tokenx/token") + "%5D"
	for name, c := range map[string]struct {
		form   url.Values
		status int
		code   string
		text   string
	}{
		"1 no client_assertion_type": {form("client_assertion_type", ""), 400, "invalid_request", "Parameter client_assertion_type missing"},
		"1 no client_assertion":      {form("client_assertion", ""), 400, "invalid_request", "Parameter client_assertion missing"},
		"2 another type":             {form("client_assertion_type", "x"), 401, "invalid_client", "Client authentication failed: invalid client_assertion_type"},
		"3 no JWT":                   {form("client_assertion", "a.b.c"), 400, "invalid_request", "invalid request, cannot parse token"},
		"4 no sub":                   {assert(map[string]any{"sub": nil}), 401, "invalid_client", "Client authentication failed: sub must be present in assertion"},
		"4 before 5":                 {with(assert(map[string]any{"sub": nil}), "audience", ""), 401, "invalid_client", "Client authentication failed: sub must be present in assertion"},
		"5 no audience":              {form("audience", ""), 400, "invalid_request", "Parameter audience missing"},
		"5 before 6":                 {with(assert(map[string]any{"sub": "x"}), "audience", ""), 400, "invalid_request", "Parameter audience missing"},
		"6 not registered":           {assert(map[string]any{"iss": "a:b:c", "sub": "a:b:c"}), 401, "invalid_client", "invalid client authentication for client_id=a:b:c, client not registered."},
		"6 by its id at Entra ID":    {assert(map[string]any{"iss": clientID, "sub": clientID}), 401, "invalid_client", "invalid client authentication for client_id=" + clientID + ", client not registered."},
		"7 another's key":            {form("client_assertion", sign(t, appKeys()[1], jwa.RS256, claims, "typ", "JWT")), 400, "invalid_request", verification + "Signed+JWT+rejected%3A+Invalid+signature"},
		"7 unknown kid":              {form("client_assertion", sign(t, named(t, appKeys()[0], "other"), jwa.RS256, claims, "typ", "JWT")), 400, "invalid_request", verification + noKey},
		"7 another algorithm":        {form("client_assertion", sign(t, appKeys()[0], jwa.RS384, claims, "typ", "JWT")), 400, "invalid_request", verification + noKey},
		"7 ES256":                    {form("client_assertion", sign(t, newKey(t, "app-key", jwa.ES256), jwa.ES256, claims, "typ", "JWT")), 400, "invalid_request", verification + noKey},
		"7 asks for an extension":    {form("client_assertion", critical(t, claims)), 400, "invalid_request", verification + noKey},
		"7 alg none":                 {form("client_assertion", "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0."+strings.Split(w.tokenXAssertion(nil), ".")[1]+"."), 400, "invalid_request", verification + noKey},
		"7 strange typ":              {assert(nil, "typ", "at+jwt"), 400, "invalid_request", verification + "JOSE+header+typ+%28type%29+at%2Bjwt+not+allowed"},
		"7 no typ":                   {form("client_assertion", sign(t, appKeys()[0], jwa.RS256, claims)), 400, "invalid_request", verification + "Required+JOSE+header+typ+%28type%29+parameter+is+missing"},
		"7 no claims":                {assert(map[string]any{"jti": nil, "nbf": nil}), 400, "invalid_request", verification + "JWT+missing+required+claims%3A+%5Bjti%2C+nbf%5D"},
		"7 another iss":              {assert(map[string]any{"iss": apiName}), 400, "invalid_request", verification + "JWT+iss+claim+has+value+dev-gcp%3Ateam-c%3Aapi%2C+must+be+dev-gcp%3Ateam-a%3Aapp"},
		"7 expired":                  {assert(map[string]any{"exp": now - 60}), 400, "invalid_request", verification + "Expired+JWT"},
		"7 before use time":          {assert(map[string]any{"nbf": now + 61}), 400, "invalid_request", verification + "JWT+before+use+time"},
		"7 from the future":          {assert(map[string]any{"iat": now + 61}), 400, "invalid_request", verification + "JWT+issue+time+is+in+the+future"},
		"7 exp is a text":            {assert(map[string]any{"exp": "2999"}), 400, "invalid_request", verification + "Unexpected+type+of+exp+claim"},
		"7 another aud":              {assert(map[string]any{"aud": "x"}), 400, "invalid_request", verification + audience},
		"7 two audiences":            {assert(map[string]any{"aud": []string{"a", "b"}}), 400, "invalid_request", verification + strings.Replace(audience, "x", "a+b", 1)},
		"7 wins over 8":              {assert(map[string]any{"aud": "x", "exp": now + 999}), 400, "invalid_request", verification + audience},
		"8 valid too long":           {assert(map[string]any{"exp": now + 121}), 401, "invalid_client", "invalid client authentication for client_id=" + appName + ", client assertion exceeded max lifetime (120s)."},
		"8 before 9":                 {with(assert(map[string]any{"exp": now + 121}), "grant_type", "x"), 401, "invalid_client", "invalid client authentication for client_id=" + appName + ", client assertion exceeded max lifetime (120s)."},
		"9 another grant":            {form("grant_type", "client_credentials"), 403, "access_denied", "could not find authorizer for grant_type=client_credentials"},
		"9 before 10":                {form("grant_type", "x", "subject_token_type", ""), 403, "access_denied", "could not find authorizer for grant_type=x"},
		"10 another token type":      {form("subject_token_type", "urn:ietf:params:oauth:token-type:access_token"), 400, "invalid_request", "Parameter subject_token_type must be urn:ietf:params:oauth:token-type:jwt"},
		"11 no subject_token":        {form("subject_token", ""), 400, "invalid_request", "Parameter subject_token missing"},
		"11 before 12":               {form("subject_token", "", "audience", "x"), 400, "invalid_request", "Parameter subject_token missing"},
		"12 unknown audience":        {form("audience", "dev-gcp:team-c:nobody"), 400, "invalid_request", "token exchange audience dev-gcp:team-c:nobody is invalid"},
		"12 audience by another id":  {form("audience", apiID), 400, "invalid_request", "token exchange audience " + apiID + " is invalid"},
		"13 not in the inbound list": {form("audience", strangerName), 400, "invalid_request", "client '" + appName + "' is not authorized to get token with aud=" + strangerName},
		"13 not even itself":         {form("audience", appName), 400, "invalid_request", "client '" + appName + "' is not authorized to get token with aud=" + appName},
		"13 before 14":               {form("audience", appName, "subject_token", "x"), 400, "invalid_request", "client '" + appName + "' is not authorized to get token with aud=" + appName},
		"14 no JWT":                  {form("subject_token", "nonsense"), 400, "invalid_request", invalid + "invalid request, cannot parse token"},
		"15 another issuer":          {subject(devidp.MintRequest{Claims: map[string]any{"iss": "https://x"}}), 400, "invalid_request", invalid + "invalid request, cannot validate token from issuer=https://x"},
		"15 no issuer":               {subject(devidp.MintRequest{Claims: map[string]any{"iss": nil}}), 400, "invalid_request", invalid + "invalid request, cannot validate token from issuer="},
		"15 Entra ID":                {subject(devidp.MintRequest{Profile: devidp.MintEntraUser}), 400, "invalid_request", invalid + "invalid request, cannot validate token from issuer=" + w.issuer()},
		"16 expired":                 {subject(devidp.MintRequest{ExpIn: new(-60)}), 400, "invalid_request", invalid + verification + "Expired+JWT"},
		"16 before use time":         {subject(devidp.MintRequest{NbfIn: new(61)}), 400, "invalid_request", invalid + verification + "JWT+before+use+time"},
		"16 no exp and iat":          {subject(devidp.MintRequest{Claims: map[string]any{"exp": nil, "iat": nil}}), 400, "invalid_request", invalid + verification + "JWT+missing+required+claims%3A+%5Bexp%2C+iat%5D"},
		"16 bad signature":           {subject(devidp.MintRequest{BadSignature: true}), 400, "invalid_request", invalid + verification + "Signed+JWT+rejected%3A+Invalid+signature"},
		"16 unknown key":             {subject(devidp.MintRequest{Key: "unknown"}), 400, "invalid_request", invalid + verification + noKey},
		"16 TokenX's own key":        {subject(devidp.MintRequest{Key: "tokenx"}), 400, "invalid_request", invalid + verification + noKey},
		"16 PS256":                   {subject(devidp.MintRequest{Alg: "PS256"}), 400, "invalid_request", invalid + verification + noKey},
		"16 alg none":                {subject(devidp.MintRequest{Alg: "none"}), 400, "invalid_request", invalid + verification + noKey},
		"16 strange typ":             {subject(devidp.MintRequest{Header: map[string]any{"typ": "at+jwt"}}), 400, "invalid_request", invalid + verification + "JOSE+header+typ+%28type%29+at%2Bjwt+not+allowed"},
		"16 before 17":               {subject(devidp.MintRequest{Profile: devidp.MintTokenX, Claims: map[string]any{"aud": apiName}, ExpIn: new(-60)}), 400, "invalid_request", invalid + verification + "Expired+JWT"},
		"17 made for another app":    {subject(devidp.MintRequest{Profile: devidp.MintTokenX, Claims: map[string]any{"aud": apiName}}), 400, "invalid_request", invalid + "audience does not match client_id=" + appName},
	} {
		a := w.exchange(c.form)
		if a.status != c.status || a.text("error") != c.code || a.text("error_description") != c.text {
			t.Errorf("%s: %d %s %q, want %d %s %q", name, a.status, a.text("error"), a.text("error_description"), c.status, c.code, c.text)
		}
		if len(a.body) != 2 || a.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %v %v", name, a.header, a.body)
		}
	}
	for name, form := range map[string]url.Values{
		"assertion for the endpoint":   assert(map[string]any{"aud": w.srv.URL + "/tokenx/token"}),
		"its aud is a list of one":     assert(map[string]any{"aud": []string{w.srv.URL + "/tokenx"}}),
		"no kid":                       form("client_assertion", sign(t, named(t, appKeys()[0], ""), jwa.RS256, claims, "typ", "JWT")),
		"clocks that differ":           assert(map[string]any{"exp": now - 59, "nbf": now + 60, "iat": now + 60}),
		"as long as allowed":           assert(map[string]any{"exp": now + 120}),
		"subject that has just gone":   subject(devidp.MintRequest{ExpIn: new(-59)}),
		"one among several audiences":  subject(devidp.MintRequest{Profile: devidp.MintTokenX, Claims: map[string]any{"aud": []string{apiName, appName}}}),
		"somebody else's login client": subject(devidp.MintRequest{Claims: map[string]any{"client_id": "x", "aud": "y"}}),
	} {
		if a := w.exchange(form); a.status != 200 {
			t.Errorf("%s: %d %v", name, a.status, a.body)
		}
	}
}

// critical is an assertion that asks its reader for something that nobody knows (RFC 7515 §4.1.11).
func critical(t *testing.T, claims map[string]any) string {
	t.Helper()
	_, payload, signature := split3(sign(t, appKeys()[0], jwa.RS256, claims))
	return "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCIsImNyaXQiOlsieCJdfQ." + payload + "." + signature
}

// The real one takes an assertion twice. A client that does that is found out here, unless lenience was asked for.
func TestExchangeTakesAnAssertionOnceUnlessLenient(t *testing.T) {
	t.Parallel()
	for lenient, want := range map[bool]int{false: 401, true: 200} {
		w := newApps(t, func(c *devidp.Config) { c.TokenXLenient = lenient })
		form := w.exchangeForm(w.citizenToken())
		w.good(w.exchange(form))
		a := w.exchange(form)
		if a.status != want || (!lenient && a.text("error_description") != "invalid client authentication for client_id="+appName+", client assertion was used before.") {
			t.Errorf("lenient %v: %d %v", lenient, a.status, a.body)
		}
		claims := part(t, w.tokenXAssertion(nil), 1)
		untyped := w.exchange(w.exchangeForm(w.citizenToken(), "client_assertion", sign(t, appKeys()[0], jwa.RS256, claims)))
		if (untyped.status == 200) != lenient {
			t.Errorf("lenient %v, no typ: %d %v", lenient, untyped.status, untyped.body)
		}
	}
}

func TestExchangeTrustsPublishedKeysAlone(t *testing.T) {
	t.Parallel()
	w := newApps(t)
	old := w.citizenToken()
	must(t, w.idp.RotateKeys(devidp.IDPorten))
	w.good(w.exchange(w.exchangeForm(old)))
	w.idp.WithdrawKeys(devidp.IDPorten)
	if a := w.exchange(w.exchangeForm(old)); a.status != 400 || !strings.Contains(a.text("error_description"), "no+matching+key") {
		t.Errorf("by a key that was withdrawn: %d %v", a.status, a.body)
	}
}

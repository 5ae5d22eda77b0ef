package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What Texas' own tests ask of it, in both content types: the same token for the same question, another one for another, a new one on demand, and
// each of them good for whom it is for.
func TestTexasGivesTokensInBothContentTypes(t *testing.T) {
	t.Parallel()
	x := newTexas(t, nil)
	type flow struct {
		provider, path   string
		target, other    string
		user, anotherOne string
	}
	for name, f := range map[string]flow{
		"Entra ID, machine":      {"entra_id", tokenPath, "api://dev-gcp.team-b.orders/.default", "api://dev-gcp.team-b.stock/.default", "", ""},
		"by its older name":      {"azuread", tokenPath, ordersName, stockName, "", ""},
		"Maskinporten":           {"maskinporten", tokenPath, "nav:team/orders.read", "nav:team/stock.read", "", ""},
		"Entra ID, on behalf of": {"azuread", exchangePath, ordersName, stockName, x.entraUser("kari"), x.entraUser("kari")},
		"TokenX":                 {"tokenx", exchangePath, ordersName, stockName, x.citizen("gunnar"), x.citizen("gunnar")},
	} {
		for kind, ask := range map[string]func(target, user string, skip bool) *Response{
			"JSON": func(target, user string, skip bool) *Response {
				body := map[string]any{"identity_provider": f.provider, "target": target, "skip_cache": skip}
				if user != "" {
					body["user_token"] = user
				}
				return x.ask(f.path, body)
			},
			"form": func(target, user string, skip bool) *Response {
				form := url.Values{"identity_provider": {f.provider}, "target": {target}, "skip_cache": {fmt.Sprint(skip)}}
				if user != "" {
					form.Set("user_token", user)
				}
				return x.askForm(f.path, form)
			},
		} {
			t.Run(name+", "+kind, func(t *testing.T) { //nolint:paralleltest // several ask for the same tokens, and each wants them anew in the end
				first := token(t, ask(f.target, f.user, false))
				if second := token(t, ask(f.target, f.user, false)); second.Access != first.Access {
					t.Error("the same question brings another token")
				}
				if other := token(t, ask(f.other, f.user, false)); other.Access == first.Access {
					t.Error("another target brings the same token")
				}
				renewed := token(t, ask(f.target, f.user, true))
				if renewed.Access == first.Access {
					t.Error("skip_cache brings the same token")
				}
				if f.user != "" {
					other := token(t, ask(f.target, f.anotherOne, false))
					if other.Access == first.Access || claims(t, other.Access)["sub"] != claims(t, first.Access)["sub"] {
						t.Error("another token of the same user brings the same token, or one of somebody else")
					}
				}
			})
		}
	}
}

// The app itself can look into what it was sent.
func TestTexasIntrospectsTokensOfEachProvider(t *testing.T) {
	t.Parallel()
	x := newTexas(t, nil)
	for provider, raw := range map[string]string{
		"entra_id":     x.entraUser("kari"),
		"azuread":      x.dev.Mint(t, map[string]any{"profile": "entra-app", "claims": map[string]any{"aud": ownClientID, "big": json.Number("9007199254740993")}}),
		"tokenx":       x.dev.Mint(t, map[string]any{"profile": "tokenx"}),
		"maskinporten": x.dev.Mint(t, map[string]any{"profile": "maskinporten"}),
		"idporten":     x.citizen("gunnar"),
	} {
		want := claims(t, raw)
		want["active"] = true
		for range 2 { // the second time it is known
			if diff := cmp.Diff(want, x.introspect(provider, raw)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", provider, diff)
			}
		}
	}
	r := x.ask(introspectPath, map[string]any{"identity_provider": "azuread", "token": x.dev.Mint(t, map[string]any{
		"profile": "entra-app", "raw_payload": `{"iss":"` + x.dev.Issuer + `","aud":"` + ownClientID + `","iat":1,"exp":99999999999,"big":9007199254740993,"active":false,"error":"x"}`,
	})})
	if !strings.Contains(r.Body, `"big":9007199254740993`) || strings.Count(r.Body, `"active"`) != 1 || strings.Contains(r.Body, `"error"`) {
		t.Errorf("numbers are rounded, or the token's members stand beside ours: %s", r.Body)
	}
}

// Texas' words for tokens that are not active (reference: its tests), and S-45.
func TestTexasSaysWhyATokenIsNotActive(t *testing.T) {
	t.Parallel()
	x := newTexas(t, nil)
	mint := func(profile string, request map[string]any, claims map[string]any) string {
		m := map[string]any{"profile": profile, "claims": claims}
		for name, value := range request {
			m[name] = value
		}
		return x.dev.Mint(t, m)
	}
	exp := func(seconds int) map[string]any { return map[string]any{"exp_in": seconds} }
	for name, tc := range map[string]struct{ provider, raw, want string }{
		"not a token":      {"tokenx", "not a jwt", "invalid token header: InvalidToken"},
		"empty":            {"tokenx", "", "invalid token header: InvalidToken"},
		"no key id":        {"tokenx", mint("tokenx", map[string]any{"header": map[string]any{"kid": nil}}, nil), "missing key id from token header"},
		"another provider": {"maskinporten", mint("tokenx", nil, nil), "token can not be validated with this identity provider"},
		"signature":        {"tokenx", mint("tokenx", map[string]any{"bad_signature": true}, nil), "invalid token: InvalidSignature"},
		"expired":          {"tokenx", mint("tokenx", exp(-120), nil), "invalid token: ExpiredSignature"},
		"not yet":          {"tokenx", mint("tokenx", map[string]any{"nbf_in": 120}, nil), "invalid token: ImmatureSignature"},
		"from the future":  {"tokenx", mint("tokenx", map[string]any{"iat_in": 120}, nil), "invalid token: ImmatureSignature"},
		"another issuer":   {"tokenx", mint("tokenx", nil, map[string]any{"iss": "https://other.example"}), "invalid token: InvalidIssuer"},
		"another audience": {"tokenx", mint("tokenx", nil, map[string]any{"aud": "dev-gcp:team-b:orders"}), "invalid token: InvalidAudience"},
		"no issuer":        {"tokenx", mint("tokenx", nil, map[string]any{"iss": nil}), "invalid token: Missing required claim: iss"},
		"no iat":           {"tokenx", mint("tokenx", nil, map[string]any{"iat": nil}), "invalid token: Missing required claim: iat"},
		"within leeway":    {"tokenx", mint("tokenx", exp(-50), nil), ""},
		"S-45, id token":   {"entra_id", mint("entra-id-token", nil, map[string]any{"aud": ownClientID}), "id token"},
	} {
		got := x.introspect(tc.provider, tc.raw)
		if tc.want == "" {
			if got["active"] != true {
				t.Errorf("%s: %v", name, got)
			}
			continue
		}
		if says, _ := got["error"].(string); got["active"] != false || len(got) != 2 || !strings.Contains(says, tc.want) {
			t.Errorf("%s: %v, want %q", name, got, tc.want)
		}
	}
}

// Maskinporten's further parameters arrive in the token.
func TestTexasPassesOnWhatMaskinportenIsAsked(t *testing.T) {
	t.Parallel()
	x := newTexas(t, nil)
	details := []any{map[string]any{"type": "urn:altinn:systemuser", "systemuser_org": map[string]any{"ID": "0192:314159268"}}}
	encoded, err := json.Marshal(details)
	if err != nil {
		t.Fatal(err)
	}
	base := func(more map[string]any) map[string]any {
		body := map[string]any{"identity_provider": "maskinporten", "target": "nav:team/orders.read", "resource": "https://api.example"}
		for name, value := range more {
			body[name] = value
		}
		return body
	}
	for name, r := range map[string]*Response{
		"JSON list": x.ask(tokenPath, base(map[string]any{"authorization_details": details})),
		"JSON text": x.ask(tokenPath, base(map[string]any{"authorization_details": string(encoded)})),
		"form": x.askForm(tokenPath, url.Values{
			"identity_provider": {"maskinporten"}, "target": {"nav:team/orders.read"}, "resource": {"https://api.example"}, "authorization_details": {string(encoded)},
		}),
	} {
		got := claims(t, token(t, r).Access)
		if diff := cmp.Diff(details, got["authorization_details"]); diff != "" || got["aud"] != "https://api.example" || got["scope"] != "nav:team/orders.read" {
			t.Errorf("%s: %v\n%s", name, got, diff)
		}
	}
	for _, refused := range []any{map[string]any{"type": "x"}, 1, true, "x", `[{"type"`, []any{"x"}} {
		noToken(t, x.ask(tokenPath, base(map[string]any{"authorization_details": refused})), http.StatusBadRequest, "invalid_request", "Failed to")
	}
}

func TestTexasRefusesInItsOwnWords(t *testing.T) {
	t.Parallel()
	x := newTexas(t, nil)
	const unknown = "identity_provider: unknown variant `invalid`, expected one of `azuread`, `entra_id`, `tokenx`, `maskinporten`, `idporten`"
	noToken(t, x.ask(tokenPath, map[string]any{"identity_provider": "invalid", "target": "t"}), 400, "invalid_request",
		"Failed to deserialize the JSON body into the target type: "+unknown+" at line 1 column 30")
	noToken(t, x.askForm(tokenPath, url.Values{"identity_provider": {"invalid"}, "target": {"t"}}), 400, "invalid_request", "Failed to deserialize form body: "+unknown)
	noToken(t, NewClient(t).Send("POST", x.api+tokenPath, "{}", "Content-Type", "text/plain"), 400, "invalid_request",
		"unsupported media type: text/plain: expected one of `application/json`, `application/x-www-form-urlencoded`")
	for _, raw := range []string{`{"target":"t"} x`, `{"identity_provider":"azuread","identity_provider":"azuread","target":"t"}`, `{"identity_provider":"azuread","Target":"t"}`, `[]`, ``} {
		noToken(t, NewClient(t).Send("POST", x.api+tokenPath, raw, "Content-Type", "application/json"), 400, "invalid_request", "Failed to")
	}
	noToken(t, x.ask(tokenPath, map[string]any{"identity_provider": "idporten", "target": "t"}), 400, "invalid_request", "identity provider 'idporten' does not support token requests")
	noToken(t, x.ask(tokenPath, map[string]any{"identity_provider": "tokenx", "target": "t"}), 400, "invalid_request", "identity provider 'tokenx' does not support token requests")
	for _, provider := range []string{"idporten", "maskinporten"} {
		noToken(t, x.ask(exchangePath, map[string]any{"identity_provider": provider, "target": "t", "user_token": "u"}), 400, "invalid_request",
			"identity provider '"+provider+"' does not support token exchange")
	}
	for _, method := range []string{"GET", "PUT", "DELETE"} {
		if r := NewClient(t).Send(method, x.api+tokenPath, ""); r.StatusCode != 405 || r.Body != "" {
			t.Errorf("%s: %d %q", method, r.StatusCode, r.Body)
		}
	}
	if r := NewClient(t).Get(x.api + "/other"); r.StatusCode != 404 || r.Body != "" {
		t.Errorf("another path: %d %q", r.StatusCode, r.Body)
	}
	if r := NewClient(t).Get("http://" + x.ProbeAddr + "/healthz"); r.StatusCode != 200 || r.Body != "ok" {
		t.Errorf("probe: %d %q", r.StatusCode, r.Body)
	}
}

func TestTexasWithoutAProviderSaysSo(t *testing.T) {
	t.Parallel()
	all := []string{"entra_id", "tokenx", "maskinporten", "idporten"}
	off := map[string]string{"AZURE_ENABLED": "false", "TOKEN_X_ENABLED": "false", "MASKINPORTEN_ENABLED": "false", "IDPORTEN_ENABLED": "false"}
	for on, keeps := range map[string]string{"IDPORTEN_ENABLED": "idporten", "TOKEN_X_ENABLED": "tokenx"} {
		env := map[string]string{}
		for name, value := range off {
			env[name] = value
		}
		env[on] = "true"
		x := newTexas(t, env)
		for _, provider := range all {
			if provider == keeps {
				continue
			}
			says := "identity provider '" + provider + "' is not enabled"
			noToken(t, x.ask(tokenPath, map[string]any{"identity_provider": provider, "target": "t"}), 400, "invalid_request", says)
			noToken(t, x.ask(exchangePath, map[string]any{"identity_provider": provider, "target": "t", "user_token": "u"}), 400, "invalid_request", says)
			if diff := cmp.Diff(map[string]any{"active": false, "error": says}, x.introspect(provider, "t")); diff != "" {
				t.Error(diff)
			}
		}
	}
}

// What is missing is said in Texas' words, and metadata may be of either kind or not needed.
func TestTexasConfiguration(t *testing.T) {
	t.Parallel()
	for variable, says := range map[string]string{
		"AZURE_APP_WELL_KNOWN_URL":    "missing configuration for provider 'entra_id': set AZURE_APP_WELL_KNOWN_URL or AZURE_OPENID_CONFIG_ISSUER",
		"TOKEN_X_WELL_KNOWN_URL":      "missing configuration for provider 'tokenx': set TOKEN_X_WELL_KNOWN_URL or TOKEN_X_ISSUER",
		"MASKINPORTEN_WELL_KNOWN_URL": "missing configuration for provider 'maskinporten': set MASKINPORTEN_WELL_KNOWN_URL or MASKINPORTEN_ISSUER",
		"IDPORTEN_WELL_KNOWN_URL":     "missing configuration for provider 'idporten': set IDPORTEN_WELL_KNOWN_URL or IDPORTEN_ISSUER",
		"AZURE_APP_JWK":               "missing required environment variable 'AZURE_APP_JWK'",
		"TOKEN_X_CLIENT_ID":           "missing required environment variable 'TOKEN_X_CLIENT_ID'",
	} {
		x := prepareTexas(t, map[string]string{variable: ""})
		p := LaunchWith(t, x.env)
		if code := p.Wait(t); code != 2 || !strings.Contains(p.Log.Text(), says) {
			t.Errorf("without %s: exit %d\n%s", variable, code, p.Log.Text())
		}
	}
	x := prepareTexas(t, map[string]string{"IDPORTEN_WELL_KNOWN_URL": "", "TOKEN_X_WELL_KNOWN_URL": ""})
	x.env["IDPORTEN_ISSUER"], x.env["IDPORTEN_JWKS_URI"] = x.dev.IDPortenIssuer(), x.dev.IDPortenIssuer()+"/jwks" // no token endpoint
	x.env["TOKEN_X_ISSUER"], x.env["TOKEN_X_JWKS_URI"], x.env["TOKEN_X_TOKEN_ENDPOINT"] = x.dev.TokenXIssuer(), x.dev.TokenXIssuer()+"/jwks", x.dev.TokenXIssuer()+"/token"
	x.env["TOKEN_X_WELL_KNOWN_URL"] = "http://127.0.0.1:1/.well-known/oauth-authorization-server" // nothing is missing, so nobody asks there
	x.start(t)
	if got := x.introspect("idporten", x.citizen("gunnar")); got["active"] != true {
		t.Errorf("ID-porten without a token endpoint: %v", got)
	}
	token(t, x.ask(exchangePath, map[string]any{"identity_provider": "tokenx", "target": ordersName, "user_token": x.citizen("gunnar")}))
}

func TestATexasHasNoOtherListeners(t *testing.T) {
	t.Parallel()
	x := newTexas(t, nil)
	if log := x.Log.Text(); !strings.Contains(log, "there is no front door") {
		t.Errorf("the start does not say who reaches what:\n%s", log)
	}
	if r, err := NewClient(t).Try("GET", x.api+"/metrics", ""); err != nil || r.StatusCode != 404 {
		t.Errorf("%v, %v", r, err)
	}
}

// Everybody who asks the same at once gets one token, which one call has brought.
func TestManyWhoAskAtOnceAreServedByOneCall(t *testing.T) {
	t.Parallel()
	x := newTexas(t, nil)
	x.dev.Dev(t, "faults", map[string]any{"issuer": "tokenx", "endpoint": "token", "latency_ms": 300, "times": 1})
	user := x.citizen("gunnar")
	tokens := make([]string, 20)
	var all sync.WaitGroup
	for i := range tokens {
		all.Go(func() {
			tokens[i] = token(t, x.ask(exchangePath, map[string]any{"identity_provider": "tokenx", "target": ordersName, "user_token": user})).Access
		})
	}
	all.Wait()
	for _, one := range tokens {
		if one != tokens[0] {
			t.Fatal("two callers got different tokens")
		}
	}
	if n := x.dev.Counts(t)["tokenx/token"]; n != 1 {
		t.Errorf("%d calls", n)
	}
}

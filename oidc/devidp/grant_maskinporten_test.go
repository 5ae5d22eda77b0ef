package devidp_test

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/lestrrat-go/jwx/v2/jwa"

	"postern/oidc/devidp"
)

func organisation(number string) map[string]any {
	return map[string]any{"authority": "iso6523-actorid-upis", "ID": "0192:" + number}
}

func TestMaskinportenTokenSaysWhatARealOneDoes(t *testing.T) {
	t.Parallel()
	w := newApps(t)
	a := w.maskinporten(w.grantOf(map[string]any{"scope": "nav:test/read  nav:test/write"}))
	now := float64(w.clock().Unix())
	if diff := cmp.Diff(map[string]any{
		"iss": w.srv.URL + "/maskinporten/", "aud": "unspecified", "iat": now, "exp": now + 120, "client_id": maskinportner,
		"client_amr": "private_key_jwt", "consumer": consumer(), "scope": "nav:test/read nav:test/write", "token_type": "Bearer",
	}, dropped(t, w.of(devidp.Maskinporten, w.good(a)), "jti")); diff != "" {
		t.Errorf("claims:\n%s", diff)
	}
	delete(a.body, "access_token")
	if diff := cmp.Diff(map[string]any{"token_type": "Bearer", "expires_in": 120.0, "scope": "nav:test/read nav:test/write"}, a.body); diff != "" {
		t.Errorf("answer:\n%s", diff)
	}
}

func TestMaskinportenTokenCarriesWhatTheGrantAsksFor(t *testing.T) {
	t.Parallel()
	w := newApps(t)
	details := []any{map[string]any{"type": devidp.SystemUser, "systemuser_org": organisation("123456789")}}
	for name, c := range map[string]struct{ grant, want map[string]any }{
		"resource as a text":    {map[string]any{"resource": "https://api.example"}, map[string]any{"aud": "https://api.example"}},
		"resource as a list":    {map[string]any{"resource": []string{"https://api.example"}}, map[string]any{"aud": "https://api.example"}},
		"two resources":         {map[string]any{"resource": []string{"a", "b"}}, map[string]any{"aud": []any{"a", "b"}}},
		"authorization_details": {map[string]any{"authorization_details": details}, map[string]any{"authorization_details": details}},
		"no details":            {map[string]any{"authorization_details": []any{}}, map[string]any{"authorization_details": []any{}}},
		"on behalf of another": {map[string]any{"consumer_org": "987654321"}, map[string]any{
			"consumer": organisation("987654321"), "supplier": consumer(), "delegation_source": devidp.DefaultDelegationSource,
		}},
		"for itself": {nil, map[string]any{"supplier": nil, "delegation_source": nil, "sub": nil, "nbf": nil}},
	} {
		got := w.of(devidp.Maskinporten, w.good(w.maskinporten(w.grantOf(c.grant))))
		for claim, want := range c.want {
			if diff := cmp.Diff(want, got[claim]); diff != "" {
				t.Errorf("%s: %s:\n%s", name, claim, diff)
			}
		}
	}
}

func TestMaskinportenTokensLiveAsLongAsTheirScopes(t *testing.T) {
	t.Parallel()
	w := newApps(t, func(c *devidp.Config) {
		c.MaskinportenLifetimes = map[string]time.Duration{"nav:test/write": 30 * time.Second}
	})
	life := func(scope string) any {
		return w.maskinporten(w.grantOf(map[string]any{"scope": scope})).body["expires_in"]
	}
	if read, write, both := life("nav:test/read"), life("nav:test/write"), life("nav:test/read nav:test/write"); read != 120.0 || write != 30.0 || both != 30.0 {
		t.Errorf("lives %v, %v, %v", read, write, both)
	}
	w.idp.SetTokenLifetime(5*time.Second, devidp.Maskinporten)
	if read, write := life("nav:test/read"), life("nav:test/write"); read != 5.0 || write != 30.0 {
		t.Errorf("lives %v, %v", read, write)
	}
}

func TestMaskinportenTakesItsAlgorithmsAlone(t *testing.T) {
	t.Parallel()
	w := newApps(t)
	for alg, want := range map[jwa.SignatureAlgorithm]int{jwa.RS256: 200, jwa.RS384: 200, jwa.RS512: 200, jwa.PS256: 400} {
		claims := part(t, w.grantOf(nil), 1)
		if a := w.maskinporten(sign(t, appKeys()[0], alg, claims)); a.status != want || (want != 200 && !strings.HasPrefix(a.text("error_description"), "MP-124: ")) {
			t.Errorf("%s: %d %v", alg, a.status, a.body)
		}
	}
}

func TestMaskinportenRefusals(t *testing.T) {
	t.Parallel()
	w := newApps(t)
	now := w.clock().Unix()
	grant := func(claims map[string]any) func() string { return func() string { return w.grantOf(claims) } }
	text := func(raw string) func() string { return func() string { return raw } }
	good := part(t, w.grantOf(nil), 1)
	used := w.grantOf(nil)
	w.good(w.maskinporten(used))
	nameless := w.grantOf(map[string]any{"jti": nil})
	w.good(w.maskinporten(nameless))
	for name, c := range map[string]struct {
		grant func() string
		code  string
		mp    string
	}{
		"no JWT":                     {text("nonsense"), "invalid_request", "MP-011"},
		"no assertion":               {text(""), "invalid_request", "MP-011"},
		"no exp":                     {grant(map[string]any{"exp": nil}), "invalid_request", "MP-011"},
		"no iat":                     {grant(map[string]any{"iat": nil}), "invalid_request", "MP-011"},
		"exp is a text":              {grant(map[string]any{"exp": "x"}), "invalid_request", "MP-011"},
		"used before":                {text(used), "invalid_grant", "MP-012"},
		"used before, without a jti": {text(nameless), "invalid_grant", "MP-012"},
		"same jti":                   {grant(map[string]any{"jti": part(t, used, 1)["jti"], "exp": now + 50}), "invalid_grant", "MP-012"},
		"unknown client":             {grant(map[string]any{"iss": clientID}), "invalid_grant", "MP-100"},
		"no iss":                     {grant(map[string]any{"iss": nil}), "invalid_grant", "MP-100"},
		"aud without the slash":      {grant(map[string]any{"aud": w.srv.URL + "/maskinporten"}), "invalid_grant", "MP-110"},
		"aud is the endpoint":        {grant(map[string]any{"aud": w.srv.URL + "/maskinporten/token"}), "invalid_grant", "MP-110"},
		"aud is a list":              {grant(map[string]any{"aud": []string{w.srv.URL + "/maskinporten/"}}), "invalid_grant", "MP-110"},
		"no aud":                     {grant(map[string]any{"aud": nil}), "invalid_grant", "MP-110"},
		"another's key":              {text(sign(t, appKeys()[1], jwa.RS256, good)), "invalid_grant", "MP-124"},
		"unknown kid":                {text(sign(t, named(t, appKeys()[0], "x"), jwa.RS256, good)), "invalid_grant", "MP-124"},
		"no kid":                     {text(sign(t, named(t, appKeys()[0], ""), jwa.RS256, good)), "invalid_grant", "MP-124"},
		"expired":                    {grant(map[string]any{"exp": now}), "invalid_grant", "MP-130"},
		"valid too long":             {grant(map[string]any{"exp": now + 121}), "invalid_grant", "MP-130"},
		"issued in the future":       {grant(map[string]any{"iat": now + 11}), "invalid_grant", "MP-130"},
		"issued too long ago":        {grant(map[string]any{"iat": now - 11}), "invalid_grant", "MP-130"},
		"no scope":                   {grant(map[string]any{"scope": nil}), "invalid_scope", "MP-200"},
		"scope that is another's":    {grant(map[string]any{"scope": "nav:test/read skatt:x"}), "invalid_scope", "MP-200"},
		"scope that begins the same": {grant(map[string]any{"scope": "nav:test"}), "invalid_scope", "MP-200"},
		"nobody has delegated":       {grant(map[string]any{"consumer_org": "111111111"}), "invalid_scope", "MP-201"},
		"consumer is a number":       {grant(map[string]any{"consumer_org": 987654321}), "invalid_scope", "MP-201"},
		"resource is a number":       {grant(map[string]any{"resource": 7}), "invalid_request", "MP-011"},
		"resource is an empty list":  {grant(map[string]any{"resource": []string{}}), "invalid_request", "MP-011"},
		"details are an object":      {grant(map[string]any{"authorization_details": map[string]any{}}), "invalid_request", "MP-011"},
		"details hold a text":        {grant(map[string]any{"authorization_details": []string{"x"}}), "invalid_request", "MP-011"},
		"details of unknown type":    {grant(map[string]any{"authorization_details": []any{map[string]any{"type": "x"}}}), "invalid_authorization_details", "MP-301"},
		"details without a type":     {grant(map[string]any{"authorization_details": []any{map[string]any{}}}), "invalid_authorization_details", "MP-301"},
	} {
		a := w.maskinporten(c.grant())
		description := a.text("error_description")
		if a.status != 400 || a.text("error") != c.code || !strings.HasPrefix(description, c.mp+": ") {
			t.Errorf("%s: %d %s %q, want %s %s", name, a.status, a.text("error"), description, c.code, c.mp)
		}
		if !regexp.MustCompile(`\(trace_id: [0-9a-f]{32}\)$`).MatchString(description) || len(a.body) != 2 || strings.Contains(description, "nonsense") {
			t.Errorf("%s: %v", name, a.body)
		}
	}
	if a := w.maskinporten(w.grantOf(nil), "grant_type", ""); a.text("error") != "invalid_request" {
		t.Errorf("no grant_type: %v", a.body)
	}
	w.good(w.maskinporten(w.grantOf(map[string]any{"iat": now - 10, "exp": now + 110})))
}

func TestMaskinportenKeysExpire(t *testing.T) {
	t.Parallel()
	w := newApps(t, func(c *devidp.Config) { c.Clients[0].Maskinporten.KeysUntil = c.Now().Add(time.Minute) })
	w.good(w.maskinporten(w.grantOf(nil)))
	w.pass(time.Minute)
	if a := w.maskinporten(w.grantOf(nil)); a.text("error") != "invalid_grant" || !strings.HasPrefix(a.text("error_description"), "MP-121: ") {
		t.Errorf("a minute later: %v", a.body)
	}
}

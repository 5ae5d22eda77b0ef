package obo

import (
	"net/url"
	"testing"

	"github.com/google/go-cmp/cmp"

	"postern/oidc"
)

// Each provider gets these parameters and no others (Texas sends the same).
func TestEachGrantSendsExactlyItsParameters(t *testing.T) {
	t.Parallel()
	const assertion = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
	resource := "https://api.example"
	for name, tc := range map[string]struct {
		provider string
		use      use
		request  Request
		want     url.Values // the assertion is looked at below
		claims   map[string]any
	}{
		"Entra ID, the app itself": {oidc.EntraID, machine, Request{Target: "dev:team:app", Resource: &resource}, url.Values{
			"grant_type": {"client_credentials"}, "scope": {"api://dev.team.app/.default"}, "client_id": {"client-1"}, "client_assertion_type": {assertion},
		}, nil},
		"Entra ID, on behalf of": {oidc.EntraID, onBehalf, Request{Target: "https://graph.example/.default", UserToken: "u"}, url.Values{
			"grant_type": {"urn:ietf:params:oauth:grant-type:jwt-bearer"}, "scope": {"https://graph.example/.default"}, "client_id": {"client-1"},
			"client_assertion_type": {assertion}, "requested_token_use": {"on_behalf_of"}, "assertion": {"u"},
		}, nil},
		"TokenX": {oidc.TokenX, onBehalf, Request{Target: "dev:team:app", UserToken: "u"}, url.Values{
			"grant_type": {"urn:ietf:params:oauth:grant-type:token-exchange"}, "client_assertion_type": {assertion},
			"subject_token_type": {"urn:ietf:params:oauth:token-type:jwt"}, "subject_token": {"u"}, "audience": {"dev:team:app"},
		}, nil},
		"Maskinporten": {oidc.Maskinporten, machine, Request{Target: "a:b a:c"}, url.Values{
			"grant_type": {"urn:ietf:params:oauth:grant-type:jwt-bearer"},
		}, map[string]any{"scope": "a:b a:c"}},
		"Maskinporten with everything": {
			oidc.Maskinporten, machine,
			Request{Target: "a:b", Resource: &resource, AuthorizationDetails: []byte(`[{"type":"x","n":[1]}]`)},
			url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:jwt-bearer"}},
			map[string]any{
				"scope": "a:b", "resource": resource, "authorization_details": []any{map[string]any{"type": "x", "n": []any{float64(1)}}},
			},
		},
		"Maskinporten with no details": {oidc.Maskinporten, machine, Request{Target: "a:b", AuthorizationDetails: []byte(`[]`)}, url.Values{
			"grant_type": {"urn:ietf:params:oauth:grant-type:jwt-bearer"},
		}, map[string]any{"scope": "a:b", "authorization_details": []any{}}},
		"generic client credentials": {oidc.OpenID, machine, Request{Target: "orders.read orders.write"}, url.Values{
			"grant_type": {"client_credentials"}, "scope": {"orders.read orders.write"}, "client_id": {"client-1"}, "client_assertion_type": {assertion},
		}, nil},
		"generic client credentials for an address": {oidc.OpenID, machine, Request{Target: "https://api.example"}, url.Values{
			"grant_type": {"client_credentials"}, "resource": {"https://api.example"}, "client_id": {"client-1"}, "client_assertion_type": {assertion},
		}, nil},
		"generic exchange": {oidc.OpenID, onBehalf, Request{Target: "orders", UserToken: "u"}, url.Values{
			"grant_type": {"urn:ietf:params:oauth:grant-type:token-exchange"}, "client_id": {"client-1"}, "client_assertion_type": {assertion},
			"subject_token": {"u"}, "subject_token_type": {"urn:ietf:params:oauth:token-type:access_token"},
			"requested_token_type": {"urn:ietf:params:oauth:token-type:access_token"}, "audience": {"orders"},
		}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := &idp{name: tc.provider, answer: numbered(3600)}
			b := newTestBroker(t, Config{}, p)
			tc.request.Provider = tc.provider
			if _, err := b.get(t.Context(), tc.use, tc.request); err != nil {
				t.Fatal(err)
			}
			got := p.last()
			signed := "client_assertion"
			want := map[string]any{"iss": "client-1", "sub": "client-1"}
			if tc.claims != nil {
				signed, want = "assertion", tc.claims
				want["iss"] = "client-1"
			}
			claims := claimsOf(t, got.Get(signed), 1)
			got.Del(signed)
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("form (-want +got):\n%s", diff)
			}
			if iat, exp := claims["iat"].(float64), claims["exp"].(float64); claims["nbf"] != iat || exp-iat != 30 || len(claims["jti"].(string)) < 20 {
				t.Errorf("times or jti of the assertion: %v", claims)
			}
			if _, single := claims["aud"].(string); !single {
				t.Errorf("the audience is no single text: %v", claims["aud"])
			}
			for _, name := range []string{"iat", "nbf", "exp", "jti", "aud"} {
				delete(claims, name)
			}
			if diff := cmp.Diff(want, claims); diff != "" {
				t.Errorf("claims (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAProviderThatDoesNotDoItIsNamed(t *testing.T) {
	t.Parallel()
	b := newTestBroker(t, Config{}, &idp{name: oidc.TokenX}, &idp{name: oidc.Maskinporten})
	b.sources[oidc.IDPorten] = &source{name: oidc.IDPorten}
	for _, tc := range []struct {
		use            use
		provider, want string
	}{
		{machine, oidc.EntraID, "identity provider 'entra_id' is not enabled"},
		{onBehalf, oidc.EntraID, "identity provider 'entra_id' is not enabled"},
		{machine, oidc.TokenX, "identity provider 'tokenx' does not support token requests"},
		{machine, oidc.IDPorten, "identity provider 'idporten' does not support token requests"},
		{onBehalf, oidc.Maskinporten, "identity provider 'maskinporten' does not support token exchange"},
		{onBehalf, oidc.IDPorten, "identity provider 'idporten' does not support token exchange"},
	} {
		_, err := b.get(t.Context(), tc.use, Request{Provider: tc.provider})
		f := Explain(err)
		if f.Status != 400 || f.Body.Code != "invalid_request" || f.Body.Description != tc.want {
			t.Errorf("%s: %+v", tc.want, f)
		}
	}
}

func TestBothSpellingsOfAnAppAreOneTarget(t *testing.T) {
	t.Parallel()
	for target, want := range map[string]string{
		"dev-gcp:team:app":                "api://dev-gcp.team.app/.default",
		"api://dev-gcp.team.app/.default": "api://dev-gcp.team.app/.default",
		"default":                         "default",
		"":                                "",
		"a:b":                             "a:b",
		"a::c":                            "a::c",
		":b:c":                            ":b:c",
		"a:b:":                            "a:b:",
		"a:b:c:d":                         "a:b:c:d",
		"a:b:c d":                         "a:b:c d",
		"a:b:c/d":                         "a:b:c/d",
		"a:b:c\u00a0":                     "a:b:c\u00a0",
		"https://graph.example/.default":  "https://graph.example/.default",
	} {
		if got := (Request{Provider: oidc.EntraID, Target: target}).normalized().Target; got != want {
			t.Errorf("%q becomes %q, want %q", target, got, want)
		}
		if got := (Request{Provider: oidc.TokenX, Target: target}).normalized().Target; got != target {
			t.Errorf("TokenX: %q becomes %q", target, got)
		}
	}
}

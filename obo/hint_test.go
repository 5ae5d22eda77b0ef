package obo

import (
	"encoding/json"
	"strings"
	"testing"

	"postern/oidc"
)

// A row for each code that is known (tokens.md 5.7, 4.3, 2.2), and words that its hint must have.
func TestHints(t *testing.T) {
	t.Parallel()
	entra := map[string]string{
		"50013": "answer 401", "500131": "answer 401", "500133": "answer 401", "50027": "well-formed",
		"501051": "<cluster>:<namespace>:<app> or api://<cluster>.<namespace>.<app>/.default", "65001": "spec.accessPolicy.inbound", "50105": "direct member", "50020": "tenant", "16003": "tenant", "90072": "tenant",
		"500011": "target", "650057": "target", "70011": "target",
		"50076": "claims", "50079": "claims", "50074": "claims", "50078": "claims", "50072": "claims", "53000": "claims", "53001": "claims", "53002": "claims", "53003": "claims",
		"50158": "claims", "700020": "claims",
		"50173": "log in again", "700082": "log in again", "700084": "log in again", "70008": "log in again", "70043": "log in again", "50089": "log in again", "54005": "log in again",
		"501481": "Start the login anew", "700016": "client id", "7000112": "disabled",
		"7000215": "credential", "7000222": "credential", "700027": "credential", "50012": "credential", "700023": "issuer", "700024": "clock", "90002": "tenant",
		"70021": "federated", "700211": "federated", "700212": "federated", "700213": "federated", "50196": "loop",
		"90033": "Wait", "90006": "Wait", "90024": "Wait", "50033": "Wait", "90055": "Wait",
	}
	for code, want := range entra {
		by := map[string]*oidc.RefusalError{
			"its number":    {Provider: oidc.EntraID, Code: "invalid_grant", ErrorCodes: json.RawMessage(`[1,` + code + `]`)},
			"words":         {Provider: oidc.EntraID, Code: "invalid_grant", Words: "AADSTS" + code + ": whatever"},
			"words inside":  {Provider: oidc.EntraID, Code: "invalid_client", Words: "AADSTS: failed, see AADSTS" + code},
			"after another": {Provider: oidc.EntraID, Code: "invalid_client", ErrorCodes: json.RawMessage(`[1]`), Words: "AADSTS" + code + ": AADSTS50196"},
		}
		for how, refusal := range by {
			wantHint(t, "AADSTS"+code+" by "+how, refusal, want)
		}
	}
	for code, want := range map[string]string{
		"MP-011": "malformed", "MP-012": "Ask again", "MP-100": "MASKINPORTEN_CLIENT_ID", "MP-110": "slash", "MP-121": "Renew", "MP-124": "MASKINPORTEN_CLIENT_JWK", "MP-130": "clock",
		"MP-200": "spec.maskinporten.scopes.consumes", "MP-201": "scopes", "MP-301": "authorization_details",
	} {
		wantHint(t, code, &oidc.RefusalError{Provider: oidc.Maskinporten, Code: "invalid_grant", Words: "Invalid grant (" + code + ")"}, want)
	}
	for words, want := range map[string]string{
		"client 'c:n:a' is not authorized to get token with aud=c:n:b":                                         "accessPolicy.inbound",
		"token exchange audience c:n:b is invalid":                                                             "target",
		"invalid client authentication for client_id=c:n:a, client not registered.":                            "TOKEN_X_CLIENT_ID",
		"invalid subject_token: audience does not match client_id=c:n:a":                                       "another app",
		"invalid subject_token: token verification failed: Expired+JWT":                                        "answer 401",
		"token verification failed: JWT+before+use+time":                                                       "TOKEN_X_PRIVATE_JWK",
		"invalid client authentication for client_id=c:n:a, client assertion exceeded max lifetime (120s).":    "clock",
		"could not find authorizer for grant_type=x; the code says enough for those who read RFC 6749 closely": "kind of grant",
	} {
		wantHint(t, words, &oidc.RefusalError{Provider: oidc.TokenX, Code: "unsupported_grant_type", Words: words}, want)
	}
	for name, tc := range map[string]struct {
		refusal oidc.RefusalError
		want    string
	}{
		"consent by suberror":            {oidc.RefusalError{Code: "invalid_grant", Suberror: "consent_required"}, "accessPolicy"},
		"suberror before code":           {oidc.RefusalError{Code: "invalid_client", Suberror: "bad_token"}, "log in again"},
		"unknown suberror, known code":   {oidc.RefusalError{Code: "interaction_required", Suberror: "x"}, "claims"},
		"number before suberror":         {oidc.RefusalError{Code: "invalid_grant", Suberror: "bad_token", ErrorCodes: json.RawMessage(`[50105]`)}, "direct member"},
		"tenant without a number":        {oidc.RefusalError{Code: "x", Words: "Selected user account does not exist in tenant 'some'."}, "tenant"},
		"unauthorized client":            {oidc.RefusalError{Code: "unauthorized_client"}, "kind of grant"},
		"unknown scope":                  {oidc.RefusalError{Code: "invalid_scope"}, "target"},
		"nothing that is known":          {oidc.RefusalError{Code: "invalid_grant", Words: "AADSTS1: no"}, ""},
		"numbers that are none":          {oidc.RefusalError{Code: "x", ErrorCodes: json.RawMessage(`["50105"]`), Words: "AADSTS MP- AADSTSx"}, ""},
		"TokenX' words of another":       {oidc.RefusalError{Provider: oidc.OpenID, Code: "x", Words: "client not registered"}, ""},
		"a number that only begins like": {oidc.RefusalError{Code: "x", Words: "AADSTS501050"}, ""},
	} {
		wantHint(t, name, &tc.refusal, tc.want)
	}
}

// wantHint wants one sentence, of ours: nothing of what the provider said is in it.
func wantHint(t *testing.T, name string, r *oidc.RefusalError, want string) {
	t.Helper()
	got := hint(r)
	switch {
	case want == "" && got != "", !strings.Contains(got, want):
		t.Errorf("%s: %q, want %q", name, got, want)
	case got != "" && (!strings.HasSuffix(got, ".") || strings.Contains(got, ". ") || len(got) > 250):
		t.Errorf("%s: not one sentence: %q", name, got)
	case r.Words != "" && strings.Contains(got, r.Words):
		t.Errorf("%s: quotes the provider", name)
	}
}

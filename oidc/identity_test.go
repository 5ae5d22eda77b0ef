package oidc

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestIdentityReadsClaimsPerProvider(t *testing.T) {
	t.Parallel()
	const claims = `{"sub":"s","oid":"o","tid":"t","NAVident":"Z990001","pid":"01017012345","preferred_username":"kari@corp.example","name":"Kari",
		"email":"kari@corp.example","email_verified":true,"acr":"a","sid":"i","auth_time":5,"groups":["g"],"roles":"r","scp":"x y"}`
	type seen struct {
		User, Tenant, Object, Email  string
		Groups, Roles, Scopes        []string
		Subject, Username, ACR, Name string
	}
	base := seen{Email: "kari@corp.example", Groups: []string{"g"}, Roles: []string{"r"}, Scopes: []string{"x", "y"}, Subject: "s", Username: "kari@corp.example", ACR: "a", Name: "Kari"}
	entra, idporten, openid := base, base, base
	entra.User, entra.Tenant, entra.Object = "Z990001", "t", "o"
	idporten.User, idporten.Groups, idporten.Roles = "01017012345", nil, nil
	openid.User = "s"
	for provider, want := range map[string]seen{EntraID: entra, IDPorten: idporten, OpenID: openid} {
		id, err := RestoreIdentity(provider, claims, "")
		must(t, err)
		got := seen{
			id.User(), id.Tenant(), id.Object(), id.Email(), id.Groups(), id.Roles(), id.Scopes(), id.Subject(), id.Username(), id.ACR(), id.Name(),
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", provider, diff)
		}
	}
}

// S-19, peers.md 55 (nOAuth): an address that nobody vouches for is none.
func TestS19EmailCountsOnlyIfVerified(t *testing.T) {
	t.Parallel()
	for extra, want := range map[string]string{
		``: "", `,"email_verified":false`: "", `,"email_verified":null`: "", `,"email_verified":"yes"`: "", `,"Email_Verified":true`: "",
		`,"email_verified":true`: "e", `,"email_verified":"true"`: "e", `,"xms_edov":1`: "e", `,"xms_edov":"1"`: "e", `,"xms_edov":true`: "e", `,"xms_edov":0`: "",
	} {
		id, err := RestoreIdentity(EntraID, `{"sub":"s","email":"e"`+extra+`}`, "")
		must(t, err)
		if id.Email() != want {
			t.Errorf("%s: %q", extra, id.Email())
		}
	}
}

// peers.md 65: names are compared exactly, and two of one name are refused.
func TestAdvisoryGO2026_4569ClaimNamesAreExact(t *testing.T) {
	t.Parallel()
	id, err := RestoreIdentity(EntraID, `{"sub":"s","OID":"evil","Navident":"evil","NAME":"evil","Preferred_Username":"evil","oid":"o"}`, "")
	must(t, err)
	if id.User() != "o" || id.Name() != "" || id.Username() != "" {
		t.Errorf("%q %q %q", id.User(), id.Name(), id.Username())
	}
	for _, claims := range []string{``, `null`, `[]`, `{"sub":"a","sub":"b"}`, `{"sub":5}`, `{"groups":[5]}`, `{"sub":"a"}x`} {
		if _, err := RestoreIdentity(OpenID, claims, ""); err == nil {
			t.Errorf("%s was accepted", claims)
		}
		if _, err := RestoreIdentity(OpenID, `{"sub":"a"}`, claims); err == nil && claims != "" { // nothing is nothing granted
			t.Errorf("%s was accepted as granted", claims)
		}
	}
}

func TestTokensNeverShowThemselves(t *testing.T) {
	t.Parallel()
	w := newWorld(t, newIDP(t))
	g, err := w.login(AuthorizationRequest{})
	must(t, err)
	shown := shownBy(t, g)
	for _, token := range []Token{g.Tokens.Access, g.Tokens.Refresh, g.Tokens.ID} {
		if token.Raw() == "" || contains(shown, token.Raw()) {
			t.Errorf("a token is shown, or missing: %s", shown)
		}
	}
}

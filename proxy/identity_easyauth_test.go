package proxy

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"postern/config"
	"postern/oidc"
)

func quote(s string) string {
	b, _ := json.Marshal(s)
	return string(b)
}

func principalOf(t *testing.T, h http.Header) easyAuthPrincipal {
	t.Helper()
	document, err := base64.StdEncoding.DecodeString(h.Get("X-MS-CLIENT-PRINCIPAL"))
	if err != nil {
		t.Fatal(err)
	}
	var p easyAuthPrincipal
	if err := json.Unmarshal(document, &p); err != nil {
		t.Fatal(err)
	}
	return p
}

func TestEasyAuthSetOfEntraID(t *testing.T) {
	t.Parallel()
	id := sessionIdentity(t, oidc.EntraID, `{"iss":"https://login.example/t-1/v2.0","aud":"app","exp":1700000000,"ver":"2.0","nonce":"n","at_hash":"h",
		"sub":"s-1","oid":"o-1","tid":"t-1","name":"Åse","preferred_username":"ase@nav.example","email":"ase@nav.example","xms_edov":"1",
		"groups":["g1","g2"],"roles":["admin"],"scp":"a b","amr":["pwd","mfa"]}`)
	h := writeAll(config.Identity{Headers: []string{"easyauth"}}, id, nil)
	want := easyAuthPrincipal{
		AuthType: "aad",
		NameType: "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress",
		RoleType: "http://schemas.microsoft.com/ws/2008/06/identity/claims/role",
		Claims: []easyAuthClaim{
			{"amr", "pwd"},
			{"amr", "mfa"},
			{"aud", "app"},
			{"exp", "1700000000"},
			{"iss", "https://login.example/t-1/v2.0"},
			{"ver", "2.0"},
			{"xms_edov", "1"},
			{"http://schemas.xmlsoap.org/ws/2005/05/identity/claims/nameidentifier", "s-1"},
			{"http://schemas.microsoft.com/identity/claims/objectidentifier", "o-1"},
			{"http://schemas.microsoft.com/identity/claims/tenantid", "t-1"},
			{"http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress", "ase@nav.example"},
			{"name", "Åse"},
			{"preferred_username", "ase@nav.example"},
			{"groups", "g1"},
			{"groups", "g2"},
			{"roles", "admin"},
			{"http://schemas.microsoft.com/ws/2008/06/identity/claims/role", "admin"},
			{"http://schemas.microsoft.com/identity/claims/scope", "a b"},
		},
	}
	if diff := cmp.Diff(want, principalOf(t, h)); diff != "" {
		t.Error(diff)
	}
	h.Del("X-MS-CLIENT-PRINCIPAL")
	if diff := cmp.Diff(http.Header{
		"X-Ms-Client-Principal-Id": {"o-1"}, "X-Ms-Client-Principal-Name": {"ase@nav.example"}, "X-Ms-Client-Principal-Idp": {"aad"},
		"X-Ms-Token-Aad-Access-Token": {"access-token"},
	}, h); diff != "" {
		t.Error(diff)
	}
}

func TestEasyAuthSetOfAnotherProvider(t *testing.T) {
	t.Parallel()
	h := writeAll(config.Identity{Headers: []string{"easyauth"}}, sessionIdentity(t, oidc.OpenID, `{"sub":"s","iss":"i","custom":"x","roles":["r"]}`), nil)
	p := principalOf(t, h)
	if p.AuthType != "aad" || h.Get("X-MS-CLIENT-PRINCIPAL-IDP") != "openid" || h.Get("X-MS-CLIENT-PRINCIPAL-ID") != "s" {
		t.Errorf("%v %v", p, h)
	}
	for _, claim := range p.Claims {
		if claim.Type == "custom" {
			t.Error("only what the provider vouches for is listed")
		}
	}
}

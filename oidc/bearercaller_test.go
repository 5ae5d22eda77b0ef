package oidc

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const copiedPID = "01017012345"

// S-19: what each provider vouches for, and nothing that another would.
func TestS19CallersAreReadPerProvider(t *testing.T) {
	t.Parallel()
	// What a hostile or careless issuer could add to any token.
	foreign := map[string]any{
		"NAVident": "Z999999", "groups": []string{"admin"}, "roles": []string{"access_as_application", "admin"}, "scope": "orders.write", "scp": "defaultaccess",
		"consumer": map[string]any{"authority": "iso6523-actorid-upis", "ID": "0192:999999999"}, "email": "root@corp.example", "email_verified": true,
		"preferred_username": "root", "name": "Root", "azp": "x", "client_id": "x", "pid": "02027012345", "idp": "https://idporten.example", "acr": "idporten-loa-high",
		"tid": testTenant, "oid": "oid-9", "sub": "sub-9", "idtyp": "app", "sid": "sid-9", "auth_time": 7, "supplier": "x", "delegation_source": "https://x", "hasgroups": true,
	}
	// without are good claims with everything foreign but what is named.
	without := func(own ...string) map[string]any {
		claims := map[string]any{}
		for name, value := range foreign {
			claims[name] = value
		}
		for _, name := range own {
			delete(claims, name)
		}
		return claims
	}
	for name, tc := range map[string]struct {
		kind   string
		change map[string]any
		want   Caller
	}{
		"Entra user": {"entra user", without("NAVident", "groups", "roles", "scp", "azp", "idtyp", "tid", "oid", "sub", "name", "preferred_username", "email_verified", "hasgroups"), Caller{
			Provider: EntraID, Kind: User, Subject: "sub-1", User: "Z990001", Username: "kari@corp.example", Name: "Kari", Tenant: testTenant, Object: "oid-1",
			Client: callerApp, ClientID: callerClient, App: callerApp, Groups: []string{"group-1"}, Scopes: []string{"defaultaccess", "orders.read"}, Audience: []string{entraClient},
		}},
		"Entra user without NAVident, by an unknown app": {"entra user", map[string]any{"NAVident": nil, "azp": "Unknown", "roles": "of-the-person", "email": "k@x", "xms_edov": 1}, Caller{
			Provider: EntraID, Kind: User, Subject: "sub-1", User: "oid-1", Username: "kari@corp.example", Name: "Kari", Email: "k@x", Tenant: testTenant, Object: "oid-1",
			Client: "entra_id/Unknown", ClientID: "Unknown", Groups: []string{"group-1"}, Roles: []string{"of-the-person"}, Scopes: []string{"defaultaccess", "orders.read"},
			Audience: []string{entraClient},
		}},
		"Entra app": {"entra app", without("NAVident", "groups", "roles", "scp", "azp", "idtyp", "tid", "oid", "sub", "hasgroups"), Caller{
			Provider: EntraID, Kind: App, Subject: "sub-1", Tenant: testTenant, Object: "oid-1", Client: callerApp, ClientID: callerClient, App: callerApp,
			Roles: []string{"access_as_application", "orders.read"}, Audience: []string{entraClient},
		}},
		"TokenX": {TokenX, without("client_id", "pid", "sub"), Caller{
			Provider: TokenX, Kind: User, Subject: "sub-1", User: copiedPID, Client: callerApp, ClientID: callerApp, App: callerApp, ACR: "idporten-loa-high",
			IDP: "https://idporten.example", Audience: []string{"aud-1"},
		}},
		"TokenX without pid": {TokenX, map[string]any{"pid": nil, "idp": nil}, Caller{
			Provider: TokenX, Kind: User, Subject: "sub-1", User: "sub-1", Client: callerApp, ClientID: callerApp, App: callerApp, ACR: "idporten-loa-high", Audience: []string{"aud-1"},
		}},
		"Maskinporten": {Maskinporten, without("client_id", "scope", "consumer", "supplier", "delegation_source"), Caller{
			Provider: Maskinporten, Kind: App, Client: "maskinporten/consumer-client", ClientID: "consumer-client", Scopes: []string{"nav:a/b.read"}, Organization: "123456789",
		}},
		"Maskinporten by a supplier": {Maskinporten, map[string]any{"supplier": map[string]any{"ID": "0192:123456789"}, "delegation_source": "https://altinn", "aud": "unspecified"}, Caller{
			Provider: Maskinporten, Kind: App, Client: "maskinporten/consumer-client", ClientID: "consumer-client", Scopes: []string{"nav:a/b.read"}, Organization: "123456789",
			Supplier: true, DelegationSource: "https://altinn", Audience: []string{"unspecified"},
		}},
		"ID-porten": {IDPorten, without("client_id", "pid", "sub"), Caller{
			Provider: IDPorten, Kind: User, Subject: "sub-1", User: copiedPID, Client: "idporten/" + testClientID, ClientID: testClientID, ACR: "idporten-loa-high", Audience: []string{"aud-1"},
		}},
		"ID-porten without a client, which the policy refuses (S-02)": {IDPorten, map[string]any{"client_id": nil, "pid": nil}, Caller{
			Provider: IDPorten, Kind: User, Subject: "sub-1", User: "sub-1", ACR: "idporten-loa-high", Audience: []string{"aud-1"},
		}},
		"a further issuer": {"partner", without("azp", "client_id", "sub", "scp", "scope"), Caller{
			Provider: "partner", Kind: User, Subject: "sub-1", User: "sub-1", Client: "partner/batch-1", ClientID: "batch-1", Scopes: []string{"orders.read"}, Audience: []string{"aud-1"},
		}},
		"a further issuer whose client is called like an app": {"partner", map[string]any{"client_id": callerApp, "sub": callerApp}, Caller{
			Provider: "partner", Kind: App, Subject: callerApp, Client: "partner/" + callerApp, ClientID: callerApp, Scopes: []string{"orders.read"}, Audience: []string{"aud-1"},
		}},
		"a further issuer's app without a subject": {"partner", map[string]any{"sub": nil, "scp": []string{"a b", "c"}}, Caller{
			Provider: "partner", Kind: App, Client: "partner/batch-1", ClientID: "batch-1", Scopes: []string{"a", "b", "c"}, Audience: []string{"aud-1"},
		}},
		"openid": {OpenID, without("azp", "client_id", "sub", "scp", "scope"), Caller{
			Provider: OpenID, Kind: User, Subject: "sub-1", User: "sub-1", Client: "openid/client-2", ClientID: "client-2", Scopes: []string{"a", "b"}, Audience: []string{"aud-1"},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := newIssuance(t, tc.kind)
			got := i.wantGood(tc.change).Caller()
			if diff := cmp.Diff(&tc.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestClientIDsOfEntraAreComparedWithoutCase(t *testing.T) {
	t.Parallel()
	i := newIssuance(t, "entra user")
	for _, known := range []string{callerClient, strings.ToUpper(callerClient)} {
		i.accept.Applications = map[string]string{known: callerApp}
		i.verifier = newVerifier(t, i.accept)
		for _, azp := range []string{callerClient, strings.ToUpper(callerClient)} {
			if c := i.wantGood(map[string]any{"azp": azp}).Caller(); c.App != callerApp || c.Client != callerApp || c.ClientID != azp {
				t.Errorf("%s for %s: %+v", azp, known, c)
			}
		}
	}
}

// Whatever says that somebody acts for another must not be lost.
func TestDelegationOfMaskinportenIsNoticed(t *testing.T) {
	t.Parallel()
	i := newIssuance(t, Maskinporten)
	for name, change := range map[string]map[string]any{
		"supplier": {"supplier": map[string]any{"ID": "0192:123456789"}}, "supplier of no shape": {"supplier": 5}, "source": {"delegation_source": "https://altinn"},
	} {
		if c := i.wantGood(change).Caller(); !c.Supplier || c.Organization != "123456789" {
			t.Errorf("%s: %+v", name, c)
		}
	}
}

func TestS19ClaimsOfFurtherIssuersCountByMappingOnly(t *testing.T) {
	t.Parallel()
	mapped := map[string]string{
		"groups": "https://partner.example/teams", "roles": "duties", "scope": "may", "name": "display", "preferred_username": "login", "email": "mail", "acr": "level",
	}
	says := map[string]any{
		"https://partner.example/teams": []string{"staff", ""}, "duties": "clerk", "may": "x y", "display": "Kari", "login": "kari", "mail": "k@partner.example",
		"level": "high", "groups": []string{"admin"}, "scope": "orders.write", "email": "root@corp.example",
	}
	i := newIssuance(t, "partner")
	i.accept.Claims = mapped
	i.verifier = newVerifier(t, i.accept)
	want := Caller{
		Provider: "partner", Kind: User, Subject: "sub-1", User: "sub-1", Client: "partner/batch-1", ClientID: "batch-1", Groups: []string{"staff"}, Roles: []string{"clerk"},
		Scopes: []string{"x", "y"}, Name: "Kari", Username: "kari", ACR: "high", Audience: []string{"aud-1"},
	}
	if diff := cmp.Diff(&want, i.wantGood(says).Caller()); diff != "" {
		t.Error(diff)
	}
	says["email_verified"] = true
	if got := i.wantGood(says).Email(); got != "k@partner.example" {
		t.Errorf("e-mail %q", got)
	}
	says["Duties"] = "admin"
	_, err := i.verify(says)
	wantInvalid(t, err, "but for upper and lower case")
}

func TestS19EmailOfABearerCountsOnlyIfVerified(t *testing.T) {
	t.Parallel()
	i := newIssuance(t, "entra user")
	for name, tc := range map[string]struct {
		change map[string]any
		want   string
	}{
		"alone":       {map[string]any{"email": "e"}, ""},
		"not":         {map[string]any{"email": "e", "email_verified": false, "xms_edov": "0"}, ""},
		"verified":    {map[string]any{"email": "e", "email_verified": true}, "e"},
		"by xms_edov": {map[string]any{"email": "e", "xms_edov": "1"}, "e"},
	} {
		if got := i.wantGood(tc.change).Email(); got != tc.want {
			t.Errorf("%s: %q", name, got)
		}
	}
	_, err := i.verify(map[string]any{"email": "e", "Email_Verified": true})
	wantInvalid(t, err, "but for upper and lower case")
}

// tokens.md 5.5: unknown is not "none".
func TestGroupsOverageIsToldFromNoGroups(t *testing.T) {
	t.Parallel()
	i := newIssuance(t, "entra user")
	for name, tc := range map[string]struct {
		change map[string]any
		want   bool
	}{
		"none":         {map[string]any{"groups": nil}, false},
		"distributed":  {map[string]any{"groups": nil, "_claim_names": map[string]any{"groups": "src1"}}, true},
		"other claims": {map[string]any{"groups": nil, "_claim_names": map[string]any{"x": "src1"}}, false},
		"implicit":     {map[string]any{"groups": nil, "hasgroups": true}, true},
	} {
		if c := i.wantGood(tc.change).Caller(); c.Overage != tc.want || c.Groups != nil {
			t.Errorf("%s: %v, %v", name, c.Overage, c.Groups)
		}
	}
}

func TestOrganizationIsNineDigitsOfTheRightRegister(t *testing.T) {
	t.Parallel()
	for consumer, want := range map[string]string{
		`{"authority":"iso6523-actorid-upis","ID":"0192:123456789"}`:                        "123456789",
		`{"ID":"0192:123456789","authority":"iso6523-actorid-upis","x":1}`:                  "123456789",
		`{"authority":"iso6523-actorid-upis","ID":"9908:123456789"}`:                        "",
		`{"authority":"other","ID":"0192:123456789"}`:                                       "",
		`{"ID":"0192:123456789"}`:                                                           "",
		`{"authority":"iso6523-actorid-upis","ID":"0192:12345678"}`:                         "",
		`{"authority":"iso6523-actorid-upis","ID":"0192:1234567890"}`:                       "",
		`{"authority":"iso6523-actorid-upis","ID":"0192:12345678x"}`:                        "",
		`{"authority":"iso6523-actorid-upis","ID":"0192: 12345678"}`:                        "",
		`{"authority":"iso6523-actorid-upis","ID":"123456789"}`:                             "",
		`{"authority":"iso6523-actorid-upis","ID":"0192:123456789","id":"0192:987654321"}`:  "",
		`{"authority":"iso6523-actorid-upis","ID":"0192:123456789","ID":"0192:987654321"}`:  "",
		`{"authority":"iso6523-actorid-upis","ID":"0192:123456789","ID\u0000":"987654321"}`: "",
		`{"authority":["iso6523-actorid-upis"],"ID":"0192:123456789"}`:                      "",
		`{"authority":"iso6523-actorid-upis","ID":5}`:                                       "",
		`"0192:123456789"`: "", `[]`: "", `null`: "", ``: "",
	} {
		if got := organizationOf(consumer); got != want {
			t.Errorf("%s: %q", consumer, got)
		}
	}
}

// tokens.md 6.3, TokenX origin: compared with what is known of ID-porten, without ever waiting for it.
func TestOriginOfTokenXPersonsIsCompared(t *testing.T) {
	t.Parallel()
	provider := func(cfg ProviderConfig) *Provider {
		cfg.Name, cfg.JWKSURI = IDPorten, "https://idporten.example/jwks"
		p, err := NewProvider(cfg, Deps{})
		must(t, err)
		return p
	}
	unread := provider(ProviderConfig{WellKnownURL: "https://idporten.example/.well-known/openid-configuration"})
	configured := provider(ProviderConfig{Issuer: "https://idporten.example"})
	read := provider(ProviderConfig{WellKnownURL: "https://idporten.example/.well-known/openid-configuration"})
	read.state.Store(&snapshot{metadata: &Metadata{Issuer: "https://idporten.example/"}, keys: &keySet{}})
	for name, tc := range map[string]struct {
		idporten *Provider
		idp      any
		want     bool
	}{
		"no ID-porten":           {nil, "https://idporten.example", false},
		"derived":                {unread, "https://idporten.example", true},
		"configured":             {configured, "https://idporten.example", true},
		"configured, slash":      {configured, "https://idporten.example/", false},
		"as the metadata say":    {read, "https://idporten.example/", true},
		"not as they say":        {read, "https://idporten.example", false},
		"another":                {unread, "https://idporten.example.evil", false},
		"a test issuer":          {configured, "https://fakedings", false},
		"absent":                 {unread, nil, false},
		"empty":                  {read, "", false},
		"the path of a stranger": {unread, "https://idporten.example/evil", false},
	} {
		i := newIssuance(t, TokenX)
		i.accept.IDPorten = tc.idporten
		i.verifier = newVerifier(t, i.accept)
		if got := i.wantGood(map[string]any{"idp": tc.idp}).Caller().FromIDPorten; got != tc.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// Contract §5: tid must equal AZURE_APP_TENANT_ID, else the GUID in the issuer if it has one; absent it is refused for multi-tenant issuers only.
func TestTenantOfEntraTokens(t *testing.T) {
	t.Parallel()
	const other, many = "11111111-2222-3333-4444-555555555555", "https://login.example/{tenantid}/v2.0"
	for name, tc := range map[string]struct {
		issuer  string // of the provider
		allowed []string
		tenant  string // AZURE_APP_TENANT_ID
		iss     string // of the token; empty: issuer
		tid     any
		reason  string // empty: good
	}{
		"own":                                 {issuer: entraIssuer, tenant: testTenant, tid: testTenant},
		"own, in other letters":               {issuer: entraIssuer, tenant: "62366534-1EC3-4962-8869-9B5535279D0B", tid: testTenant},
		"own, not named":                      {issuer: entraIssuer, tenant: testTenant},
		"by the issuer":                       {issuer: entraIssuer, tid: testTenant},
		"by the issuer, not named":            {issuer: entraIssuer},
		"other than the issuer's":             {issuer: entraIssuer, tid: other, reason: "not that of its issuer"},
		"own is another than the issuer's":    {issuer: entraIssuer, tenant: other, tid: other, reason: "not that of its issuer"},
		"own is not that of the token":        {issuer: entraIssuer, tenant: other, tid: testTenant, reason: "another tenant"},
		"own is not that of the issuer":       {issuer: entraIssuer, tenant: other, reason: "another tenant"},
		"issuer without a GUID":               {issuer: "https://mock.example/azuread", tid: "azuread"},
		"issuer without a GUID, own":          {issuer: "https://mock.example/azuread", tenant: "azuread", tid: "azuread"},
		"issuer without a GUID, other":        {issuer: "https://mock.example/azuread", tenant: "own", tid: "azuread", reason: "another tenant"},
		"many, allowed":                       {issuer: many, allowed: []string{testTenant}, iss: entraIssuer, tid: testTenant},
		"many, not allowed":                   {issuer: many, allowed: []string{other}, iss: entraIssuer, tid: testTenant, reason: "issuer is not one"},
		"many, not named":                     {issuer: many, allowed: []string{testTenant}, iss: entraIssuer, reason: "issuer is not one"},
		"many, issuer of another":             {issuer: many, allowed: []string{testTenant, other}, iss: "https://login.example/" + other + "/v2.0", tid: testTenant, reason: "issuer is not one"},
		"many, allowed but not own":           {issuer: many, allowed: []string{testTenant}, tenant: other, iss: entraIssuer, tid: testTenant, reason: "another tenant"},
		"many, with the placeholder for real": {issuer: many, allowed: []string{testTenant}, iss: many, tid: "{tenantid}", reason: "issuer is not one"},
	} {
		i := newIssuance(t, "entra user", func(i *issuance, pc *ProviderConfig) {
			i.issuer, pc.Issuer, pc.Tenants = tc.issuer, tc.issuer, tc.allowed
			i.accept.TenantID = tc.tenant
		})
		_, err := i.verify(map[string]any{"iss": first(tc.iss, tc.issuer), "tid": tc.tid})
		if tc.reason == "" && err != nil {
			t.Errorf("%s: %v", name, err)
		} else if tc.reason != "" {
			wantInvalid(t, err, tc.reason)
		}
	}
}

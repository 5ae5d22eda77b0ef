package policy

import (
	"testing"

	"postern/oidc"
)

func TestS02ForeignTokensOfIDPorten(t *testing.T) {
	t.Parallel()
	s := Settings{IDPortenEnabled: true, IDPortenClients: []string{"own", ""}}
	written := mustCompile(t, &Document{IDPorten: &IDPorten{Level: "idporten-loa-high"}}, s)
	for name, p := range map[string]*Policy{"with a policy": written, "without": WithoutFile(s)} {
		for client, want := range map[string]Reason{"foreign": ForeignClient, "": ForeignClient, "OWN": ForeignClient, "own": Allowed} {
			caller := idporten(client, "idporten-loa-high")
			d := ask(t, p, "GET", "/x", &caller)
			if d.Reason != want || (want == Allowed) != (d.Outcome == Admitted) || want != Allowed && d.Reason.Class() != InvalidToken {
				t.Errorf("%s, client %q: %+v", name, client, d)
			}
		}
		session := oidc.Caller{Provider: oidc.IDPorten, Kind: oidc.User, Session: true, ACR: "idporten-loa-high"}
		if d := ask(t, p, "GET", "/x", &session); d.Outcome != Admitted {
			t.Errorf("%s, own session: %+v", name, d)
		}
	}
}

func TestS03WithoutPolicy(t *testing.T) {
	t.Parallel()
	s := Settings{
		EntraClientIDs: []string{"own-id"}, IDPortenClients: []string{"own"}, IDPortenEnabled: true, RequireAuth: true,
		Providers: []string{oidc.EntraID, oidc.TokenX, oidc.Maskinporten, oidc.IDPorten, "partner"},
	}
	abroad := tokenX("dev-gcp:any:app")
	abroad.IDP = "https://test.idp"
	for _, test := range []struct {
		name   string
		caller oidc.Caller
		want   Reason
	}{
		{"Maskinporten", consumer("123456789", "skatt:foo"), NoPolicy},
		{"Entra app, no roles", entraApp(appA), NoPolicy},
		{"Entra app, default role", entraApp(appA, "access_as_application"), NoPolicy},
		{"Entra app, own client", oidc.Caller{Provider: oidc.EntraID, Kind: oidc.App, ClientID: "own-id", Roles: []string{"access_as_application"}}, NoPolicy},
		{"Entra user", entraUser("", "defaultaccess"), Allowed},
		{"Entra user without default scope", entraUser("", "orders.read"), NoDefaultScope},
		{"TokenX", tokenX("dev-gcp:any:app"), Allowed},
		{"TokenX of a foreign login", abroad, ForeignIDP},
		{"ID-porten, own client", idporten("own", ""), Allowed},
		{"ID-porten, foreign client", idporten("other", ""), ForeignClient},
		{"further issuer, user", oidc.Caller{Provider: "partner", Kind: oidc.User, Subject: "x"}, NoPolicy},
		{"further issuer, app", oidc.Caller{Provider: "partner", Kind: oidc.App}, NoPolicy},
		{"token of openid", oidc.Caller{Provider: oidc.OpenID, Kind: oidc.User, Subject: "x"}, NoPolicy},
		{"session of openid", oidc.Caller{Provider: oidc.OpenID, Kind: oidc.User, Session: true}, Allowed},
		{"session of Entra ID", oidc.Caller{Provider: oidc.EntraID, Kind: oidc.User, Session: true}, Allowed},
		{"nothing at all", oidc.Caller{}, NoPolicy},
	} {
		d := ask(t, WithoutFile(s), "DELETE", "/x", &test.caller)
		if d.Reason != test.want || (d.Outcome == Admitted) != (test.want == Allowed) || d.Outcome == Public {
			t.Errorf("%s: %+v; want %s", test.name, d, test.want)
		}
	}
	if d := ask(t, WithoutFile(s), "GET", "/x", nil); d.Outcome != Refused || d.Reason != NoCaller {
		t.Errorf("nobody, and a caller is required: %+v", d)
	}
	s.RequireAuth = false
	if d := ask(t, WithoutFile(s), "GET", "/x", nil); d.Outcome != Public {
		t.Errorf("nobody, and none is required: %+v", d)
	}
	machine := consumer("123456789", "skatt:foo")
	if d := ask(t, WithoutFile(s), "GET", "/x", &machine); d.Outcome != Refused || d.Reason != NoPolicy {
		t.Errorf("a machine, and no caller is required: %+v", d)
	}
}

// A verified stranger on a public path is told of to nobody; who would be admitted elsewhere, is.
func TestS15StrangersOnPublicPaths(t *testing.T) {
	t.Parallel()
	p := mustCompile(t, &Document{
		Rules: rules(), Users: &Users{Groups: []string{staffGroup}}, Maskinporten: &Maskinporten{Scopes: []MaskinportenScope{{Name: "nav:a", Consumers: []string{"123456789"}}}},
		Paths: []PathRule{public("/isalive"), narrowed("/admin", Require{Groups: []string{adminGroup}})},
	}, Settings{})
	for _, test := range []struct {
		name   string
		caller oidc.Caller
		want   Reason
	}{
		{"stranger app", entraApp("dev-gcp:team-x:stranger", "access_as_application"), AppNotListed},
		{"user outside the groups", oidc.Caller{Provider: oidc.EntraID, Kind: oidc.User, Session: true}, NotInGroup},
		{"TokenX stranger", tokenX("dev-gcp:team-x:stranger"), AppNotListed},
		{"another organisation", consumer("987654321", "nav:a"), ConsumerNotListed},
		{"session of openid", oidc.Caller{Provider: oidc.OpenID, Kind: oidc.User, Session: true}, NotInPolicy},
		{"listed app", entraApp(appA, "access_as_application"), Allowed},
		{"user in the group", *outsider(), Allowed},
	} {
		d := ask(t, p, "GET", "/isalive", &test.caller)
		if wantOutcome := map[bool]Outcome{true: Admitted, false: Public}[test.want == Allowed]; d.Outcome != wantOutcome || d.Reason != test.want {
			t.Errorf("%s: %+v", test.name, d)
		}
		if d := ask(t, p, "GET", "/x", &test.caller); d.Reason != test.want || d.Outcome == Public {
			t.Errorf("%s elsewhere: %+v", test.name, d)
		}
	}
}

// The matrix of S-18: who is admitted by what. What of a session's access token counts is decided where sessions are read.
func TestS18WhoIsAdmittedByWhat(t *testing.T) {
	t.Parallel()
	paths := []PathRule{public("/open"), narrowed("/a", Require{})}
	policies := map[string]*Policy{
		"none":       WithoutFile(Settings{RequireAuth: true}),
		"only paths": mustCompile(t, &Document{Paths: paths}, Settings{}),
		"users":      mustCompile(t, &Document{Paths: paths, Users: &Users{Groups: []string{staffGroup}}}, Settings{}),
		"idporten":   mustCompile(t, &Document{Paths: paths, IDPorten: &IDPorten{}}, Settings{IDPortenClients: []string{"own"}}),
		"providers": mustCompile(t, &Document{Paths: paths, Providers: []ProviderRule{
			{Where: "openid", Name: oidc.OpenID, Groups: []string{"staff"}}, {Where: "partner", Name: "partner", Clients: []string{"batch-1"}, Scopes: []string{"orders.read"}},
		}}, Settings{}),
		"rules": mustCompile(t, &Document{Paths: paths, Rules: rules()}, Settings{}),
	}
	session := func(provider string, groups ...string) oidc.Caller {
		return oidc.Caller{Provider: provider, Kind: oidc.User, Session: true, Groups: groups, Roles: []string{"orders.write"}}
	}
	callers := map[string]oidc.Caller{
		"openid":           session(oidc.OpenID, "staff"),
		"openid, no group": session(oidc.OpenID),
		"entra_id":         session(oidc.EntraID, staffGroup),
		"entra_id, none":   session(oidc.EntraID),
		"idporten":         session(oidc.IDPorten),
		"partner":          {Provider: "partner", Kind: oidc.App, ClientID: "batch-1", Scopes: []string{"orders.read"}},
		"tokenx":           tokenX(appA),
		"entra app":        entraApp(appA, "access_as_application"),
	}
	admitted := map[string][]string{
		"none":       {"openid", "openid, no group", "entra_id", "entra_id, none", "idporten", "tokenx"},
		"only paths": nil,
		"users":      {"entra_id"},
		"idporten":   {"idporten"},
		"providers":  {"openid", "partner"},
		"rules":      {"tokenx", "entra app"},
	}
	for part, p := range policies {
		for who, caller := range callers {
			want := names(admitted[part]).has(who)
			for _, path := range []string{"/a", "/b"} {
				if d := ask(t, p, "GET", path, &caller); (d.Outcome == Admitted) != want {
					t.Errorf("policy of %s, %s on %s: %+v", part, who, path, d)
				}
			}
			if d := ask(t, p, "GET", "/open", &caller); part != "none" && (d.Outcome == Refused || (d.Outcome == Admitted) != want) {
				t.Errorf("policy of %s, %s on a public path: %+v", part, who, d)
			}
		}
	}
}

func TestS18ProviderEntries(t *testing.T) {
	t.Parallel()
	p := mustCompile(t, &Document{Providers: []ProviderRule{
		{Where: "all", Name: "all", AllowAll: true},
		{Where: "both", Name: "both", Clients: []string{"batch-1"}, Scopes: []string{"a", "b"}, Groups: []string{"staff"}},
		{Where: "empty", Name: "empty"},
		{Where: "either 1", Name: "either", Clients: []string{"x"}},
		{Where: "either 2", Name: "either", Groups: []string{"staff"}},
	}}, Settings{})
	for _, test := range []struct {
		name   string
		caller oidc.Caller
		want   Decision
	}{
		{"everybody", oidc.Caller{Provider: "all"}, Decision{Outcome: Admitted, Rule: "all"}},
		{"all that is given holds", oidc.Caller{Provider: "both", ClientID: "batch-1", Scopes: []string{"b"}, Groups: []string{"staff"}}, Decision{Outcome: Admitted, Rule: "both"}},
		{"another client", oidc.Caller{Provider: "both", ClientID: "BATCH-1", Scopes: []string{"b"}, Groups: []string{"staff"}}, refused(ClientNotListed, "both")},
		{"a session has no client", oidc.Caller{Provider: "both", Session: true, Scopes: []string{"b"}, Groups: []string{"staff"}}, refused(ClientNotListed, "both")},
		{"another group", oidc.Caller{Provider: "both", ClientID: "batch-1", Scopes: []string{"b"}, Groups: []string{"Staff"}}, refused(NotInGroup, "both")},
		{"no scope", oidc.Caller{Provider: "both", ClientID: "batch-1", Groups: []string{"staff"}}, Decision{Reason: ScopeMissing, Rule: "both", Scope: "a b"}},
		{"an entry that gives nothing", oidc.Caller{Provider: "empty"}, refused(NotInPolicy, "empty")},
		{"one entry of two", oidc.Caller{Provider: "either", Groups: []string{"staff"}}, Decision{Outcome: Admitted, Rule: "either 2"}},
		{"none of two", oidc.Caller{Provider: "either"}, refused(ClientNotListed, "either 1")},
		{"no entry", oidc.Caller{Provider: "other"}, refused(NotInPolicy, "providers")},
	} {
		if got := ask(t, p, "GET", "/x", &test.caller); got != test.want {
			t.Errorf("%s: %+v; want %+v", test.name, got, test.want)
		}
	}
}

// TokenX copies what the login token said: none of it counts, even if it were read.
func TestS19CopiedClaimsOfTokenX(t *testing.T) {
	t.Parallel()
	p := mustCompile(t, &Document{
		Rules:        []InboundRule{{Where: "rule", App: App{"dev-gcp", "team-a", "app-a"}, Scopes: []string{"orders.write"}, Roles: []string{"admin"}}},
		Maskinporten: &Maskinporten{Scopes: []MaskinportenScope{{Name: "orders.write", Consumers: []string{"123456789"}}}},
		Users:        &Users{AllowAll: true},
		Paths: []PathRule{
			narrowed("/groups", Require{Groups: []string{adminGroup, "admin"}}), narrowed("/orders", Require{Scopes: []string{"orders.write"}, Roles: []string{"admin"}}),
			narrowed("/organizations", Require{Organizations: []string{"123456789"}}), narrowed("/employees", Require{Providers: []string{oidc.EntraID}}),
		},
	}, Settings{})
	caller := tokenX(appA)
	caller.Groups, caller.Scopes, caller.Roles = []string{"admin", adminGroup}, []string{"orders.write", "defaultaccess"}, []string{"admin"}
	caller.Organization, caller.Kind = "123456789", oidc.User
	for path, want := range map[string]Reason{
		"/x": Allowed, "/groups": NotInGroup, "/orders": KindNotAllowed, "/organizations": OrganizationNotListed, "/employees": ProviderNotAllowed,
	} {
		if d := ask(t, p, "POST", path, &caller); d.Reason != want {
			t.Errorf("%s: %+v; want %s", path, d, want)
		}
	}
	// A further issuer that mints the id of a rule as client is no app of the platform.
	stranger := oidc.Caller{Provider: "partner", Kind: oidc.App, ClientID: appA, Roles: []string{"access_as_application"}}
	if d := ask(t, p, "GET", "/x", &stranger); d.Reason != NotInPolicy {
		t.Errorf("further issuer: %+v", d)
	}
}

// Scope and consumer of one entry belong together: neither another entry's consumer nor another entry's scope helps.
func TestS46ScopeAndConsumerBelongToOneEntry(t *testing.T) {
	t.Parallel()
	p := mustCompile(t, &Document{Maskinporten: &Maskinporten{Scopes: []MaskinportenScope{
		{Where: "read", Name: "nav:read", Consumers: []string{"111111111"}},
		{Where: "write", Name: "nav:write", Consumers: []string{"222222222"}, DelegationSource: "altinn"},
		{Where: "read too", Name: "nav:read", Consumers: []string{"333333333"}},
	}}, Paths: []PathRule{narrowed("/write", Require{Scopes: []string{"nav:write"}})}}, Settings{})
	both := []string{"nav:read", "nav:write"}
	for _, test := range []struct {
		path   string
		caller oidc.Caller
		want   Decision
	}{
		{"/", consumer("111111111", "nav:read"), Decision{Outcome: Admitted, Rule: "read"}},
		{"/", consumer("333333333", "nav:read"), Decision{Outcome: Admitted, Rule: "read too"}},
		{"/", consumer("222222222", "nav:read"), refused(ConsumerNotListed, "read")},
		{"/", consumer("111111111", "nav:write"), refused(ConsumerNotListed, "write")},
		{"/", consumer("111111111", both...), Decision{Outcome: Admitted, Rule: "read"}},
		{"/write", consumer("111111111", both...), refused(ScopeNotGranted, `paths "/write"`)},
		{"/write", consumer("222222222", both...), Decision{Outcome: Admitted, Rule: `paths "/write"`}},
		{"/write", consumer("111111111", "nav:read"), refused(ScopeMissing, `paths "/write"`)},
	} {
		if got := ask(t, p, "GET", test.path, &test.caller); got != test.want {
			t.Errorf("%s by %s with %q: %+v; want %+v", test.path, test.caller.Organization, test.caller.Scopes, got, test.want)
		}
	}
}

func TestS46DefaultPermissionsOutsideNais(t *testing.T) {
	t.Parallel()
	p := mustCompile(t, &Document{Rules: rules(), Users: &Users{AllowAll: true}, Entra: Entra{DefaultScope: "use", DefaultRole: "Call.All"}}, Settings{})
	user, nais, app, naisApp := entraUser(appA, "use"), entraUser(appA, "defaultaccess"), entraApp(appA, "Call.All"), entraApp(appA, "access_as_application")
	if d := ask(t, p, "GET", "/", &user); d.Outcome != Admitted {
		t.Errorf("%+v", d)
	}
	if d := ask(t, p, "GET", "/", &nais); d.Reason != NoDefaultScope || d.Scope != "use" {
		t.Errorf("%+v", d)
	}
	if d := ask(t, p, "GET", "/", &app); d.Outcome != Admitted {
		t.Errorf("%+v", d)
	}
	if d := ask(t, p, "GET", "/", &naisApp); d.Reason != NoDefaultRole || d.Scope != "" {
		t.Errorf("%+v", d)
	}
}

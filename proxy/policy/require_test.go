package policy

import (
	"testing"

	"postern/oidc"
)

// TestDenyVectors are those of tokens.md 6.5 that are about decisions: the others are about a token's signature, times and class.
func TestDenyVectors(t *testing.T) {
	t.Parallel()
	p := mustCompile(t, &Document{
		App: App{"dev-gcp", "team-a", "my-app"}, Rules: rules(), Users: &Users{Groups: []string{staffGroup, "staff"}},
		IDPorten:     &IDPorten{Level: "idporten-loa-high"},
		Maskinporten: &Maskinporten{Scopes: []MaskinportenScope{{Name: "nav:afp.read", Consumers: []string{"123456789"}}}},
	}, Settings{IDPortenClients: []string{"own"}})
	groupName, overage, manager := entraUser(appA, "defaultaccess"), entraUser(appA, "defaultaccess"), entraUser(appA)
	groupName.Groups, overage.Overage, manager.Roles = []string{"Staff members"}, true, []string{"access_as_application"}
	supplier := consumer("987654321", "nav:afp.read")
	supplier.Supplier, supplier.ClientID = true, "123456789"
	for name, vector := range map[string]struct {
		caller oidc.Caller
		want   Reason
	}{
		"role-less app token":                               {entraApp(appA), NoDefaultRole},
		"user token whose roles hold access_as_application": {manager, NoDefaultScope},
		"same app name in another namespace":                {entraApp("dev-gcp:team-x:app-a", "access_as_application"), AppNotListed},
		"same app name in another cluster":                  {entraApp("prod-gcp:team-a:app-a", "access_as_application"), AppNotListed},
		"same app name in another namespace, TokenX":        {tokenX("dev-gcp:team-x:app-a"), AppNotListed},
		"azp_name matching while azp does not":              {entraApp("", "access_as_application"), UnknownApp},
		"rule *":                                            {entraApp("dev-gcp:team-a:*", "access_as_application"), AppNotListed},
		"rule *, TokenX":                                    {tokenX("dev-gcp:team-a:*"), AppNotListed},
		"group given by name":                               {groupName, NotInGroup},
		"overage token":                                     {overage, GroupsUnknown},
		"scope afp.readonly for afp.read":                   {consumer("123456789", "nav:afp.readonly"), ScopeNotOffered},
		"supplier orgno equal to an allowed consumer":       {supplier, ConsumerNotListed},
		"9908: prefix":                                      {consumer("", "nav:afp.read"), ConsumerNotListed},
		"TokenX self-call without rule":                     {tokenX("dev-gcp:team-a:my-app"), AppNotListed},
		"acr=Level3 where high is required":                 {idporten("own", "Level3"), LevelTooLow},
		"Level4 accepted for high":                          {idporten("own", "Level4"), Allowed},
	} {
		if d := ask(t, p, "GET", "/", &vector.caller); d.Reason != vector.want || (d.Outcome == Admitted) != (vector.want == Allowed) {
			t.Errorf("%s: %+v; want %s", name, d, vector.want)
		}
	}
}

// requires is a policy that admits many, and requires something of them at /r.
func requires(t *testing.T, paths ...PathRule) *Policy {
	return mustCompile(t, &Document{
		App: App{"dev-gcp", "team-a", "my-app"}, Rules: rules(), Users: &Users{AllowAll: true}, IDPorten: &IDPorten{},
		Maskinporten: &Maskinporten{Scopes: []MaskinportenScope{{Name: "orders.read", Consumers: []string{"123456789"}}, {Name: "nav:x", AccessibleForAll: true}}},
		Providers: []ProviderRule{
			{Where: "openid", Name: oidc.OpenID, AllowAll: true}, {Where: "partner", Name: "partner", Scopes: []string{"orders.read"}},
		},
		Paths: paths,
	}, Settings{EntraClientIDs: []string{"own-id"}})
}

// A permission counts if it is in the token and granted to that caller by its rule.
func TestRequiredPermissions(t *testing.T) {
	t.Parallel()
	const rule = `paths "/r"`
	p := requires(t, narrowed("/r", Require{Scopes: []string{"orders.read", "orders.all"}, Roles: []string{"orders.write"}}))
	session := oidc.Caller{Provider: oidc.EntraID, Kind: oidc.User, Session: true, Scopes: []string{"orders.all"}}
	own := entraUser("", "defaultaccess", "orders.all")
	own.ClientID = "own-id"
	ok := Decision{Outcome: Admitted, Rule: rule}
	for name, test := range map[string]struct {
		caller oidc.Caller
		want   Decision
	}{
		"user: in the token and granted":             {entraUser(appB, "defaultaccess", "orders.read"), ok},
		"user: granted, not in the token":            {entraUser(appB, "defaultaccess"), Decision{Reason: ScopeMissing, Rule: rule, Scope: "orders.read"}},
		"user: in the token, granted to another app": {entraUser(appA, "defaultaccess", "orders.read"), refused(ScopeNotGranted, rule)},
		"user: in neither":                           {entraUser(appA, "defaultaccess"), refused(ScopeMissing, rule)},
		"user: another scope granted would help":     {entraUser(appB, "defaultaccess", "orders.all"), Decision{Reason: ScopeNotGranted, Rule: rule, Scope: "orders.read"}},
		"user: roles are not looked at": {func() oidc.Caller {
			c := entraUser(appB, "defaultaccess")
			c.Roles = []string{"orders.write"}
			return c
		}(), Decision{Reason: ScopeMissing, Rule: rule, Scope: "orders.read"}},
		"user: no part of a word":                             {entraUser(appB, "defaultaccess", "orders.readonly", "orders"), Decision{Reason: ScopeMissing, Rule: rule, Scope: "orders.read"}},
		"app: in the token and granted":                       {entraApp(appB, "access_as_application", "orders.write"), ok},
		"app: granted, not in the token":                      {entraApp(appB, "access_as_application"), refused(RoleMissing, rule)},
		"app: in the token of before, not granted (any more)": {entraApp(appA, "access_as_application", "orders.write"), refused(RoleNotGranted, rule)},
		"app: scopes are not looked at": {func() oidc.Caller {
			c := entraApp(appB, "access_as_application")
			c.Scopes = []string{"orders.read"}
			return c
		}(), refused(RoleMissing, rule)},
		"session: what its token has is granted":        {session, ok},
		"session: without":                              {oidc.Caller{Provider: oidc.EntraID, Kind: oidc.User, Session: true}, Decision{Reason: ScopeMissing, Rule: rule, Scope: "orders.read orders.all"}},
		"own client: what its token has is granted":     {own, ok},
		"Maskinporten: of an entry that admits":         {consumer("123456789", "orders.read"), ok},
		"Maskinporten: of an entry that does not admit": {consumer("987654321", "orders.read", "nav:x"), refused(ScopeNotGranted, rule)},
		"Maskinporten: another":                         {consumer("123456789", "nav:x"), Decision{Reason: ScopeMissing, Rule: rule, Scope: "orders.read"}},
		"openid: the token's own":                       {oidc.Caller{Provider: oidc.OpenID, Kind: oidc.User, Session: true, Scopes: []string{"orders.all"}}, ok},
		"partner: by the entry's scopes":                {oidc.Caller{Provider: "partner", Kind: oidc.App, Scopes: []string{"orders.read"}}, ok},
		"TokenX has none":                               {tokenX(appB), refused(KindNotAllowed, rule)},
		"ID-porten has none":                            {oidc.Caller{Provider: oidc.IDPorten, Kind: oidc.User, Session: true, Scopes: []string{"orders.read"}}, refused(KindNotAllowed, rule)},
	} {
		if got := ask(t, p, "GET", "/r", &test.caller); got != test.want {
			t.Errorf("%s: %+v; want %+v", name, got, test.want)
		}
	}
}

// An explicit rule for the own app says what its own tokens and sessions are granted.
func TestRequiredPermissionsOfTheOwnApp(t *testing.T) {
	t.Parallel()
	doc := &Document{
		App: App{"dev-gcp", "team-a", "my-app"}, Users: &Users{AllowAll: true},
		Rules: []InboundRule{{Where: "self", App: App{"dev-gcp", "team-a", "my-app"}, Scopes: []string{"a"}, Roles: []string{"r"}}},
		Paths: []PathRule{narrowed("/a", Require{Scopes: []string{"a"}}), narrowed("/b", Require{Scopes: []string{"b"}}), narrowed("/default", Require{Scopes: []string{"defaultaccess"}})},
	}
	own := entraUser("", "defaultaccess", "a", "b")
	own.ClientID = "own-id"
	session := own
	session.Session, session.ClientID = true, ""
	p := mustCompile(t, doc, Settings{EntraClientIDs: []string{"own-id"}})
	for path, want := range map[string]Reason{"/a": Allowed, "/b": ScopeNotGranted, "/default": Allowed} {
		for _, caller := range []oidc.Caller{own, session} {
			if d := ask(t, p, "GET", path, &caller); d.Reason != want {
				t.Errorf("%s, session %v: %+v", path, caller.Session, d)
			}
		}
	}
}

// Where only one of scopes and roles stands, a kind that has none of it is refused.
func TestRequiredPermissionsOfOneKind(t *testing.T) {
	t.Parallel()
	p := requires(t, narrowed("/scopes", Require{Scopes: []string{"orders.read"}}), narrowed("/roles", Require{Roles: []string{"orders.write"}}))
	app, user := entraApp(appB, "access_as_application", "orders.write"), entraUser(appB, "defaultaccess", "orders.read")
	machine := consumer("123456789", "orders.read")
	for _, test := range []struct {
		path   string
		caller *oidc.Caller
		want   Reason
	}{
		{"/scopes", &user, Allowed},
		{"/scopes", &app, KindNotAllowed},
		{"/scopes", &machine, Allowed},
		{"/roles", &user, KindNotAllowed},
		{"/roles", &app, Allowed},
		{"/roles", &machine, KindNotAllowed},
	} {
		if d := ask(t, p, "GET", test.path, test.caller); d.Reason != test.want {
			t.Errorf("%s by %s of %s: %+v", test.path, test.caller.Kind, test.caller.Provider, d)
		}
	}
}

func TestRequiredMembers(t *testing.T) {
	t.Parallel()
	p := requires(t,
		narrowed("/groups", Require{Groups: []string{"x", adminGroup}}), narrowed("/kind", Require{Kind: "app"}),
		narrowed("/providers", Require{Providers: []string{oidc.TokenX, "partner"}}), narrowed("/organizations", Require{Organizations: []string{"123456789"}}),
		narrowed("/all", Require{Kind: "user", Providers: []string{oidc.EntraID}, Groups: []string{adminGroup}}), narrowed("/none", Require{}),
	)
	upper, overage, app := *insider(), *insider(), entraApp(appA, "access_as_application")
	upper.Groups, overage.Overage, app.Groups = []string{"8F0BD3B2-9D3D-4F27-8543-5938DB3E6A3E"}, true, []string{adminGroup}
	staff := oidc.Caller{Provider: oidc.OpenID, Kind: oidc.User, Session: true, Groups: []string{"x"}}
	upperStaff := staff
	upperStaff.Groups = []string{"X"}
	machine, partner, citizen := consumer("123456789", "nav:x"), oidc.Caller{Provider: "partner", Kind: oidc.App, Scopes: []string{"orders.read"}, Organization: "123456789"}, tokenX(appA)
	for _, test := range []struct {
		name, path string
		caller     *oidc.Caller
		want       Reason
	}{
		{"a group", "/groups", insider(), Allowed},
		{"a GUID in another case", "/groups", &upper, Allowed},
		{"no group", "/groups", outsider(), NotInGroup},
		{"overage beside it", "/groups", &overage, GroupsUnknown},
		{"a group of openid", "/groups", &staff, Allowed},
		{"a group of openid in another case", "/groups", &upperStaff, NotInGroup},
		{"groups of an app", "/groups", &app, NotInGroup},
		{"groups of an organisation", "/groups", &machine, NotInGroup},
		{"an app", "/kind", &app, Allowed},
		{"an organisation", "/kind", &machine, Allowed},
		{"a person", "/kind", insider(), KindNotAllowed},
		{"a provider", "/providers", &citizen, Allowed},
		{"another issuer", "/providers", &partner, Allowed},
		{"another provider", "/providers", insider(), ProviderNotAllowed},
		{"an organisation of the list", "/organizations", &machine, Allowed},
		{"one that another issuer speaks of", "/organizations", &partner, OrganizationNotListed},
		{"none", "/organizations", insider(), OrganizationNotListed},
		{"all of them", "/all", insider(), Allowed},
		{"all but one", "/all", outsider(), NotInGroup},
		{"nothing is required", "/none", outsider(), Allowed},
	} {
		if d := ask(t, p, "GET", test.path, test.caller); d.Reason != test.want {
			t.Errorf("%s at %s: %+v; want %s", test.name, test.path, d, test.want)
		}
	}
}

// Rules of different readings all hold.
func TestRulesOfAllReadingsHold(t *testing.T) {
	t.Parallel()
	p := requires(t, narrowed("/a/**", Require{Groups: []string{adminGroup}}), narrowed("/b/**", Require{Groups: []string{staffGroup}}))
	one, other, both := outsider(), insider(), insider()
	other.Groups = []string{adminGroup}
	for caller, want := range map[*oidc.Caller]Reason{one: NotInGroup, other: NotInGroup, both: Allowed} {
		if d := ask(t, p, "GET", "/a/..%2fb/x", caller); d.Reason != want {
			t.Errorf("%q: %+v", caller.Groups, d)
		}
	}
}

// The level is asked for last, and the highest of all: who logs in anew is not refused thereafter.
func TestRequiredLevel(t *testing.T) {
	t.Parallel()
	p := mustCompile(t, &Document{
		Rules: rules(), IDPorten: &IDPorten{Level: "idporten-loa-substantial"}, Users: &Users{AllowAll: true},
		Paths: []PathRule{
			narrowed("/high", Require{Level: "Level4"}), narrowed("/low", Require{Level: "idporten-loa-low"}), narrowed("/own", Require{Level: "urn:mfa"}),
			narrowed("/strangers", Require{Level: "Level4", Kind: "app"}), public("/open"),
		},
	}, Settings{})
	for _, test := range []struct{ path, acr, needed string }{
		{"/", "", "idporten-loa-substantial"},
		{"/", "Level3", ""},
		{"/", "idporten-loa-high", ""},
		{"/", "idporten-loa-low", "idporten-loa-substantial"},
		{"/high", "", "idporten-loa-high"},
		{"/high", "Level3", "idporten-loa-high"},
		{"/high", "Level4", ""},
		{"/low", "idporten-loa-low", "idporten-loa-substantial"},
		{"/low", "Level4", ""},
		{"/own", "Level4", "urn:mfa"},
		{"/own", "urn:mfa", "idporten-loa-substantial"},
	} {
		caller := tokenX(appA)
		caller.ACR = test.acr
		d := ask(t, p, "GET", test.path, &caller)
		if d.ACR != test.needed || (d.Reason == LevelTooLow) != (test.needed != "") || (d.Outcome == Admitted) != (test.needed == "") {
			t.Errorf("%s with %q: %+v; want %q", test.path, test.acr, d, test.needed)
		}
	}
	employee := outsider()
	if d := ask(t, p, "GET", "/", employee); d.Outcome != Admitted {
		t.Errorf("idporten.level is not about Entra ID: %+v", d)
	}
	if d := ask(t, p, "GET", "/high", employee); d.Reason != LevelTooLow {
		t.Errorf("require.level is about everybody: %+v", d)
	}
	if d := ask(t, p, "GET", "/strangers", employee); d.Reason != KindNotAllowed {
		t.Errorf("a login would not help: %+v", d)
	}
	citizen := tokenX(appA)
	if d := ask(t, p, "GET", "/open", &citizen); d.Outcome != Public || d.Reason != LevelTooLow {
		t.Errorf("too low on a public path: %+v", d)
	}
}

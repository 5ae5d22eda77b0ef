package policy

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"postern/oidc"
)

// row is a caller against a policy of one part, on a path of no rule.
type row struct {
	name   string // the cell of tokens.md 6.3, or the difference of contract 5
	doc    Document
	s      Settings
	caller oidc.Caller
	want   Decision
}

func (r row) run(t *testing.T) {
	t.Run(r.name, func(t *testing.T) {
		t.Parallel()
		got := ask(t, mustCompile(t, &r.doc, r.s), "GET", "/x", &r.caller)
		if r.want.Reason == Allowed {
			r.want.Outcome = Admitted
		}
		if diff := cmp.Diff(r.want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

const (
	appA = "dev-gcp:team-a:app-a"
	appB = "dev-gcp:team-b:app-b"
)

// rules admit app-a with nothing more, and app-b with permissions.
func rules() []InboundRule {
	return []InboundRule{
		{Where: "rule a", App: App{"dev-gcp", "team-a", "app-a"}},
		{Where: "rule b", App: App{"dev-gcp", "team-b", "app-b"}, Scopes: []string{"orders.read"}, Roles: []string{"orders.write"}},
		{Where: "rule *", App: App{"dev-gcp", "team-a", "*"}},
	}
}

func entraApp(app string, roles ...string) oidc.Caller {
	return oidc.Caller{Provider: oidc.EntraID, Kind: oidc.App, ClientID: "id of " + app, App: app, Roles: roles}
}

func entraUser(app string, scopes ...string) oidc.Caller {
	return oidc.Caller{Provider: oidc.EntraID, Kind: oidc.User, ClientID: "id of " + app, App: app, Scopes: scopes, Object: "oid"}
}

func (r row) with(change func(*oidc.Caller)) row {
	change(&r.caller)
	return r
}

func tokenX(clientID string) oidc.Caller {
	return oidc.Caller{Provider: oidc.TokenX, Kind: oidc.User, ClientID: clientID, App: clientID, User: "pid"}
}

func idporten(clientID, acr string) oidc.Caller {
	return oidc.Caller{Provider: oidc.IDPorten, Kind: oidc.User, ClientID: clientID, ACR: acr, User: "pid"}
}

func consumer(organization string, scopes ...string) oidc.Caller {
	return oidc.Caller{Provider: oidc.Maskinporten, Kind: oidc.App, ClientID: "client", Organization: organization, Scopes: scopes}
}

func refused(reason Reason, rule string) Decision { return Decision{Reason: reason, Rule: rule} }

// TestDecisionTable has a row for each cell of the table in tokens.md 6.3 that is about decisions; those about signature, issuer, audience of
// the other providers, times and class belong to the verifier.
func TestDecisionTable(t *testing.T) {
	t.Parallel()
	entra := Document{App: App{"dev-gcp", "team-a", "my-app"}, Rules: rules(), Users: &Users{AllowAll: true}}
	own := Settings{EntraClientIDs: []string{"own-id"}}
	nobody, grouped, tenants := entra, entra, entra
	nobody.Users, grouped.Users, tenants.Entra = &Users{}, &Users{Groups: []string{staffGroup}}, Entra{Tenants: []string{"tenant-1"}}
	noDefaults := Decision{Reason: NoDefaultScope, Rule: "rule a", Scope: "defaultaccess"}
	inGroups := func(groups ...string) oidc.Caller {
		c := entraUser(appA, "defaultaccess")
		c.Groups = groups
		return c
	}
	ownUser := entraUser("", "defaultaccess")
	ownUser.ClientID = "own-id"
	ownApp := entraApp("", "access_as_application")
	ownApp.ClientID = "own-id"
	for _, r := range []row{
		{name: "Tenant: tid: other tenant", doc: tenants, caller: oidc.Caller{Provider: oidc.EntraID, Kind: oidc.App, Tenant: "tenant-2"}, want: refused(WrongTenant, "entra.tenants")},
		{name: "Tenant: absent tid in a list", doc: tenants, caller: entraApp(appA, "access_as_application"), want: refused(WrongTenant, "entra.tenants")},
		row{name: "Tenant: one of the list, in any case", doc: tenants, caller: entraApp(appA, "access_as_application"), want: allowed("rule a")}.with(func(c *oidc.Caller) { c.Tenant = "TENANT-1" }),

		{name: "Application rule (Entra): azp maps to a name in the rule set", doc: entra, caller: entraApp(appA, "access_as_application"), want: allowed("rule a")},
		{name: "Application rule (Entra): azp unknown", doc: entra, caller: entraApp("", "access_as_application"), want: refused(UnknownApp, "inbound.rules")},
		{name: "Application rule (Entra): name not in rules", doc: entra, caller: entraApp("dev-gcp:team-a:other", "access_as_application"), want: refused(AppNotListed, "inbound.rules")},
		{name: "Application rule (Entra): own client id counts as allowed, user", doc: entra, s: own, caller: ownUser, want: allowed("users")},
		{name: "Application rule (Entra): own client id counts as allowed, app", doc: entra, s: own, caller: ownApp, want: allowed(ownClient)},
		row{name: "Application rule (Entra): an empty client id is not the own one", doc: entra, s: Settings{EntraClientIDs: []string{""}}, caller: ownApp, want: refused(UnknownApp, "inbound.rules")}.
			with(func(c *oidc.Caller) { c.ClientID = "" }),

		{name: "Default app permission: app-only: roles contains access_as_application", doc: entra, caller: entraApp(appB, "x", "access_as_application"), want: allowed("rule b")},
		{name: "Default app permission: app-only: missing, even if azp is listed", doc: entra, caller: entraApp(appA, "orders.write"), want: refused(NoDefaultRole, "rule a")},
		{name: "Default app permission: app-only: none at all", doc: entra, caller: entraApp(appA), want: refused(NoDefaultRole, "rule a")},
		{name: "Default app permission: user: scp contains defaultaccess", doc: entra, caller: entraUser(appA, "defaultaccess"), want: allowed("users")},
		{name: "Default app permission: user: missing, scope=defaultaccess", doc: entra, caller: entraUser(appA, "orders.read"), want: noDefaults},
		{name: "Default app permission: own client needs it too", doc: entra, s: own, caller: func() oidc.Caller { c := ownUser; c.Scopes = nil; return c }(), want: Decision{Reason: NoDefaultScope, Rule: ownClient, Scope: "defaultaccess"}},
		row{name: "Default app permission: roles of a user are the user's", doc: entra, caller: entraUser(appA), want: noDefaults}.with(func(c *oidc.Caller) { c.Roles = []string{"access_as_application"} }),
		row{name: "Default app permission: scopes of an app are none", doc: entra, caller: entraApp(appA), want: refused(NoDefaultRole, "rule a")}.with(func(c *oidc.Caller) { c.Scopes = []string{"defaultaccess"} }),
		{name: "permissions: grants, never requirements, app", doc: entra, caller: entraApp(appB, "access_as_application"), want: allowed("rule b")},
		{name: "permissions: grants, never requirements, user", doc: entra, caller: entraUser(appB, "defaultaccess"), want: allowed("users")},
		{name: "permissions: those beyond do not refuse", doc: entra, caller: entraApp(appB, "access_as_application", "orders.delete"), want: allowed("rule b")},

		{name: "claims.groups: one of the ids", doc: grouped, caller: inGroups("x", staffGroup), want: allowed("users")},
		{name: "claims.groups: GUID, case-insensitive", doc: grouped, caller: inGroups("43451D82-19CD-4828-918D-CBF7D5B572EC"), want: allowed("users")},
		{name: "claims.groups: empty intersection", doc: grouped, caller: inGroups(adminGroup), want: refused(NotInGroup, "users")},
		{name: "claims.groups: none", doc: grouped, caller: inGroups(), want: refused(NotInGroup, "users")},
		row{name: "claims.groups: overage", doc: grouped, caller: inGroups(), want: refused(GroupsUnknown, "users")}.with(func(c *oidc.Caller) { c.Overage = true }),
		{name: "claims.groups: not applied to app-only tokens", doc: grouped, caller: entraApp(appA, "access_as_application"), want: allowed("rule a")},
		row{name: "allowAllUsers true: groups stay informational, overage too", doc: entra, caller: inGroups("x"), want: allowed("users")}.with(func(c *oidc.Caller) { c.Overage = true }),
		{name: "allowAllUsers false, no groups: every user token", doc: nobody, caller: inGroups(staffGroup), want: refused(UsersNotAllowed, "users")},
		{name: "allowAllUsers false, no groups: not app tokens", doc: nobody, caller: entraApp(appA, "access_as_application"), want: allowed("rule a")},
		{name: "entra: enabled: false counts as absent", doc: Document{EntraOff: true, Rules: rules(), Users: &Users{AllowAll: true}}, caller: entraUser(appA, "defaultaccess"), want: refused(NotInPolicy, "azure.application.enabled")},
		{name: "a caller of no kind", doc: entra, caller: oidc.Caller{Provider: oidc.EntraID, App: appA}, want: refused(NotInPolicy, "")},
	} {
		r.run(t)
	}
}

func TestDecisionTableOfCitizens(t *testing.T) {
	t.Parallel()
	doc := Document{App: App{"dev-gcp", "team-a", "my-app"}, Rules: rules()}
	loa := doc
	loa.IDPorten = &IDPorten{Level: "idporten-loa-high", Clients: []string{"sister"}}
	idps := doc
	idps.TokenX.IDPs = []string{"https://test.idp"}
	on := Settings{IDPortenEnabled: true, IDPortenClients: []string{"own"}}
	from := func(idp string, idporten bool) oidc.Caller {
		c := tokenX(appA)
		c.IDP, c.FromIDPorten = idp, idporten
		return c
	}
	tooLow := Decision{Reason: LevelTooLow, Rule: "idporten.level", ACR: "idporten-loa-high"}
	level := func(acr string) oidc.Caller { c := tokenX(appA); c.ACR = acr; return c }
	for _, r := range []row{
		{name: "TokenX application rule: client_id equal to a rule id", doc: doc, caller: tokenX(appA), want: allowed("rule a")},
		{name: "TokenX application rule: not listed", doc: doc, caller: tokenX("dev-gcp:team-a:other"), want: refused(AppNotListed, "inbound.rules")},
		{name: "TokenX application rule: in another case", doc: doc, caller: tokenX("dev-gcp:team-a:APP-A"), want: refused(AppNotListed, "inbound.rules")},
		{name: "TokenX application rule: self is not implicit", doc: doc, s: Settings{TokenXClientID: doc.App.String()}, caller: tokenX(doc.App.String()), want: refused(AppNotListed, "inbound.rules")},
		{name: "TokenX application rule: no client_id", doc: doc, caller: tokenX(""), want: refused(AppNotListed, "inbound.rules")},
		{name: "TokenX: enabled: false counts as absent", doc: Document{TokenXOff: true, Rules: rules()}, caller: tokenX(appA), want: refused(NotInPolicy, "tokenx.enabled")},
		{name: "TokenX origin: idp is the enabled ID-porten", doc: doc, s: on, caller: from("https://idporten.no", true), want: allowed("rule a")},
		{name: "TokenX origin: other", doc: doc, s: on, caller: from("https://test.idp", false), want: refused(ForeignIDP, "tokenx.idps")},
		{name: "TokenX origin: in tokenx.idps", doc: idps, s: on, caller: from("https://test.idp", false), want: allowed("rule a")},
		{name: "TokenX origin: idps are a list, with ID-porten off too", doc: idps, caller: from("https://other.idp", false), want: refused(ForeignIDP, "tokenx.idps")},
		{name: "TokenX origin: absent", doc: doc, s: on, caller: from("", false), want: allowed("rule a")},
		{name: "TokenX origin: ID-porten is not enabled", doc: doc, caller: from("https://test.idp", false), want: allowed("rule a")},

		{name: "level: high", doc: loa, s: on, caller: level("idporten-loa-high"), want: allowed("rule a")},
		{name: "level: Level4 is high", doc: loa, s: on, caller: level("Level4"), want: allowed("rule a")},
		{name: "level: Level3 is lower than required", doc: loa, s: on, caller: level("Level3"), want: tooLow},
		{name: "level: substantial is lower", doc: loa, s: on, caller: level("idporten-loa-substantial"), want: tooLow},
		{name: "level: missing", doc: loa, s: on, caller: level(""), want: tooLow},
		{name: "level: unknown", doc: loa, s: on, caller: level("Level5"), want: tooLow},
		{name: "level: ID-porten too low", doc: loa, s: on, caller: idporten("own", "Level3"), want: tooLow},
		{name: "level: ID-porten high", doc: loa, s: on, caller: idporten("own", "Level4"), want: allowed("idporten")},
		{name: "level: a session of ID-porten too low", doc: loa, s: on, caller: oidc.Caller{Provider: oidc.IDPorten, Kind: oidc.User, Session: true, ACR: "idporten-loa-low"}, want: tooLow},
		{name: "level: a stranger hears that first", doc: loa, s: on, caller: tokenX("dev-gcp:team-a:other"), want: refused(AppNotListed, "inbound.rules")},

		{name: "ID-porten: no part", doc: doc, s: on, caller: idporten("own", ""), want: refused(NotInPolicy, "idporten")},
		{name: "ID-porten: client in idporten.clients", doc: loa, s: on, caller: idporten("sister", "Level4"), want: allowed("idporten")},
	} {
		r.run(t)
	}
}

func TestDecisionTableOfOrganizations(t *testing.T) {
	t.Parallel()
	const afp, all, delegated = "nav:helse/sykepenger/afp.read", "nav:open", "nav:helse/delegated"
	doc := Document{Maskinporten: &Maskinporten{Scopes: []MaskinportenScope{
		{Where: "afp", Name: afp, Consumers: []string{"123456789"}},
		{Where: "all", Name: all, AccessibleForAll: true},
		{Where: "delegated", Name: delegated, Consumers: []string{"123456789"}, DelegationSource: "altinn"},
	}}}
	audience := Document{Maskinporten: &Maskinporten{Audience: "https://api", Scopes: doc.Maskinporten.Scopes}}
	offered := Decision{Reason: ScopeNotOffered, Rule: "maskinporten.scopes", Scope: afp + " " + all + " " + delegated}
	supplied := func(source string, scopes ...string) oidc.Caller {
		c := consumer("123456789", scopes...)
		c.Supplier, c.DelegationSource = true, source
		return c
	}
	meantFor := func(aud ...string) oidc.Caller { c := consumer("123456789", afp); c.Audience = aud; return c }
	for _, r := range []row{
		{name: "scope: exact word", doc: doc, caller: consumer("123456789", "x", afp), want: allowed("afp")},
		{name: "scope: missing", doc: doc, caller: consumer("123456789"), want: offered},
		{name: "scope: prefix similarity is not a match: afp.readonly", doc: doc, caller: consumer("123456789", afp+"only"), want: offered},
		{name: "scope: a shorter one is not a match", doc: doc, caller: consumer("123456789", "nav:helse/sykepenger/afp"), want: offered},
		{name: "consumer: of that scope", doc: doc, caller: consumer("987654321", afp), want: refused(ConsumerNotListed, "afp")},
		{name: "consumer: accessibleForAll", doc: doc, caller: consumer("987654321", all), want: allowed("all")},
		{name: "consumer: other ICD or authority", doc: doc, caller: consumer("", afp), want: refused(ConsumerNotListed, "afp")},
		{name: "consumer: other ICD or authority with accessibleForAll", doc: doc, caller: consumer("", all), want: refused(ConsumerNotListed, "all")},
		{name: "consumer: client_id never decides", doc: doc, caller: oidc.Caller{Provider: oidc.Maskinporten, Kind: oidc.App, ClientID: "123456789", Scopes: []string{afp}}, want: refused(ConsumerNotListed, "afp")},
		{name: "delegation: supplier while the scope has no delegationSource", doc: doc, caller: supplied("https://www.altinn.no/", afp), want: refused(DelegationRefused, "afp")},
		{name: "delegation: the source", doc: doc, caller: supplied("altinn", delegated), want: allowed("delegated")},
		{name: "delegation: the address of that source", doc: doc, caller: supplied("https://tt02.altinn.no/", delegated), want: allowed("delegated")},
		{name: "delegation: source differs", doc: doc, caller: supplied("https://other.no/", delegated), want: refused(DelegationRefused, "delegated")},
		{name: "delegation: source looks like it", doc: doc, caller: supplied("https://evil.no/.altinn.no/", delegated), want: refused(DelegationRefused, "delegated")},
		{name: "delegation: source looks like it without a dot", doc: doc, caller: supplied("https://evilaltinn.no/", delegated), want: refused(DelegationRefused, "delegated")},
		{name: "delegation: no source in the token", doc: doc, caller: supplied("", delegated), want: refused(DelegationRefused, "delegated")},
		{name: "delegation: none, where one may be", doc: doc, caller: consumer("123456789", delegated), want: allowed("delegated")},
		{name: "delegation: a listed scope beside it admits", doc: doc, caller: supplied("altinn", afp, delegated), want: allowed("delegated")},
		{name: "the refusal that came furthest is told", doc: doc, caller: func() oidc.Caller { c := supplied("x", all, afp); c.Organization = "987654321"; return c }(), want: refused(DelegationRefused, "all")},
		{name: "audience: configured and absent", doc: audience, caller: meantFor(), want: refused(WrongAudience, "maskinporten.audience")},
		{name: "audience: configured and unspecified", doc: audience, caller: meantFor("unspecified"), want: refused(WrongAudience, "maskinporten.audience")},
		{name: "audience: configured and different", doc: audience, caller: meantFor("https://api/"), want: refused(WrongAudience, "maskinporten.audience")},
		{name: "audience: configured and one of several", doc: audience, caller: meantFor("x", "https://api"), want: allowed("afp")},
		{name: "audience: not configured", doc: doc, caller: meantFor("https://other"), want: allowed("afp")},
		{name: "no part", doc: Document{Rules: rules()}, caller: consumer("123456789", afp), want: refused(NotInPolicy, "maskinporten.scopes")},
		{name: "part without scopes", doc: Document{Maskinporten: &Maskinporten{}}, caller: consumer("123456789", afp), want: refused(NotInPolicy, "maskinporten.scopes")},
	} {
		r.run(t)
	}
}

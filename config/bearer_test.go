package config

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// everybody enables all four providers of the platform.
func everybody() []string {
	return []string{
		"AZURE_ENABLED=true", "AZURE_APP_CLIENT_ID=entra-app", "AZURE_APP_CLIENT_SECRET=s", "AZURE_APP_WELL_KNOWN_URL=" + entraWellKnown("tenant"),
		"TOKEN_X_ENABLED=true", "TOKEN_X_CLIENT_ID=dev:team:app", "TOKEN_X_PRIVATE_JWK=" + privateJWK,
		"TOKEN_X_WELL_KNOWN_URL=https://tokenx.example.org/.well-known/oauth-authorization-server",
		"MASKINPORTEN_ENABLED=true", "MASKINPORTEN_CLIENT_ID=m", "MASKINPORTEN_CLIENT_JWK=" + privateJWK,
		"MASKINPORTEN_WELL_KNOWN_URL=https://maskinporten.example.org/.well-known/oauth-authorization-server",
		"IDPORTEN_ENABLED=true", "IDPORTEN_AUDIENCE=https://app.example.org", "IDPORTEN_WELL_KNOWN_URL=https://idporten.example.org/.well-known/openid-configuration",
	}
}

func entraWellKnown(tenant string) string {
	return "https://login.microsoftonline.com/" + tenant + "/v2.0/.well-known/openid-configuration"
}

const (
	partner  = "{name: partner, issuer: https://partner.example.org, audience: us, jwks-uri: https://partner.example.org/keys}"
	tenantID = "11111111-2222-3333-4444-abcdefABCDEF"
)

func TestWhoseTokensAreAccepted(t *testing.T) {
	t.Parallel()
	all := []string{"entra_id", "tokenx", "maskinporten", "idporten"}
	for _, test := range []struct {
		name string
		w    world
		want []string
	}{
		{"nobody's by default", withLogin().with(everybody()...), nil},
		{"with require-auth", withLogin().with(everybody()...).with("POSTERN_REQUIRE_AUTH=true"), all},
		{"with a policy", withLogin().with(everybody()...).with("POSTERN_POLICY_FILE=p"), all},
		{"with a policy, and said otherwise", withLogin().with(everybody()...).with("POSTERN_POLICY_FILE=p", "POSTERN_BEARER_PROVIDERS=none"), nil},
		{"said to be empty", withLogin().with(everybody()...).with("POSTERN_POLICY_FILE=p", "POSTERN_BEARER_PROVIDERS="), nil},
		{"all", withLogin().with(everybody()...).with("POSTERN_BEARER_PROVIDERS=all"), all},
		{"some, in the order of all", withLogin().with(everybody()...).with("POSTERN_BEARER_PROVIDERS=maskinporten,tokenx"), []string{"tokenx", "maskinporten"}},
		{"all of nobody is off and no mistake", withLogin().with("POSTERN_BEARER_PROVIDERS=all"), nil},
		{"login alone vouches by sessions only", withLogin().with("POSTERN_REQUIRE_AUTH=true"), nil},
		{
			"further issuers come last",
			withLogin().with(everybody()...).with("POSTERN_REQUIRE_AUTH=true", "POSTERN_ISSUERS=["+partner+"]"),
			append(all[:4:4], "partner"),
		},
		{"a further issuer alone", withLogin().with("POSTERN_BEARER_PROVIDERS=partner", "POSTERN_ISSUERS=["+partner+"]"), []string{"partner"}},
		{"Entra ID as login provider", world{env: []string{
			"POSTERN_OPENID_PROVIDER=azure", "POSTERN_INGRESS=https://app", "AZURE_APP_CLIENT_ID=a", "AZURE_APP_CLIENT_SECRET=s",
			"AZURE_APP_WELL_KNOWN_URL=" + entraWellKnown("tenant"), "POSTERN_REQUIRE_AUTH=true",
		}}, []string{"entra_id"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c := test.w.load(t).Config
			if diff := cmp.Diff(test.want, c.InboundProviders(), cmpopts.EquateEmpty()); diff != "" {
				t.Error(diff)
			}
			if c.Bearer.Enabled() != (len(test.want) > 0) {
				t.Errorf("bearer validation on: %v", c.Bearer.Enabled())
			}
		})
	}
	t.Run("without login require-auth needs somebody", func(t *testing.T) {
		t.Parallel()
		w := world{env: []string{"POSTERN_UPSTREAM_HOST=app:80", "POSTERN_REQUIRE_AUTH=true"}}
		w.refused(t, "require-auth", "nobody")
		w.with("POSTERN_BEARER_PROVIDERS=all").refused(t, "require-auth", "nobody")
		w.with("POSTERN_BEARER_PROVIDERS=tokenx").refused(t, "bearer.providers", "TOKEN_X_ENABLED=true")
		w.with(everybody()...).load(t)
		w.with("POSTERN_ISSUERS=[" + partner + "]").load(t)
	})
	t.Run("bearer validation is a front door", func(t *testing.T) {
		t.Parallel()
		loaded := world{env: append(everybody(), "POSTERN_BEARER_PROVIDERS=tokenx")}.load(t)
		if c := loaded.Config; c.TexasOnly() || c.Server.BindAddress == "" || !c.Bearer.Set {
			t.Errorf("bind address %q, said %v", c.Server.BindAddress, c.Bearer.Set)
		}
		if len(loaded.Warnings) > 0 {
			t.Errorf("warnings %q", loaded.Warnings)
		}
	})
}

func TestBearerProvidersThatCannotBeMeant(t *testing.T) {
	t.Parallel()
	azure := []string{"POSTERN_OPENID_PROVIDER=azure"}
	for _, test := range []struct {
		name, providers string
		env             []string
		words           string
	}{
		{"misspelt", "tokenx,maskinportn", everybody(), "entry 2 must be one of all, none, entra_id, tokenx, maskinporten, idporten, openid; nearest: maskinporten"},
		{"misspelt issuer", "partnr", []string{"POSTERN_ISSUERS=[" + partner + "]"}, "openid, partner; nearest: partner"},
		{"all and more", "all,tokenx", everybody(), "all stands alone"},
		{"none and more", "tokenx,none", everybody(), "none stands alone"},
		{"twice", "tokenx,tokenx", everybody(), "entry 2 repeats"},
		{"Entra ID that is not enabled", "entra_id", nil, "AZURE_ENABLED=true or openid.provider=azure"},
		{"TokenX that is not enabled", "tokenx", nil, "TOKEN_X_ENABLED=true"},
		{"Maskinporten that is not enabled", "maskinporten", nil, "MASKINPORTEN_ENABLED=true"},
		{"ID-porten that is not enabled", "idporten", nil, "IDPORTEN_ENABLED=true"},
		{"generic provider that is another", "openid", azure, "openid.provider says azure"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			withLogin().with(test.env...).with("POSTERN_BEARER_PROVIDERS="+test.providers).refused(t, "bearer.providers", test.words)
		})
	}
	w := withLogin().with("POSTERN_BEARER_PROVIDERS=none", "POSTERN_ISSUERS=["+partner+"]")
	if got := w.load(t).Warnings; len(got) != 1 || !strings.HasPrefix(got[0], "issuers: has no effect") {
		t.Errorf("warnings %q", got)
	}
}

func TestS26LoginProviderInboundNeedsAnotherAudience(t *testing.T) {
	t.Parallel()
	w := withLogin().with("POSTERN_BEARER_PROVIDERS=openid")
	w.refused(t, "bearer.providers", "openid.audiences")
	w.with("POSTERN_OPENID_AUDIENCES=app").refused(t, "bearer.providers", "openid.audiences")
	c := w.with("POSTERN_OPENID_AUDIENCES=app,https://api.example.org").load(t).Config
	if diff := cmp.Diff([]string{"https://api.example.org"}, c.InboundAudiences("openid")); diff != "" {
		t.Errorf("the client id is no audience of access tokens: %s", diff)
	}
	all := withLogin().with("POSTERN_REQUIRE_AUTH=true")
	if got := all.with("POSTERN_OPENID_AUDIENCES=api").load(t).Config.InboundProviders(); !cmp.Equal(got, []string{"openid"}) {
		t.Errorf("all with an audience of its own: %q", got)
	}
	if got := all.with("POSTERN_OPENID_AUDIENCES=app").load(t).Config.InboundProviders(); len(got) > 0 {
		t.Errorf("all without one: %q", got)
	}
}

func TestInboundAudiences(t *testing.T) {
	t.Parallel()
	c := withLogin().with(everybody()...).with("POSTERN_REQUIRE_AUTH=true", "POSTERN_ISSUERS=["+partner+"]").load(t).Config
	for name, want := range map[string][]string{
		"entra_id": {"entra-app", "api://entra-app"}, "tokenx": {"dev:team:app"}, "maskinporten": nil,
		"idporten": {"https://app.example.org"}, "partner": {"us"}, "stranger": nil,
	} {
		if diff := cmp.Diff(want, c.InboundAudiences(name)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	w := world{env: append(everybody(), "POSTERN_OPENID_PROVIDER=azure", "POSTERN_INGRESS=https://app", "POSTERN_OPENID_CLIENT_ID=login-app")}
	c = w.load(t).Config
	if diff := cmp.Diff([]string{"entra-app", "login-app", "api://entra-app", "api://login-app"}, c.InboundAudiences("entra_id")); diff != "" {
		t.Error(diff)
	}
	if !c.EntraSharesLogin() || c.IDPortenSharesLogin() {
		t.Error("Entra ID at one address is the login provider, ID-porten is not")
	}
	if w.with("POSTERN_OPENID_WELL_KNOWN_URL=" + entraWellKnown("other")).load(t).Config.EntraSharesLogin() {
		t.Error("another tenant is another provider")
	}
}

func TestS26FurtherIssuers(t *testing.T) {
	t.Parallel()
	entry := func(change ...string) string {
		members := map[string]string{"name": "partner", "issuer": "https://p/", "audience": "us", "jwks-uri": "https://p/keys"}
		for _, c := range change {
			key, value, _ := strings.Cut(c, ": ")
			members[key] = value
		}
		var out []string
		for key, value := range members {
			if value != "" {
				out = append(out, key+": "+value)
			}
		}
		return "{" + strings.Join(out, ", ") + "}"
	}
	for _, test := range []struct {
		name, issuers, words string // no words: accepted
	}{
		{"least", entry(), ""},
		{"by metadata", entry("jwks-uri: ", "well-known-url: https://p/.well-known/openid-configuration"), ""},
		{"whole", entry("algorithms: [PS256, EdDSA]", "claims: {groups: memberOf, acr: loa}"), ""},
		{"no name", entry("name: "), "entry 1 needs a name"},
		{"no issuer", entry("issuer: "), "needs issuer"},
		{"no audience", entry("audience: "), "needs audience"},
		{"no keys", entry("jwks-uri: "), "needs jwks-uri or well-known-url"},
		{"name with a space", entry("name: a b"), "RFC 9110"},
		{"name of a built-in provider", entry("name: tokenx"), "built-in"},
		{"name of a built-in provider in another spelling", entry("name: Entra-ID"), "built-in"},
		{"name of the login provider", entry("name: openid"), "built-in"},
		{"name all", entry("name: all"), "something else"},
		{"name none", entry("name: none"), "something else"},
		{"name twice", entry() + ", " + entry("audience: them"), "entry 2 name is that of an earlier entry"},
		{"symmetric", entry("algorithms: [HS256]"), "algorithms must be one of RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512, EdDSA; nearest: "},
		{"unsigned", entry("algorithms: [none]"), "algorithms must be one of"},
		{"misspelt algorithm", entry("algorithms: [RS265]"), "nearest: RS256"},
		{"keys over http", entry("jwks-uri: http://p.example.org/keys"), "jwks-uri must be https"},
		{"keys over http on this machine", entry("jwks-uri: http://localhost:8080/keys"), ""},
		{"metadata over ftp", entry("well-known-url: ftp://p/"), "well-known-url must be an https address"},
		{"keys with a password", entry("jwks-uri: https://u:hunter2@p/"), "jwks-uri must have no user"},
		{"many tenants", entry("issuer: 'https://p/{tenantid}/'"), "needs tenants"},
		{"many tenants, some allowed", entry("issuer: 'https://p/{tenantid}/'", "tenants: ["+tenantID+"]"), ""},
		{"tenant that is no GUID", entry("issuer: 'https://p/{tenantid}/'", "tenants: [example.org]"), "GUIDs"},
		{"tenants for nothing", entry("tenants: [" + tenantID + "]"), "not looked at"},
		{"claim that is none of ours", entry("claims: {group: g}"), "keys of claims must be one of groups, roles, scope, name, preferred_username, email, acr; nearest: groups"},
		{"claim that nobody may map", entry("claims: {sub: g}"), "keys of claims must be one of"},
		{"unknown key", entry("audiences: [a]"), "unknown key"},
		{"two of one issuer", entry() + ", " + entry("name: second"), "entry 2 has the issuer and the audience of partner too"},
		{"two of one issuer for other audiences", entry() + ", " + entry("name: second", "audience: them"), ""},
		{
			"two of one tenant",
			entry("issuer: https://p/"+tenantID, "name: one") + ", " + entry("issuer: 'https://p/{tenantid}'", "tenants: ["+tenantID+"]"),
			"entry 2 has the issuer and the audience of one too",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := withLogin().with("POSTERN_BEARER_PROVIDERS=all", "POSTERN_ISSUERS=["+test.issuers+"]")
			if test.words != "" {
				w.refused(t, "issuers", test.words)
				return
			}
			if got := w.load(t).Config.Bearer.Issuers[0].Algorithms; len(got) == 0 {
				t.Error("no algorithm, not even the default")
			}
		})
	}
}

func TestS26OneIssuerIsOneProvider(t *testing.T) {
	t.Parallel()
	issuer := func(issuer, audience string) string {
		return "POSTERN_ISSUERS=[{name: partner, issuer: '" + issuer + "', audience: '" + audience + "', jwks-uri: https://p/keys}]"
	}
	w := withLogin().with(everybody()...).with("POSTERN_REQUIRE_AUTH=true")
	w.with(issuer("https://tokenx.example.org", "dev:team:app")).refused(t, "issuers", "of tokenx too")
	w.with(issuer("https://tokenx.example.org", "other")).load(t)
	w.with(issuer("https://maskinporten.example.org", "other")).refused(t, "issuers", "of maskinporten too")
	w.with(issuer("https://login.microsoftonline.com/tenant/v2.0", "api://entra-app")).refused(t, "issuers", "of entra_id too")
	w.with("TOKEN_X_ISSUER=https://tx", issuer("https://tx", "dev:team:app")).refused(t, "issuers", "of tokenx too")
	w.with("MASKINPORTEN_ISSUER=https://tokenx.example.org").refused(t, "bearer.providers", "tokenx and maskinporten")
	w.with("MASKINPORTEN_ISSUER=https://tokenx.example.org", "POSTERN_BEARER_PROVIDERS=tokenx").load(t)

	common := withLogin().with(everybody()...).with("POSTERN_REQUIRE_AUTH=true", "AZURE_APP_WELL_KNOWN_URL="+entraWellKnown("common"), "AZURE_APP_TENANT_ID="+tenantID)
	common.with(issuer("https://login.microsoftonline.com/"+tenantID+"/v2.0", "entra-app")).refused(t, "issuers", "of entra_id too")
	common.with(issuer("https://login.microsoftonline.com/99999999-2222-3333-4444-555555555555/v2.0", "entra-app")).load(t)
}

func TestS26EntraIDOfManyTenantsInbound(t *testing.T) {
	t.Parallel()
	for _, which := range []string{"AZURE_APP_WELL_KNOWN_URL=" + entraWellKnown("common"), "AZURE_OPENID_CONFIG_ISSUER=https://login.microsoftonline.com/{tenantid}/v2.0"} {
		w := withLogin().with(everybody()...).with("POSTERN_REQUIRE_AUTH=true", which)
		w.refused(t, "AZURE_APP_TENANT_ID", "openid.tenants")
		w.with("POSTERN_OPENID_TENANTS=" + tenantID).load(t)
		w.with("AZURE_APP_TENANT_ID="+tenantID, "POSTERN_OPENID_TENANTS=").load(t)
		w.with("AZURE_APP_TENANT_ID=example.org").refused(t, "AZURE_APP_TENANT_ID", "GUID")
		w.with("POSTERN_BEARER_PROVIDERS=tokenx").load(t)
		without := world{env: append(everybody(), "POSTERN_REQUIRE_AUTH=true", which, "POSTERN_OPENID_TENANTS="+tenantID)}
		if got := without.load(t).Config.EntraTenants(); !cmp.Equal(got, []string{tenantID}) {
			t.Errorf("tenants without login: %q", got)
		}
	}
}

func TestPolicyOptions(t *testing.T) {
	t.Parallel()
	warnings := func(env ...string) []string { return withLogin().with(env...).load(t).Warnings }
	if got := warnings("POSTERN_POLICY_FILE=p", "POSTERN_POLICY_MODE=report"); len(got) > 0 {
		t.Errorf("warnings %q", got)
	}
	if got := warnings("POSTERN_POLICY_MODE=report"); len(got) != 1 || !strings.HasPrefix(got[0], "policy-mode: has no effect") {
		t.Errorf("report without anything to report: %q", got)
	}
	if got := warnings("POSTERN_POLICY_FILE=p", "POSTERN_REQUIRE_AUTH=false"); len(got) != 1 || !strings.HasPrefix(got[0], "require-auth: false has no effect") {
		t.Errorf("policy without require-auth: %q", got)
	}
	withLogin().with("POSTERN_POLICY_FILE=p,q,p").refused(t, "policy-file", "entry 3 repeats")
	if got := warnings("POSTERN_AUTHORIZATION_PASSTHROUGH=Basic"); len(got) != 1 || !strings.HasPrefix(got[0], "authorization-passthrough: has no effect") {
		t.Errorf("passthrough without validation: %q", got)
	}
	if got := warnings("POSTERN_AUTHORIZATION_PASSTHROUGH=Basic", "POSTERN_REQUIRE_AUTH=true", "POSTERN_ISSUERS=["+partner+"]"); len(got) > 0 {
		t.Errorf("passthrough with validation: %q", got)
	}
}

func TestS20AssertionNeedsAKeyAndAName(t *testing.T) {
	t.Parallel()
	w := withLogin().with("POSTERN_IDENTITY_ASSERTION=true")
	w.load(t)
	w.with("POSTERN_IDENTITY_ASSERTION_KEY_FILE=/nowhere").refused(t, "identity.assertion-key-file", "read /nowhere: ")
	w.files = map[string]string{"/key": privateJWK, "/empty": ""}
	w.with("POSTERN_IDENTITY_ASSERTION_KEY_FILE=/key").load(t)
	w.with("POSTERN_IDENTITY_ASSERTION_KEY_FILE=/empty").refused(t, "identity.assertion-key-file", "empty")

	nameless := world{env: []string{"POSTERN_IDENTITY_ASSERTION=true", "POSTERN_UPSTREAM_HOST=app:80", "POSTERN_BEARER_PROVIDERS=partner", "POSTERN_ISSUERS=[" + partner + "]"}}
	nameless.refused(t, "identity.assertion-issuer", "TOKEN_X_CLIENT_ID or a policy-file")
	for _, name := range []string{"POSTERN_INGRESS=https://app", "POSTERN_IDENTITY_ASSERTION_ISSUER=me", "TOKEN_X_CLIENT_ID=a:b:c", "POSTERN_POLICY_FILE=p"} {
		nameless.with(name).load(t)
	}
	if got := withLogin().with("POSTERN_IDENTITY_ASSERTION_KEY_FILE=/key").load(t).Warnings; len(got) != 1 || !strings.Contains(got[0], "without identity.assertion") {
		t.Errorf("warnings %q", got)
	}
}

func TestOfflineNeedsNoSecrets(t *testing.T) {
	t.Parallel()
	w := world{env: []string{
		"POSTERN_OPENID_PROVIDER=azure", "AZURE_APP_CLIENT_ID=a", "AZURE_APP_WELL_KNOWN_URL=" + entraWellKnown("t"), "POSTERN_OPENID_CLIENT_SECRET_FILE=/run/secret",
		"TOKEN_X_ENABLED=true", "TOKEN_X_CLIENT_ID=a:b:c", "TOKEN_X_WELL_KNOWN_URL=https://t/", "POSTERN_POLICY_FILE=p", "POSTERN_REDIS_URI=rediss://r",
		"POSTERN_IDENTITY_ASSERTION=true", "POSTERN_IDENTITY_ASSERTION_KEY_FILE=/run/key",
	}}
	if got := w.problems(t); len(got) < 4 {
		t.Fatalf("not offline it would not do: %q", got)
	}
	source := w.source()
	source.Offline = true
	loaded, err := Load(source)
	if err != nil {
		t.Fatal(err)
	}
	if got := loaded.Config.InboundProviders(); !cmp.Equal(got, []string{"entra_id", "tokenx"}) {
		t.Errorf("accepted: %q", got)
	}
	source.Environ = []string{"POSTERN_POLICY_FILE=p", "POSTERN_POLICY_MODE=enforced"}
	if _, err := Load(source); err == nil || !strings.Contains(err.Error(), "nearest: enforce") || strings.Contains(err.Error(), "\n") {
		t.Errorf("what is wrong stays wrong, and nobody to let in is none: %v", err)
	}
}

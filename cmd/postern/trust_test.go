package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"postern/config"
	"postern/oidc"
)

// trusting loads a configuration with all four providers of the platform; more is added.
func trusting(t *testing.T, more ...string) *config.Config {
	t.Helper()
	loaded, err := config.Load(config.Source{Offline: true, Environ: append([]string{
		"AZURE_ENABLED=true", "AZURE_APP_CLIENT_ID=entra-app", "AZURE_APP_TENANT_ID=" + someTenant,
		"AZURE_APP_WELL_KNOWN_URL=https://entra.example.org/v2.0/.well-known/openid-configuration",
		"AZURE_OPENID_CONFIG_ISSUER=https://entra.example.org/v2.0", "AZURE_OPENID_CONFIG_JWKS_URI=https://entra.example.org/keys",
		"AZURE_OPENID_CONFIG_TOKEN_ENDPOINT=https://entra.example.org/token",
		`AZURE_APP_PRE_AUTHORIZED_APPS=[{"name":"dev:team:a","clientId":"A1"},{"name":"dev:team:b","clientId":"twice"},{"name":"dev:team:c","clientId":"twice"},{"name":""}]`,
		"TOKEN_X_ENABLED=true", "TOKEN_X_CLIENT_ID=dev:team:app", "TOKEN_X_WELL_KNOWN_URL=https://tokenx.example.org/.well-known/oauth-authorization-server",
		"MASKINPORTEN_ENABLED=true", "MASKINPORTEN_CLIENT_ID=m", "MASKINPORTEN_WELL_KNOWN_URL=https://maskinporten.example.org/.well-known/oauth-authorization-server",
		"IDPORTEN_ENABLED=true", "IDPORTEN_AUDIENCE=https://app.example.org", "IDPORTEN_WELL_KNOWN_URL=https://idporten.example.org/.well-known/openid-configuration",
		"POSTERN_UPSTREAM_HOST=app:80", "POSTERN_BEARER_PROVIDERS=all",
	}, more...)})
	if err != nil {
		t.Fatal(err)
	}
	return loaded.Config
}

const someTenant = "62366534-1ec3-4962-8869-9b5535279d0b"

func provider(t *testing.T, cfg oidc.ProviderConfig) *oidc.Provider {
	t.Helper()
	p, err := oidc.NewProvider(cfg, oidc.Deps{})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestAcceptancesOfThePlatform(t *testing.T) {
	t.Parallel()
	cfg := trusting(t, `POSTERN_ISSUERS=[{name: partner, issuer: "https://p.example.org", audience: us, jwks-uri: "https://p.example.org/keys", `+
		`algorithms: [ES256, PS512], claims: {groups: memberOf}}]`)
	providers := newProviders(cfg, oidc.Deps{}, nil)
	got, err := acceptances(cfg, cfg.InboundProviders(), providers)
	if err != nil {
		t.Fatal(err)
	}
	want := []oidc.Acceptance{
		{Name: "entra_id", Audiences: []string{"entra-app", "api://entra-app"}, TenantID: someTenant, Applications: map[string]string{"a1": "dev:team:a"}},
		{Name: "tokenx", Audiences: []string{"dev:team:app"}},
		{Name: "maskinporten"},
		{Name: "idporten", Audiences: []string{"https://app.example.org"}},
		{Name: "partner", Audiences: []string{"us"}, Algorithms: []string{"ES256", "PS512"}, Claims: map[string]string{"groups": "memberOf"}},
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(oidc.Acceptance{}, "Provider", "IDPorten")); diff != "" {
		t.Error(diff)
	}
	for _, a := range got {
		if a.Provider != providers.byName[a.Name] || a.Provider == nil {
			t.Errorf("%s has another provider", a.Name)
		}
		if (a.IDPorten != nil) != (a.Name == "tokenx") || a.IDPorten != nil && a.IDPorten != providers.byName["idporten"] {
			t.Errorf("%s: ID-porten %v", a.Name, a.IDPorten)
		}
	}
	if _, err := oidc.NewVerifier(got, 0, oidc.Deps{}); err != nil {
		t.Error(err)
	}
}

func TestWhereInboundProvidersAre(t *testing.T) {
	t.Parallel()
	cfg := trusting(t, `POSTERN_ISSUERS=[{name: partner, issuer: "https://p.example.org/{tenantid}", audience: us, well-known-url: "https://p.example.org/wk", `+
		`algorithms: [ES256, PS512], tenants: [`+someTenant+`]}]`)
	for name, want := range map[string]oidc.ProviderConfig{
		"entra_id": {
			Tenants: []string{someTenant}, // and no metadata: nothing is missing
			Issuer:  "https://entra.example.org/v2.0", JWKSURI: "https://entra.example.org/keys", TokenEndpoint: "https://entra.example.org/token",
		},
		"tokenx":       {WellKnownURL: "https://tokenx.example.org/.well-known/oauth-authorization-server"},
		"maskinporten": {WellKnownURL: "https://maskinporten.example.org/.well-known/oauth-authorization-server"},
		"idporten":     {WellKnownURL: "https://idporten.example.org/.well-known/openid-configuration"},
		"partner": {
			WellKnownURL: "https://p.example.org/wk", Issuer: "https://p.example.org/{tenantid}", Tenants: []string{someTenant}, FallbackAlg: "PS512",
		},
	} {
		want.Name = name
		if diff := cmp.Diff(want, describeProvider(cfg, name), cmpopts.EquateEmpty()); diff != "" {
			t.Error(diff)
		}
	}
	cfg.Providers.AllowHTTP, cfg.Providers.AllowTestProvider = true, true
	if got := describeProvider(cfg, "tokenx"); !got.AllowHTTP || !got.AllowTestProvider {
		t.Errorf("what is allowed to tests does not arrive: %+v", got)
	}
}

func TestInboundProvidersShareTheLoginProvider(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		env   []string
		share []string // names that are the login provider
		also  []string // all others
	}{
		{"Entra ID", []string{"POSTERN_OPENID_PROVIDER=azure"}, []string{"entra_id"}, []string{"tokenx", "maskinporten", "idporten"}},
		{
			"Entra ID of another tenant",
			[]string{"POSTERN_OPENID_PROVIDER=azure", "POSTERN_OPENID_WELL_KNOWN_URL=https://other.example.org/.well-known/openid-configuration"},
			nil,
			[]string{"entra_id", "tokenx", "maskinporten", "idporten"},
		},
		{
			"ID-porten",
			[]string{"POSTERN_OPENID_PROVIDER=idporten", "IDPORTEN_CLIENT_ID=c"},
			[]string{"idporten"},
			[]string{"entra_id", "tokenx", "maskinporten"},
		},
		{
			"generic",
			[]string{
				"POSTERN_OPENID_CLIENT_ID=c", "POSTERN_OPENID_AUDIENCES=api", "POSTERN_BEARER_PROVIDERS=openid",
				"POSTERN_OPENID_WELL_KNOWN_URL=https://idp.example.org/.well-known/openid-configuration",
			},
			[]string{"openid"},
			nil,
		},
		{"ID-porten for the people of TokenX alone", []string{"POSTERN_BEARER_PROVIDERS=tokenx"}, nil, []string{"tokenx", "idporten"}},
		{"nobody", []string{"POSTERN_BEARER_PROVIDERS=none"}, nil, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			cfg := trusting(t, test.env...)
			var login *oidc.Provider
			if cfg.LoginEnabled() {
				login = provider(t, loginProvider(cfg))
			}
			providers := newProviders(cfg, oidc.Deps{}, login)
			accepted, err := acceptances(cfg, cfg.InboundProviders(), providers)
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range test.share {
				if providers.byName[name] != login {
					t.Errorf("%s is read twice", name)
				}
			}
			for _, name := range test.also {
				if p := providers.byName[name]; p == nil || p == login {
					t.Errorf("%s is not a provider of its own", name)
				}
			}
			if len(providers.byName) != len(test.share)+len(test.also) {
				t.Errorf("%d providers", len(providers.byName))
			}
			if len(accepted) != len(cfg.InboundProviders()) {
				t.Errorf("%d acceptances for %q", len(accepted), cfg.InboundProviders())
			}
		})
	}
}

// The login provider that is the platform's obeys the platform's explicit endpoints, as inbound tokens do.
func TestLoginProviderOfThePlatform(t *testing.T) {
	t.Parallel()
	got := loginProvider(trusting(t, "POSTERN_OPENID_PROVIDER=azure"))
	if got.Name != "entra_id" || got.Issuer != "https://entra.example.org/v2.0" || got.JWKSURI != "https://entra.example.org/keys" || got.TokenEndpoint == "" {
		t.Errorf("login provider %+v", got)
	}
	got = loginProvider(trusting(t, "POSTERN_OPENID_PROVIDER=azure", "POSTERN_OPENID_WELL_KNOWN_URL=https://other.example.org/.well-known/openid-configuration"))
	if got.Issuer != "" || got.JWKSURI != "" || got.TokenEndpoint != "" {
		t.Errorf("another tenant's login with the endpoints of the platform's: %+v", got)
	}
}

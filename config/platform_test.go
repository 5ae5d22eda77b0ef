package config

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestTexasMessages is reference/tokens.md 1.12.
func TestTexasMessages(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		env  []string
		want []string
	}{
		{"boolean", []string{"AZURE_ENABLED=1", "TOKEN_X_ENABLED=True", "MASKINPORTEN_ENABLED=", "IDPORTEN_ENABLED=false"}, []string{
			"AZURE_ENABLED: parse boolean option 'AZURE_ENABLED': provided string was not `true` or `false`",
			"TOKEN_X_ENABLED: parse boolean option 'TOKEN_X_ENABLED': provided string was not `true` or `false`",
			"MASKINPORTEN_ENABLED: parse boolean option 'MASKINPORTEN_ENABLED': provided string was not `true` or `false`",
		}},
		{"Entra ID", []string{"AZURE_ENABLED=true"}, []string{
			"AZURE_APP_CLIENT_ID: missing required environment variable 'AZURE_APP_CLIENT_ID'",
			"AZURE_APP_JWK: missing required environment variable 'AZURE_APP_JWK' (or 'AZURE_APP_CLIENT_SECRET' or 'AZURE_FEDERATED_TOKEN_FILE')",
			"AZURE_OPENID_CONFIG_ISSUER: missing configuration for provider 'entra_id': set AZURE_APP_WELL_KNOWN_URL or AZURE_OPENID_CONFIG_ISSUER",
			"AZURE_OPENID_CONFIG_JWKS_URI: missing configuration for provider 'entra_id': set AZURE_APP_WELL_KNOWN_URL or AZURE_OPENID_CONFIG_JWKS_URI",
			"AZURE_OPENID_CONFIG_TOKEN_ENDPOINT: missing configuration for provider 'entra_id': set AZURE_APP_WELL_KNOWN_URL or AZURE_OPENID_CONFIG_TOKEN_ENDPOINT",
		}},
		{"TokenX", []string{"TOKEN_X_ENABLED=true", "TOKEN_X_CLIENT_ID=c", "TOKEN_X_ISSUER=i", "TOKEN_X_JWKS_URI=https://t/jwks"}, []string{
			"TOKEN_X_PRIVATE_JWK: missing required environment variable 'TOKEN_X_PRIVATE_JWK'",
			"TOKEN_X_TOKEN_ENDPOINT: missing configuration for provider 'tokenx': set TOKEN_X_WELL_KNOWN_URL or TOKEN_X_TOKEN_ENDPOINT",
		}},
		{"Maskinporten", []string{"MASKINPORTEN_ENABLED=true", "MASKINPORTEN_CLIENT_JWK=" + privateJWK, "MASKINPORTEN_WELL_KNOWN_URL=https://m/"}, []string{
			"MASKINPORTEN_CLIENT_ID: missing required environment variable 'MASKINPORTEN_CLIENT_ID'",
		}},
		{"ID-porten needs no client and no token endpoint", []string{"IDPORTEN_ENABLED=true", "IDPORTEN_ISSUER=i"}, []string{
			"IDPORTEN_AUDIENCE: missing required environment variable 'IDPORTEN_AUDIENCE'",
			"IDPORTEN_JWKS_URI: missing configuration for provider 'idporten': set IDPORTEN_WELL_KNOWN_URL or IDPORTEN_JWKS_URI",
		}},
		{"whole", []string{"IDPORTEN_ENABLED=true", "IDPORTEN_AUDIENCE=a", "IDPORTEN_WELL_KNOWN_URL=https://i/"}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(test.want, withLogin().with(test.env...).problems(t)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestPlatformVariablesFillProviders(t *testing.T) {
	t.Parallel()
	c := withLogin().with(
		"AZURE_ENABLED=true", "AZURE_APP_CLIENT_ID=a-id", "AZURE_APP_CLIENT_SECRET=a-secret", "AZURE_APP_TENANT_ID=a-tenant",
		"AZURE_APP_WELL_KNOWN_URL=https://a/wk", "AZURE_OPENID_CONFIG_ISSUER=a-iss", "AZURE_OPENID_CONFIG_JWKS_URI=https://a/jwks",
		"AZURE_OPENID_CONFIG_TOKEN_ENDPOINT=https://a/token", `AZURE_APP_PRE_AUTHORIZED_APPS=[{"name":"dev:team:app","clientId":"other","extra":1}]`,
		"NAIS_CLUSTER_NAME=dev", "TEXAS_HTTP_CONNECT_TIMEOUT_MILLIS=250", "TEXAS_HTTP_MAX_RETRIES=0", "NO_PROXY=internal", "no_proxy=lower",
	).load(t).Config
	want := Provider{
		Enabled: true, ClientID: "a-id", ClientSecret: NewSecret("a-secret"), TenantID: "a-tenant", WellKnownURL: "https://a/wk", Issuer: "a-iss",
		JWKSURI: "https://a/jwks", TokenEndpoint: "https://a/token", PreAuthorizedApps: []PreAuthorized{{Name: "dev:team:app", ClientID: "other"}},
	}
	if diff := cmp.Diff(want, c.Providers.Azure); diff != "" {
		t.Error(diff)
	}
	if c.Policy.Cluster != "dev" || c.Outbound.NoProxy != "internal" || c.Token.HTTP.ConnectTimeout != 250*time.Millisecond ||
		c.Token.HTTP.MaxRetries == nil || *c.Token.HTTP.MaxRetries != 0 {
		t.Errorf("cluster %q, no proxy %q, HTTP %+v", c.Policy.Cluster, c.Outbound.NoProxy, c.Token.HTTP)
	}
	if c.LoginEnabled() && c.OpenID.ClientID != "app" {
		t.Error("AZURE_APP_CLIENT_ID fills login without openid.provider=azure")
	}
}

func TestPlatformVariablesThatCannotBeRead(t *testing.T) {
	t.Parallel()
	got := withLogin().with("AZURE_APP_PRE_AUTHORIZED_APPS={hunter2", "TEXAS_HTTP_READ_TIMEOUT_MILLIS=soon").load(t).Warnings
	want := []string{
		"AZURE_APP_PRE_AUTHORIZED_APPS: must be a JSON list of {name, clientId}; no caller is known by name; it is not used",
		"TEXAS_HTTP_READ_TIMEOUT_MILLIS: must be a whole number from 0 to 2147483647; it is not used",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for _, proxy := range []string{"ftp://p", "http://", "http://%zz"} {
		withLogin().with("HTTPS_PROXY="+proxy).refused(t, "HTTPS_PROXY", "web proxy")
	}
	for _, proxy := range []string{"", "proxy:8080", "socks5://p:1080", "http://u:p@proxy"} {
		if got := withLogin().with("https_proxy=" + proxy).load(t).Config.Outbound.HTTPSProxy.Reveal(); got != proxy {
			t.Errorf("proxy %q, want %q", got, proxy)
		}
	}
}

func TestTexasAlone(t *testing.T) {
	t.Parallel()
	texas := world{env: []string{"TOKEN_X_ENABLED=true", "TOKEN_X_CLIENT_ID=c", "TOKEN_X_PRIVATE_JWK=" + privateJWK, "TOKEN_X_WELL_KNOWN_URL=https://t/"}}
	texas.load(t)

	config := func(env ...string) *Config {
		l := newLoader(texas.with(env...).source())
		l.gather(nil)
		l.fillFromPlatform()
		l.dependentDefaults()
		return l.c
	}
	c := config()
	if !c.TexasOnly() || c.NothingOn() || c.Token.BindAddress != "127.0.0.1:3000" || c.Server.BindAddress != "" || c.Server.MetricsBindAddress != "" {
		t.Errorf("token API at %q, public at %q, metrics at %q", c.Token.BindAddress, c.Server.BindAddress, c.Server.MetricsBindAddress)
	}
	c = config("BIND_ADDRESS=127.0.0.1:7164", "PROBE_BIND_ADDRESS=0.0.0.0:7165", "POSTERN_METRICS_BIND_ADDRESS=0.0.0.0:7565")
	if c.Token.BindAddress != "127.0.0.1:7164" || c.Server.ProbeBindAddress != "0.0.0.0:7165" || c.Server.MetricsBindAddress != "0.0.0.0:7565" {
		t.Errorf("token API at %q, probes at %q, metrics at %q", c.Token.BindAddress, c.Server.ProbeBindAddress, c.Server.MetricsBindAddress)
	}
	if c = config("POSTERN_UPSTREAM_HOST=app:80"); c.TexasOnly() || c.Token.BindAddress != "127.0.0.1:3002" || c.Server.BindAddress != "127.0.0.1:3000" {
		t.Errorf("beside a front door: token API at %q, public at %q", c.Token.BindAddress, c.Server.BindAddress)
	}
}

func TestEverythingIsInThisVersion(t *testing.T) {
	t.Parallel()
	if got := withLogin().with("POSTERN_BEARER_PROVIDERS=none", "POSTERN_POLICY_MODE=enforce", "POSTERN_AUDIT_FILE=/a", "POSTERN_UPSTREAM_EXPOSED=refuse").problems(t); len(got) > 0 {
		t.Errorf("what this version can do is refused: %q", got)
	}
}

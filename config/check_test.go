package config

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestWonderwallValidationMatrix is reference/wonderwall.md part 7, what is fatal there and what is not.
func TestWonderwallValidationMatrix(t *testing.T) {
	t.Parallel()
	redis := "POSTERN_REDIS_URI=redis://localhost:6379"
	for _, test := range []struct {
		name   string
		env    []string
		option string // empty: accepted
		words  string
	}{
		{"as it should be", nil, "", ""},
		{"graceful period not longer than the wait", []string{"WONDERWALL_SHUTDOWN_WAIT_BEFORE_PERIOD=30s"}, "shutdown-graceful-period", "longer than"},
		{"graceful period longer than the wait", []string{"WONDERWALL_SHUTDOWN_WAIT_BEFORE_PERIOD=29s"}, "", ""},
		{"no ingress", []string{"POSTERN_INGRESS="}, "ingress", "required"},
		{"ingress of another scheme", []string{"POSTERN_INGRESS=ftp://app"}, "ingress", "http or https"},
		{"ingress without a host", []string{"POSTERN_INGRESS=https://"}, "ingress", "must be an address"},
		{"upstream-ip alone", []string{"WONDERWALL_UPSTREAM_IP=10.0.0.1"}, "upstream-port", "together"},
		{"upstream-port alone", []string{"WONDERWALL_UPSTREAM_PORT=8080"}, "upstream-ip", "together"},
		{"upstream-port out of range", []string{"WONDERWALL_UPSTREAM_PORT=65536"}, "upstream-port", "from 0 to 65535"},
		{"short encryption key", []string{"WONDERWALL_ENCRYPTION_KEY=c2hvcnQ="}, "encryption-key", "32 bytes"},
		{"encryption key that is not base64", []string{"WONDERWALL_ENCRYPTION_KEY=%%%"}, "encryption-key", "32 bytes"},
		{"encryption key", []string{"WONDERWALL_ENCRYPTION_KEY=" + key('a')}, "", ""},
		{"same-site in another case", []string{"WONDERWALL_COOKIE_SAME_SITE=lax"}, "cookie.same-site", "nearest: Lax"},
		{"insecure cookies on the web", []string{"WONDERWALL_COOKIE_SECURE=false"}, "cookie.secure", "loopback"},
		{"insecure cookies with https on localhost", []string{"WONDERWALL_COOKIE_SECURE=false", "POSTERN_INGRESS=https://localhost"}, "cookie.secure", "http on loopback"},
		{"insecure cookies on one of two", []string{"WONDERWALL_COOKIE_SECURE=false", "POSTERN_INGRESS=http://localhost:3000,http://app"}, "cookie.secure", "every ingress"},
		{"insecure cookies on loopback", []string{"WONDERWALL_COOKIE_SECURE=false", "POSTERN_INGRESS=http://localhost:3000,http://127.0.0.1:3000,http://a.localhost"}, "", ""},
		{"no client id", []string{"POSTERN_OPENID_CLIENT_ID="}, "openid.client-id", "required"},
		{"no well-known URL", []string{"POSTERN_OPENID_WELL_KNOWN_URL="}, "openid.well-known-url", "required"},
		{"no credential", []string{"POSTERN_OPENID_CLIENT_SECRET="}, "openid.client-jwk", "openid.client-secret, or openid.federated-token-file"},
		{"private JWK", []string{"POSTERN_OPENID_CLIENT_SECRET=", "WONDERWALL_OPENID_CLIENT_JWK=" + privateJWK}, "", ""},
		{"federated token", []string{"POSTERN_OPENID_CLIENT_SECRET=", "POSTERN_OPENID_FEDERATED_TOKEN_FILE=/t"}, "", ""},
		{"JWK that is none", []string{"WONDERWALL_OPENID_CLIENT_JWK=hunter2"}, "openid.client-jwk", "JSON Web Key"},
		{"JWK without a private part", []string{`WONDERWALL_OPENID_CLIENT_JWK={"kty":"EC","alg":"ES256"}`}, "openid.client-jwk", "private"},
		{"JWK without alg", []string{`WONDERWALL_OPENID_CLIENT_JWK={"kty":"EC","d":"x"}`}, "openid.client-jwk", "alg"},
		{"two levels", []string{"WONDERWALL_OPENID_ACR_VALUES=Level3 Level4"}, "openid.acr-values", "single"},
		{"unknown fallback algorithm", []string{"WONDERWALL_OPENID_JWKS_FALLBACK_ALG=RS257"}, "openid.jwks-fallback-alg", "nearest: RS256"},
		{"symmetric fallback algorithm", []string{"WONDERWALL_OPENID_JWKS_FALLBACK_ALG=HS256"}, "openid.jwks-fallback-alg", "must be one of"},
		{"forward-auth headers without forward-auth", []string{"WONDERWALL_SESSION_FORWARD_AUTH_SET_HEADERS=true"}, "session.forward-auth-set-headers", "needs"},
		{"session without a lifetime", []string{"WONDERWALL_SESSION_MAX_LIFETIME=0s"}, "session.max-lifetime", "longer than 0s"},
		{"inactivity of nothing", []string{"WONDERWALL_SESSION_INACTIVITY=true", "WONDERWALL_SESSION_INACTIVITY_TIMEOUT=0s"}, "session.inactivity-timeout", "longer"},
		{"negative duration", []string{"WONDERWALL_SESSION_MAX_LIFETIME=-1h"}, "session.max-lifetime", "negative"},
		{"Redis of another scheme", []string{"POSTERN_REDIS_URI=http://x", "POSTERN_ENCRYPTION_KEY=" + key('a')}, "redis.uri", "redis://"},
		{"Redis database that is no number", []string{"POSTERN_REDIS_URI=redis://x/y", "POSTERN_ENCRYPTION_KEY=" + key('a')}, "redis.uri", "number"},
		{"Redis", []string{redis, "POSTERN_ENCRYPTION_KEY=" + key('a')}, "", ""},
		{"Redis by address", []string{"WONDERWALL_REDIS_ADDRESS=r:6379", "POSTERN_ENCRYPTION_KEY=" + key('a')}, "", ""},
		{"Redis socket", []string{"POSTERN_REDIS_URI=unix:///run/redis.sock?db=1", "POSTERN_ENCRYPTION_KEY=" + key('a')}, "", ""},
		{"Redis password for no Redis", []string{"POSTERN_REDIS_PASSWORD=hunter2"}, "redis.uri", "required"},
		{"idle time below never", []string{"POSTERN_REDIS_CONNECTION_IDLE_TIMEOUT=-2"}, "redis.connection-idle-timeout", "from -1"},
		{"sentinels without a name", []string{"POSTERN_REDIS_SENTINEL_ADDRESSES=a:1", "POSTERN_ENCRYPTION_KEY=" + key('a')}, "redis.sentinel-master", "required"},
		{"cluster node without a port", []string{"POSTERN_REDIS_CLUSTER_ADDRESSES=a:1,b", "POSTERN_ENCRYPTION_KEY=" + key('a')}, "redis.cluster-addresses", "entry 2"},
		{"Redis database that is out of place", []string{"POSTERN_REDIS_URI=redis://x/1/2", "POSTERN_ENCRYPTION_KEY=" + key('a')}, "redis.uri", "number"},
		{"Redis without a host", []string{"POSTERN_REDIS_URI=redis://", "POSTERN_ENCRYPTION_KEY=" + key('a')}, "redis.uri", "host"},
		{"Redis without a host as wonderwall", []string{"WONDERWALL_REDIS_URI=redis://", "POSTERN_ENCRYPTION_KEY=" + key('a')}, "", ""},
		{"two kinds of Redis", []string{
			"POSTERN_REDIS_SENTINEL_ADDRESSES=b:1", "POSTERN_REDIS_SENTINEL_MASTER=m", "POSTERN_REDIS_CLUSTER_ADDRESSES=a:1",
			"POSTERN_ENCRYPTION_KEY=" + key('a'),
		}, "redis.cluster-addresses", "together"},
		{"credentials of a cluster", []string{redis, "POSTERN_REDIS_CLUSTER_ADDRESSES=a:1", "POSTERN_ENCRYPTION_KEY=" + key('a')}, "", ""},
		{"certificates without TLS", []string{redis, "POSTERN_REDIS_CA_FILE=/ca", "POSTERN_ENCRYPTION_KEY=" + key('a')}, "redis.ca-file", "rediss"},
		{"rate limit of nothing", []string{"POSTERN_RATELIMIT_LOGINS=0"}, "ratelimit.logins", "at least 1"},
		{"rate limit off", []string{"POSTERN_RATELIMIT_LOGINS=0", "POSTERN_RATELIMIT_ENABLED=false"}, "", ""},
		{"cookie name with a space", []string{"POSTERN_COOKIE_PREFIX=a b"}, "cookie.prefix", "RFC 6265"},
		{"app address with a scheme", []string{"POSTERN_UPSTREAM_HOST=http://app:8080"}, "upstream-host", "without a scheme"},
		{"app on a socket", []string{"POSTERN_UPSTREAM_HOST=unix:/run/app.sock"}, "", ""},
		{"listener without a port", []string{"POSTERN_BIND_ADDRESS=localhost"}, "bind-address", "host:port"},
		{"listener on a relative socket", []string{"POSTERN_BIND_ADDRESS=unix:x.sock"}, "bind-address", "absolute"},
		{"listener on a socket", []string{"POSTERN_BIND_ADDRESS=unix:/run/x.sock"}, "", ""},
		{"no public listener", []string{"POSTERN_BIND_ADDRESS="}, "bind-address", "empty"},
		{"two listeners in one place", []string{"POSTERN_PROBE_BIND_ADDRESS=127.0.0.1:3000"}, "probe-bind-address", "address of bind-address"},
		{"several on any port", []string{"POSTERN_PROBE_BIND_ADDRESS=127.0.0.1:0", "POSTERN_BIND_ADDRESS=127.0.0.1:0"}, "", ""},
		{"certificate without a key", []string{"POSTERN_TLS_CERT_FILE=/c"}, "tls.cert-file", "tls.key-file"},
		{"return address of no web", []string{"POSTERN_OPENID_POST_LOGOUT_REDIRECT_URI=javascript:x"}, "openid.post-logout-redirect-uri", "http or https"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := withLogin().with(test.env...)
			if test.option != "" {
				w.refused(t, test.option, test.words)
			} else if got := w.problems(t); len(got) > 0 {
				t.Errorf("refused: %q", got)
			}
		})
	}
}

func TestWonderwallAcceptsMoreWithWarnings(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, wonderwall, warning string
		check                     func(*Config) any
		want                      any
		own                       string // the same in our name is a problem of this option
	}{
		{"unknown provider", "OPENID_PROVIDER=keycloak", "openid.provider: ", func(c *Config) any { return c.OpenID.Provider }, "openid", "openid.provider"},
		{"logrus level", "LOG_LEVEL=WARNING", "log-level: ", func(c *Config) any { return c.Log.Level }, "warn", "log-level"},
		{
			"ingress with a query", "INGRESS=https://app.example.org/a/?x=1#y", "ingress: ", func(c *Config) any { return c.Front.Ingress[0].String() },
			"https://app.example.org/a", "ingress",
		},
		{"ingress twice", "INGRESS=https://app.example.org/,https://APP.example.org:443", "ingress: ", func(c *Config) any { return len(c.Front.Ingress) }, 1, "ingress"},
		{"name as upstream-ip", "UPSTREAM_IP=app", "upstream-ip: ", func(c *Config) any { return c.Upstream.Host }, "app:80", "upstream-ip"},
		{"SameSite without SSO", "COOKIE_SAME_SITE=None", "cookie.same-site: ", func(c *Config) any { return c.Cookie.SameSite }, "None", ""},
		{"profiles", "PPROF_ENABLED=true", "pprof-enabled: ", func(c *Config) any { return c.Server.PprofEnabled }, true, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := withLogin().with("POSTERN_UPSTREAM_PORT=0")
			if strings.HasPrefix(test.wonderwall, "UPSTREAM_IP") {
				w = withLogin().with("POSTERN_UPSTREAM_PORT=80")
			}
			if strings.HasPrefix(test.wonderwall, "INGRESS") {
				w.env = append([]string{}, w.env[:3]...)
			}
			loaded := w.with("WONDERWALL_" + test.wonderwall).load(t)
			if diff := cmp.Diff(test.want, test.check(loaded.Config)); diff != "" {
				t.Error(diff)
			}
			if len(loaded.Warnings) != 1 || !strings.HasPrefix(loaded.Warnings[0], test.warning) {
				t.Errorf("warnings %q, want one that starts %q", loaded.Warnings, test.warning)
			}
			if own := w.with("POSTERN_" + test.wonderwall).problems(t); (test.own == "") != (len(own) == 0) || test.own != "" && !strings.HasPrefix(own[0], test.own+": ") {
				t.Errorf("as POSTERN_ variable: %q", own)
			}
		})
	}
}

func TestIngressHasOneForm(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"https://App.Example.org":          "https://app.example.org",
		"https://app.example.org:443/":     "https://app.example.org",
		"http://localhost:80/x/":           "http://localhost/x",
		"https://app.example.org/a/b//":    "https://app.example.org/a/b",
		"https://[2001:DB8::1]:8443/app/":  "https://[2001:db8::1]:8443/app",
		"https://app.example.org/bl%c3%a5": "https://app.example.org/bl%C3%A5",
	} {
		w := withLogin().with("POSTERN_INGRESS=" + text)
		if got := w.load(t).Config.Front.Ingress[0].String(); got != want {
			t.Errorf("%s becomes %s, want %s", text, got, want)
		}
	}
	for _, text := range []string{
		"https://u:hunter2@app", "https://app/?q", "https://app/#f", "https://app//a", "https://app/a/../b", "https://app/a%2fb", "https://app/a;b", `https://app/a\b`,
		"//app", "app.example.org", "https://app,https://app/",
	} {
		withLogin().with("POSTERN_INGRESS="+text).refused(t, "ingress", "entry")
	}
}

func TestLoginIsOnOnlyWhenAskedFor(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		env  []string
		want bool
	}{
		{"client id", withLogin().env, true},
		{"Entra ID enabled for tokens, with its variables", []string{
			"POSTERN_UPSTREAM_HOST=app:80", "AZURE_ENABLED=true", "AZURE_APP_CLIENT_ID=a",
			"AZURE_APP_CLIENT_SECRET=s", "AZURE_APP_WELL_KNOWN_URL=https://login.microsoftonline.com/t/v2.0/.well-known/openid-configuration",
		}, false},
		{"only an app", []string{"POSTERN_UPSTREAM_HOST=app:80"}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c := world{env: test.env}.load(t).Config
			if c.LoginEnabled() != test.want || !c.HasFrontDoor() || c.NothingOn() {
				t.Errorf("login %v, front door %v, nothing %v", c.LoginEnabled(), c.HasFrontDoor(), c.NothingOn())
			}
		})
	}
}

func TestForgottenClientIDDoesNotOpenTheApp(t *testing.T) {
	t.Parallel()
	w := world{env: []string{"POSTERN_INGRESS=https://app.example.org"}}
	w.with("POSTERN_OPENID_WELL_KNOWN_URL=https://idp/").refused(t, "openid.client-id", "since openid.well-known-url is given")
	w.with("POSTERN_OPENID_CLIENT_SECRET=hunter2").refused(t, "openid.client-id", "since openid.client-secret is given")
	w.with("POSTERN_AUTO_LOGIN=true").refused(t, "auto-login", "needs login")
	w.with("POSTERN_REQUIRE_AUTH=true").refused(t, "require-auth", "nobody")
}

func TestPresets(t *testing.T) {
	t.Parallel()
	t.Run("azure", func(t *testing.T) {
		t.Parallel()
		w := world{env: []string{
			"WONDERWALL_OPENID_PROVIDER=azure", "WONDERWALL_INGRESS=https://app.example.org/", "WONDERWALL_UPSTREAM_IP=10.0.0.7", "WONDERWALL_UPSTREAM_PORT=8080",
			"AZURE_APP_CLIENT_ID=entra-app", "AZURE_APP_CLIENT_SECRET=s", "AZURE_APP_CLIENT_JWK=" + privateJWK, "AZURE_FEDERATED_TOKEN_FILE=/token",
			"AZURE_APP_WELL_KNOWN_URL=https://login.microsoftonline.com/tenant/v2.0/.well-known/openid-configuration", "AZURE_APP_PRE_AUTHORIZED_APPS=[]",
			"IDPORTEN_CLIENT_ID=not-this-one",
		}}
		loaded := w.load(t)
		o := loaded.Config.OpenID
		if o.ClientID != "entra-app" || o.ClientJWK.Reveal() != privateJWK || o.ClientSecret.Reveal() != "s" || o.FederatedTokenFile != "/token" || o.ACRValues != "" ||
			!strings.HasPrefix(o.WellKnownURL, "https://login.microsoftonline.com/") {
			t.Errorf("not filled from the platform: %+v", o)
		}
		if len(loaded.Warnings) > 0 || !loaded.Config.LoginEnabled() || loaded.Config.Upstream.Host != "10.0.0.7:8080" {
			t.Errorf("warnings %q, login %v, app %s", loaded.Warnings, loaded.Config.LoginEnabled(), loaded.Config.Upstream.Host)
		}
		second := w.with("AZURE_APP_JWK=" + strings.Replace(privateJWK, "very", "most", 1)).load(t).Config
		if !strings.Contains(second.OpenID.ClientJWK.Reveal(), "most-private") || !strings.Contains(second.Providers.Azure.ClientJWK.Reveal(), "most-private") {
			t.Error("AZURE_APP_JWK must win over AZURE_APP_CLIENT_JWK")
		}
	})
	t.Run("idporten", func(t *testing.T) {
		t.Parallel()
		w := world{env: []string{
			"POSTERN_OPENID_PROVIDER=idporten", "POSTERN_INGRESS=https://app.example.org", "IDPORTEN_CLIENT_ID=citizen",
			"IDPORTEN_CLIENT_JWK=" + privateJWK, "IDPORTEN_WELL_KNOWN_URL=https://test.idporten.no/.well-known/openid-configuration",
		}}
		loaded := w.load(t)
		if o := loaded.Config.OpenID; o.ClientID != "citizen" || o.ACRValues != "idporten-loa-high" || o.UILocales != "nb" {
			t.Errorf("preset is %+v", o)
		}
		if got := loaded.value("openid.acr-values").Source; got != "default of idporten" {
			t.Errorf("source %q", got)
		}
		if o := w.with("WONDERWALL_OPENID_ACR_VALUES=Level3").load(t).Config.OpenID; o.ACRValues != "Level3" {
			t.Errorf("a given level must win, got %q", o.ACRValues)
		}
	})
	t.Run("azure without its variables", func(t *testing.T) {
		t.Parallel()
		got := world{env: []string{"POSTERN_OPENID_PROVIDER=azure", "POSTERN_INGRESS=https://app.example.org"}}.problems(t)
		want := []string{
			"openid.client-id: required for login (or AZURE_APP_CLIENT_ID)",
			"openid.client-jwk: required for login, or openid.client-secret, or openid.federated-token-file (or AZURE_APP_JWK or AZURE_APP_CLIENT_JWK)",
			"openid.well-known-url: required for login (or AZURE_APP_WELL_KNOWN_URL)",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}

func TestIgnorePaths(t *testing.T) {
	t.Parallel()
	w := withLogin().with("POSTERN_AUTO_LOGIN=true", "WONDERWALL_AUTO_LOGIN_IGNORE_PATHS=/a/{b,c}/**, public/*,/public/*,,/@vite/**")
	loaded := w.load(t)
	if diff := cmp.Diff([]string{"/a/{b,c}/**", "/public/*", "/@vite/**"}, loaded.Config.Front.AutoLoginIgnorePaths); diff != "" {
		t.Error(diff)
	}
}

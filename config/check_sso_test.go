package config

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func ssoServerWorld() world {
	return withLogin().with(
		"POSTERN_SSO_ENABLED=true", "POSTERN_SSO_SESSION_COOKIE_NAME=sso", "POSTERN_SSO_DOMAIN=example.org",
		"POSTERN_SSO_SERVER_DEFAULT_REDIRECT_URL=https://www.example.org/", "POSTERN_REDIS_URI=rediss://r", "POSTERN_ENCRYPTION_KEY="+key('a'),
	)
}

func ssoProxyWorld() world {
	return world{env: []string{
		"WONDERWALL_SSO_ENABLED=true", "WONDERWALL_SSO_MODE=proxy", "WONDERWALL_SSO_SERVER_URL=https://login.example.org/",
		"WONDERWALL_SSO_SESSION_COOKIE_NAME=sso", "WONDERWALL_REDIS_URI=rediss://r", "WONDERWALL_ENCRYPTION_KEY=" + key('a'), "WONDERWALL_INGRESS=https://app",
	}}
}

func TestSSOWants(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		w    world
		want []string
	}{
		{
			"server", withLogin().with("POSTERN_SSO_ENABLED=true"),
			[]string{"sso.session-cookie-name", "redis.uri", "sso.domain", "sso.server-default-redirect-url"},
		},
		{
			"proxy",
			world{env: []string{"POSTERN_SSO_ENABLED=true", "POSTERN_SSO_MODE=proxy"}},
			[]string{"ingress", "sso.session-cookie-name", "redis.uri", "sso.server-url"},
		},
		{"whole server", ssoServerWorld(), nil},
		{"whole proxy", ssoProxyWorld(), nil},
		{"proxy of Entra ID without a client", ssoProxyWorld().with("POSTERN_OPENID_PROVIDER=azure", "POSTERN_REQUIRE_AUTH=true"), nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var options []string
			for _, line := range test.w.problems(t) {
				option, _, _ := strings.Cut(line, ": ")
				options = append(options, option)
			}
			if diff := cmp.Diff(test.want, options); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestSSORefuses(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, env, option, words string }{
		{"cookie name with a space", "POSTERN_SSO_SESSION_COOKIE_NAME=a b", "sso.session-cookie-name", "RFC 6265"},
		{"address as the domain", "POSTERN_SSO_DOMAIN=127.0.0.1", "sso.domain", "domain such as"},
		{"domain with a scheme", "POSTERN_SSO_DOMAIN=https://example.org", "sso.domain", "domain such as"},
		{"domain of somebody else", "POSTERN_SSO_DOMAIN=ample.org", "ingress", "not within sso.domain"},
		{"default address on http", "POSTERN_SSO_SERVER_DEFAULT_REDIRECT_URL=http://www.example.org/", "sso.server-default-redirect-url", "https"},
		{"default address that leads back", "POSTERN_SSO_SERVER_DEFAULT_REDIRECT_URL=https://APP.example.org:443/x", "sso.server-default-redirect-url", "itself"},
		{"default address of no web", "POSTERN_SSO_SERVER_DEFAULT_REDIRECT_URL=javascript:x", "sso.server-default-redirect-url", "https"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			ssoServerWorld().with(test.env).refused(t, test.option, test.words)
		})
	}
	for _, test := range []struct{ name, env, option, words string }{
		{"server on http", "POSTERN_SSO_SERVER_URL=http://login.example.org", "sso.server-url", "https"},
		{"server with a query", "POSTERN_SSO_SERVER_URL=https://login.example.org/?x", "sso.server-url", "no query"},
		{"server with an odd path", "POSTERN_SSO_SERVER_URL=https://login.example.org/a/../b", "sso.server-url", "one way"},
		{"two levels", "POSTERN_OPENID_ACR_VALUES=a b", "openid.acr-values", "single"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			ssoProxyWorld().with(test.env).refused(t, test.option, test.words)
		})
	}
	local := []string{"POSTERN_SSO_DOMAIN=sso.localhost", "POSTERN_INGRESS=http://a.sso.localhost:1", "POSTERN_COOKIE_SECURE=false", "POSTERN_COOKIE_SAME_SITE=None"}
	ssoServerWorld().with(local...).refused(t, "cookie.same-site", "cookie.secure")
}

func TestSSODefaultsAndWarnings(t *testing.T) {
	t.Parallel()
	proxy := ssoProxyWorld().load(t).Config
	if proxy.Session.CacheTTL != 0 || !proxy.SSOProxy() || proxy.SSOServer() || proxy.SSO.ServerURL != "https://login.example.org" || proxy.OpenID.ProviderSet {
		t.Errorf("proxy: %+v", proxy.SSO)
	}
	if named := ssoProxyWorld().with("POSTERN_OPENID_PROVIDER=idporten").load(t).Config; !named.OpenID.ProviderSet || named.OpenID.ACRValues != "idporten-loa-high" {
		t.Errorf("proxy of ID-porten: %+v", named.OpenID)
	}
	loaded := ssoServerWorld().with("POSTERN_SSO_DOMAIN=.Example.org", "POSTERN_UPSTREAM_HOST=app:80", "POSTERN_AUTO_LOGIN=true").load(t)
	if server := loaded.Config; !server.SSOServer() || server.SSO.Domain != "example.org" || server.Session.CacheTTL != 30*time.Second {
		t.Errorf("server: %+v", server.SSO)
	}
	if got := loaded.Config.WhoWithoutCaller(nil); !strings.Contains(got, "SSO server") {
		t.Errorf("who reaches the app: %q", got)
	}
	for _, option := range []string{"upstream-host", "auto-login"} {
		if got := strings.Join(loaded.Warnings, "\n"); !strings.Contains(got, option+": has no effect as SSO server") {
			t.Errorf("warnings: %s", got)
		}
	}
}

func TestWithinDomain(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]bool{
		"example.org": true, "EXAMPLE.org": true, "a.example.org": true, "a.b.example.org": true, "evilexample.org": false, "example.org.evil": false,
		".example.org": false, "a..example.org": false, "a.example.org.": false, "": false, "org": false, "a/b.example.org": false, "\u00e6.example.org": false,
	} {
		if WithinDomain(host, "example.org") != want {
			t.Errorf("%q within example.org: %v", host, !want)
		}
	}
}

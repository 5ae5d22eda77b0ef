package config

import (
	"fmt"
	"net/netip"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
)

// sample is a value of the option that is not its default, as text, and as it is shown.
func sample(t *testing.T, o *option) (text, shown string) {
	t.Helper()
	switch {
	case o.name == "ingress":
		return "https://a.example.org,https://b.example.org/x", "https://a.example.org,https://b.example.org/x"
	case o.name == "trusted-proxies":
		return "192.0.2.7, 198.51.100.0/24", "192.0.2.7/32,198.51.100.0/24"
	case o.name == "identity.claims":
		return "X-Name=name, X-Dept=dept", "X-Dept=dept,X-Name=name"
	case o.name == "egress.routes":
		return "[{name: a, url: 'http://a', provider: tokenx, target: t, as: app, open: true, cookies: true, h2c: true, timeout: 3s}]", "1 entry"
	case o.name == "issuers":
		return "[{name: a, issuer: i, audience: b, jwks-uri: j, well-known-url: w, algorithms: [ES256], tenants: [t], claims: {user: x}}]", "1 entry"
	case o.name == "upstream-tokens":
		return "[{header: X-A, provider: tokenx, target: t, required: true, paths: [/a]}, {header: X-B}]", "2 entries"
	case o.name == "encryption-key":
		return "one,two", redacted + "," + redacted
	case o.secret:
		return "hunter2", redacted
	case o.list && len(o.values) > 0:
		return strings.Join(o.values[:2], ","), strings.Join(o.values[:2], ",")
	case len(o.values) > 0:
		return o.values[1], o.values[1]
	case o.boolean:
		other := fmt.Sprint(o.show() == "false")
		return other, other
	case o.list:
		return "a, b", "a,b"
	case o.word == "duration":
		return "7m", "7m"
	case o.word == "size":
		return "7KiB", "7KiB"
	case o.word == "number":
		return "7", "7"
	default:
		return "seven", "seven"
	}
}

// inFile writes an option as nested keys.
func inFile(t *testing.T, o *option, text string) string {
	t.Helper()
	var value any = text
	if strings.HasPrefix(text, "[") {
		var n yaml.Node
		if err := yaml.Unmarshal([]byte(text), &n); err != nil {
			t.Fatal(err)
		}
		value = n.Content[0]
	}
	parts := strings.Split(o.name, ".")
	if o.name == "csrf.trusted-origins" {
		parts = []string{o.name}
	}
	for _, part := range slices.Backward(parts) {
		value = map[string]any{part: value}
	}
	out, err := yaml.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func TestEveryOptionInEverySpelling(t *testing.T) {
	t.Parallel()
	for _, o := range newTable(&Config{}).options {
		if o.variable || o.name == "config" {
			continue
		}
		t.Run(o.name, func(t *testing.T) {
			t.Parallel()
			text, shown := sample(t, o)
			variable := strings.NewReplacer(".", "_", "-", "_").Replace(strings.ToUpper(o.name))
			file := map[string]string{"c": inFile(t, o, text)}
			for name, w := range map[string]world{
				"flag":                          {args: []string{"--" + o.name + "=" + text}},
				"environment variable POSTERN_": {env: []string{"POSTERN_" + variable + "=" + text}},
				"environment variable WONDERWALL_": {
					env: []string{"WONDERWALL_" + variable + "=" + text},
				},
				"file c": {args: []string{"--config=c"}, files: file},
			} {
				l := newLoader(w.source())
				l.gather(w.args)
				got := l.option(o.name)
				if strings.Contains(name, "WONDERWALL") && !o.wonderwall {
					if got.given() || len(l.warnings) != 1 {
						t.Errorf("%s: read although wonderwall has no such option", name)
					}
					continue
				}
				if len(l.problems) > 0 || got.shown() != shown || !strings.HasPrefix(got.origin.label, name) {
					t.Errorf("%s: %q from %q with problems %v, want %q", name, got.shown(), got.origin.label, l.problems, shown)
				}
			}
			if _, first, _ := strings.Cut(text, ","); o.boolean || first != "" {
				return
			}
			l := newLoader(Source{})
			if l.gather([]string{"--" + o.name, text}); l.option(o.name).shown() != shown {
				t.Error("the flag does not take its value from the next argument")
			}
		})
	}
}

// TestEveryFieldHasAnOption sets everything that can be said and looks for fields of Config that did not move.
func TestEveryFieldHasAnOption(t *testing.T) {
	t.Parallel()
	before, c := Config{}, Config{}
	newTable(&before)
	for _, o := range newTable(&c).options {
		text, _ := sample(t, o)
		switch {
		case o.name == "AZURE_APP_PRE_AUTHORIZED_APPS":
			text = `[{"name":"a:b:c","clientId":"d"}]`
		case strings.HasSuffix(o.name, "_ENABLED"):
			text = "true"
		case o.variable && strings.HasPrefix(o.name, "TEXAS_"):
			text = "7"
		}
		if err := o.fromText(text); err != nil {
			t.Fatalf("%s: %v", o.name, err)
		}
	}
	// What no variable says about a provider, and what is derived.
	elsewhere := map[string]bool{
		"Upstream.Set": true, "Front.TrustedProxiesSet": true, "Bearer.Set": true, "Bearer.Accepted": true, "Providers.Azure.Audience": true,
		"OpenID.ProviderSet": true,
		"Otel.Resource":      true, "Otel.ParentBased": true, "Otel.Ratio": true, // by OTEL_*: TestTelemetry
		"Otel.QueueSize": true, "Otel.BatchSize": true, "Otel.BatchDelay": true, "Otel.MetricInterval": true,
	}
	for _, field := range []string{"On", "GRPC", "URL", "Headers", "Timeout", "Gzip", "CAFile", "CertFile", "KeyFile"} {
		elsewhere["Otel.Traces."+field], elsewhere["Otel.Metrics."+field] = true, true
	}
	for _, provider := range []string{"TokenX", "Maskinporten", "IDPorten"} {
		for _, field := range []string{"ClientSecret", "FederatedTokenFile", "TenantID", "PreAuthorizedApps", "Audience", "TokenEndpoint"} {
			elsewhere["Providers."+provider+"."+field] = true
		}
	}
	delete(elsewhere, "Providers.IDPorten.Audience")
	delete(elsewhere, "Providers.TokenX.TokenEndpoint")
	delete(elsewhere, "Providers.Maskinporten.TokenEndpoint")
	walkFields(reflect.ValueOf(before), reflect.ValueOf(c), "", func(path string, a, b reflect.Value) {
		if moved := !reflect.DeepEqual(a.Interface(), b.Interface()); moved == elsewhere[path] {
			t.Errorf("%s moved: %v", path, moved)
		}
	})
}

func walkFields(a, b reflect.Value, path string, visit func(string, reflect.Value, reflect.Value)) {
	if a.Kind() != reflect.Struct || a.Type() == reflect.TypeFor[Secret]() || a.Type() == reflect.TypeFor[netip.Prefix]() || a.Type() == reflect.TypeFor[url.URL]() {
		visit(strings.TrimPrefix(path, "."), a, b)
		return
	}
	for i := range a.NumField() {
		walkFields(a.Field(i), b.Field(i), path+"."+a.Type().Field(i).Name, visit)
	}
}

func TestNamesAreUnambiguous(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	for _, o := range newTable(&Config{}).options {
		name := environmentName(o.name)
		if other, twice := seen[name]; twice {
			t.Errorf("%s and %s have one variable", o.name, other)
		}
		seen[name] = o.name
		if o.doc == "" || !strings.HasSuffix(o.doc, ".") {
			t.Errorf("%s: the text %q is no sentence", o.name, o.doc)
		}
		if serviceLink("POSTERN_"+name, "7") {
			t.Errorf("%s looks like a variable of a Kubernetes Service", o.name)
		}
	}
}

// TestWonderwallOptions pins names and defaults of reference/wonderwall.md part 7.
func TestWonderwallOptions(t *testing.T) {
	t.Parallel()
	want := map[string]string{
		"bind-address": "127.0.0.1:3000", "metrics-bind-address": "127.0.0.1:3001", "probe-bind-address": "", "pprof-enabled": "false",
		"log-format": "json", "log-level": "info", "shutdown-graceful-period": "30s", "shutdown-wait-before-period": "0s",
		"ingress": "", "upstream-host": "127.0.0.1:8080", "upstream-ip": "", "upstream-port": "0", "upstream-access-logs": "false",
		"upstream-include-id-token": "false", "auto-login": "false", "auto-login-ignore-paths": "", "encryption-key": "",
		"cookie.prefix":    "postern", // the contract's one exception
		"cookie.same-site": "Lax", "cookie.secure": "true", "openid.provider": "openid", "openid.client-id": "", "openid.well-known-url": "",
		"openid.client-jwk": "", "openid.client-secret": "", "openid.scopes": "", "openid.audiences": "", "openid.acr-values": "",
		"openid.ui-locales": "", "openid.domain-hint": "", "openid.resource-indicator": "", "openid.post-logout-redirect-uri": "",
		"openid.jwks-fallback-alg": "RS256", "openid.new-client-auth-jwt-type": "false", "ratelimit.enabled": "true", "ratelimit.logins": "5",
		"ratelimit.window": "5s", "redis.uri": "", "redis.address": "", "redis.username": "", "redis.password": "", "redis.tls": "true",
		"redis.connection-idle-timeout": "0", "session.max-lifetime": "10h", "session.inactivity": "false", "session.inactivity-timeout": "30m",
		"session.forward-auth": "false", "session.forward-auth-set-headers": "false", "sso.enabled": "false", "sso.mode": "server",
		"sso.session-cookie-name": "", "sso.domain": "", "sso.server-default-redirect-url": "", "sso.server-url": "",
		"otel.enabled": "false", "otel.service-name": "wonderwall",
	}
	got := map[string]string{}
	for _, o := range newTable(&Config{}).options {
		if o.wonderwall {
			got[o.name] = o.shown()
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestOwnDefaults(t *testing.T) {
	t.Parallel()
	want := map[string]string{
		"policy-mode": "enforce", "require-auth": "false", "bearer.providers": "none", "identity.headers": "none", "identity.assertion": "false",
		"upstream-timeout": "0s", "upstream-h2c": "false", "upstream-exposed": "warn", "session.cache-ttl": "30s", "session.outage-grace": "0s",
		"session.backchannel-logout": "true", "csrf": "cross-site", "auth-skip-preflight": "false", "path-strictness": "readings",
		"trusted-proxies": "127.0.0.0/8,::1/128,10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,100.64.0.0/10,fc00::/7,fe80::/10",
		"login.rate":      "50", "limits.header-bytes": "64KiB", "limits.header-time": "10s", "limits.cookies": "100", "limits.body-bytes": "1MiB",
		"limits.token-api-bytes": "2MiB", "identity.max-bytes": "6KiB", "token.bind-address": "127.0.0.1:3002",
	}
	l := world{}.load(t)
	for name, value := range want {
		if got := l.value(name); got.Value != value || got.Source != "default" {
			t.Errorf("%s is %q from %q, want %q", name, got.Value, got.Source, value)
		}
	}
}

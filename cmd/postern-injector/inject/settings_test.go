package inject_test

import (
	"errors"
	"strings"
	"testing"

	"postern/cmd/postern-injector/inject"
)

func TestSettingsOfAWholePlatform(t *testing.T) {
	t.Parallel()
	s, err := inject.ReadSettings([]byte(`
image: ` + testImage + `
allowed-images: ["registry.example.org/beta/postern@*"]
pull-policy: Always
resources: {requests: {cpu: 50m, memory: 64Mi}, limits: {memory: 512Mi}}
env:
  POSTERN_REDIS_SENTINEL_MASTER: main
  POSTERN_REDIS_SENTINEL_ADDRESSES: redis-0:26379,redis-1:26379
  POSTERN_SESSION_INACTIVITY: true
  NAIS_CLUSTER_NAME: dev-gcp
  HTTPS_PROXY: http://proxy.example.org:8080
  OTEL_SERVICE_NAME: postern
  AZURE_APP_TENANT_ID: 11111111-2222-4333-8444-555555555555
secrets: [postern-redis, postern-keys]
defaults: {provider: azure, log-level: warn, tokens: entra_id, app-port: http, bearer-providers: entra_id}
`))
	if err != nil {
		t.Fatal(err)
	}
	out, _, _ := mustInject(t, sample(t, annotate("ingress", "https://a.example.org", "secrets", "azure-web")), inject.Request{}, s)
	c := out.Spec.InitContainers[0]
	env := environment(c)
	if env["POSTERN_REDIS_SENTINEL_MASTER"] != "main" || env["POSTERN_SESSION_INACTIVITY"] != "true" || env["NAIS_CLUSTER_NAME"] != "dev-gcp" || env["AZURE_ENABLED"] != "true" {
		t.Errorf("%v", env)
	}
	var names []string
	for _, from := range c.EnvFrom {
		if names = append(names, from.SecretRef.Name); from.SecretRef.Optional == nil || *from.SecretRef.Optional {
			t.Errorf("%s is optional", from.SecretRef.Name)
		}
	}
	if strings.Join(names, " ") != "postern-redis postern-keys azure-web" || c.ImagePullPolicy != "Always" || env["GOMEMLIMIT"] != "448MiB" {
		t.Errorf("%v %v %v", names, c.ImagePullPolicy, env["GOMEMLIMIT"])
	}
}

// Where the store is, is no secret; who may use it, is. The chart's sessions.redis comes this way. A sidecar without login keeps no sessions: it
// would only ask for a key that it does not need.
func TestAddressOfTheStoreIsForSidecarsWithLogin(t *testing.T) {
	t.Parallel()
	for _, uri := range []string{"redis://valkey.example.org:6379", "rediss://valkey.example.org:6379/0", "redis://[2001:db8::1]:6379/15", "redis://valkey"} {
		s, err := inject.ReadSettings([]byte("image: " + testImage + "\nenv: {POSTERN_REDIS_URI: '" + uri + "', POSTERN_REDIS_USERNAME: postern}"))
		if err != nil {
			t.Errorf("%s: %v", uri, err)
			continue
		}
		login := annotate("provider", "openid", "ingress", "https://a.example.org", "secrets", "client")
		out, _, _ := mustInject(t, sample(t, login), inject.Request{}, s)
		if got := environment(out.Spec.InitContainers[0]); got["POSTERN_REDIS_URI"] != uri || got["POSTERN_REDIS_USERNAME"] != "postern" {
			t.Errorf("with login: %v", got)
		}
		out, _, _ = mustInject(t, sample(t), inject.Request{}, s)
		for name := range environment(out.Spec.InitContainers[0]) {
			if strings.HasPrefix(name, "POSTERN_REDIS_") {
				t.Errorf("without login: %s", name)
			}
		}
	}
}

func TestSettingsThatAreRefused(t *testing.T) {
	t.Parallel()
	image := "image: " + testImage + "\n"
	for name, c := range map[string]struct{ text, says string }{
		"nothing":                         {"", "image"},
		"image by tag":                    {"image: postern:latest", "image: must be of the form NAME@sha256:DIGEST"},
		"image with a short digest":       {"image: postern@sha256:abc", "image"},
		"unknown key":                     {image + "images: x", "images"},
		"key twice":                       {image + image, "already"},
		"two documents":                   {image + "---\n" + image, "more than one"},
		"no YAML":                         {"{", "yaml"},
		"huge":                            {image + "#" + strings.Repeat("x", 1<<20), "1 MiB"},
		"pull policy":                     {image + "pull-policy: always", "pull-policy"},
		"pattern":                         {image + "allowed-images: ['[']", "allowed-images: entry 1"},
		"empty pattern":                   {image + "allowed-images: ['']", "allowed-images: entry 1"},
		"name of a Secret":                {image + "secrets: [A_B]", "secrets: entry 1"},
		"Secret twice":                    {image + "secrets: [a, a]", "secrets: entry 2"},
		"quantity":                        {image + "resources: {limits: {memory: lots}}", `limits.memory: "lots"`},
		"resource":                        {image + "resources: {limits: {disk: 1Gi}}", `"disk"`},
		"limit below request":             {image + "resources: {requests: {memory: 1Gi}}", "less than the request"},
		"unknown variable":                {image + "env: {POSTERN_LOG_LEVL: debug}", "nearest: POSTERN_LOG_LEVEL"},
		"variable of somebody else":       {image + "env: {LD_PRELOAD: x}", "LD_PRELOAD"},
		"secret":                          {image + "env: {POSTERN_REDIS_PASSWORD: hunter2}", "put it into a Secret"},
		"address with a password":         {image + "env: {POSTERN_REDIS_URI: 'redis://:hunter2@x'}", "put it into a Secret"},
		"address with a user":             {image + "env: {POSTERN_REDIS_URI: 'redis://u@x'}", "put it into a Secret"},
		"address with a query":            {image + "env: {POSTERN_REDIS_URI: 'redis://x?password=hunter2'}", "put it into a Secret"},
		"address that is none":            {image + "env: {POSTERN_REDIS_URI: hunter2}", "put it into a Secret"},
		"address of another scheme":       {image + "env: {POSTERN_REDIS_URI: 'hunter2://x'}", "put it into a Secret"},
		"address with more than a number": {image + "env: {POSTERN_REDIS_URI: 'redis://x/hunter2'}", "put it into a Secret"},
		"secret in an older name":         {image + "env: {WONDERWALL_ENCRYPTION_KEY: x}", "put it into a Secret"},
		"secret of the platform":          {image + "env: {AZURE_APP_CLIENT_SECRET: hunter2}", "put it into a Secret"},
		"secret in an address":            {image + "env: {HTTPS_PROXY: 'http://u:hunter2@proxy'}", "put it into a Secret"},
		"secret of telemetry":             {image + "env: {OTEL_EXPORTER_OTLP_HEADERS: 'a=hunter2'}", "might hold a secret"},
		"variable that is a default":      {image + "env: {POSTERN_INGRESS: 'https://a.example.org'}", "said in defaults, as ingress"},
		"variable that protects":          {image + "env: {POSTERN_REQUIRE_AUTH: 'false'}", "said in defaults, as require-auth"},
		"the same, in the name of others": {image + "env: {WONDERWALL_AUTO_LOGIN: 'false'}", "said in defaults, as auto-login"},
		"variable of the injector":        {image + "env: {POSTERN_BIND_ADDRESS: ':80'}", "set by the injector itself"},
		"variable that lets others in":    {image + "env: {POSTERN_TOKEN_ALLOW_REMOTE: 'true'}", "set by the injector itself"},
		"value of a variable":             {image + "env: {POSTERN_SESSION_MAX_LIFETIME: long}", "session.max-lifetime"},
		"unknown default":                 {image + "defaults: {ingres: x}", "nearest: postern.dev/ingress"},
		"value of a default":              {image + "defaults: {log-level: loud}", "log-level in the defaults of the injector's settings"},
		"port of a default":               {image + "defaults: {proxy-port: '80'}", "proxy-port"},
		"default that is null":            {image + "defaults: {log-level: }", "is empty"},
		"image of a default":              {image + "defaults: {image: 'a@sha256:" + strings.Repeat("a", 64) + "'}", "not allowed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := inject.ReadSettings([]byte(c.text))
			if _, ok := errors.AsType[*inject.SettingsError](err); !ok || !strings.Contains(err.Error(), c.says) {
				t.Errorf("it does not say %q: %v", c.says, err)
			}
			if err != nil && strings.Contains(err.Error(), "hunter2") {
				t.Errorf("it repeats a secret: %v", err)
			}
		})
	}
}

func TestSettingsNameAllProblemsAtOnce(t *testing.T) {
	t.Parallel()
	_, err := inject.ReadSettings([]byte("image: x\npull-policy: y\nenv: {POSTERN_REDIS_URI: z, FOO: 1}\ndefaults: {csrf: no, ingres: x}\nresources: {limits: {cpu: q}}\n"))
	wrong, ok := errors.AsType[*inject.SettingsError](err)
	if !ok || len(wrong.Problems) < 7 {
		t.Errorf("%v", err)
	}
}

// What is said nowhere can be wrong nowhere: whatever is left open by settings is no problem of theirs.
func TestSettingsMayLeaveOpenWhatPodsSay(t *testing.T) {
	t.Parallel()
	for _, defaults := range []string{
		"{}", "{auto-login: 'true'}", "{provider: idporten}", "{provider: none, policy: none}", "{policy: team}", "{app-port: none}", "{app-port: '9000'}", "{app-port: web}",
		"{bearer-providers: 'tokenx,idporten'}", "{acr: idporten-loa-high, locale: nb}", "{tokens: maskinporten}", "{require-auth: 'false'}",
		"{egress-routes: '[{name: a, url: \"https://a.example.org\", provider: tokenx, target: b}]'}",
	} {
		if _, err := inject.ReadSettings([]byte("image: " + testImage + "\ndefaults: " + defaults)); err != nil {
			t.Errorf("%s: %v", defaults, err)
		}
	}
}

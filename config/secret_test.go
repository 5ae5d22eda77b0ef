package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// secretWorld holds a secret in every place where one can be.
func secretWorld() world {
	return world{
		args: []string{"--redis.password", "SECRET-flag", "--config=c.yaml"},
		env: []string{
			"POSTERN_OPENID_CLIENT_ID=app", "POSTERN_OPENID_WELL_KNOWN_URL=https://idp/", "POSTERN_INGRESS=https://app",
			"POSTERN_REDIS_URI=rediss://user:SECRET-redis@store:6379?password=SECRET-query", "POSTERN_OPENID_CLIENT_SECRET_FILE=/secret",
			"AZURE_APP_CLIENT_SECRET=SECRET-azure", "TOKEN_X_PRIVATE_JWK=SECRET-tokenx", "AZURE_APP_JWK=SECRET-jwk",
			"HTTPS_PROXY=http://SECRET-user:SECRET-pa,ss@proxy.example.org:8080", "http_proxy=SECRET-user:SECRET-pass@proxy.example.org:8080",
			"OTEL_EXPORTER_OTLP_HEADERS=api-key=SECRET-otel", "OTEL_EXPORTER_OTLP_TRACES_HEADERS=SECRET-otel", "OTEL_SOMETHING_NEW=SECRET-otel",
			"OTEL_EXPORTER_OTLP_ENDPOINT=https://SECRET-user:SECRET-pass@collector:4317", "OTEL_SERVICE_NAME=my-app",
			"POSTERN_SECRET_THING=SECRET-unknown",
		},
		files: map[string]string{
			"c.yaml":  "openid:\n  client-jwk: '" + strings.Replace(privateJWK, "very-private", "SECRET-file", 1) + "'\nencryption-key: " + key('S') + "\n",
			"/secret": "SECRET-mounted\n",
		},
	}
}

func TestS54SecretsAreNeverShown(t *testing.T) {
	t.Parallel()
	loaded := secretWorld().load(t)
	if got := loaded.Config.Redis.Password.Reveal(); got != "SECRET-flag" {
		t.Fatalf("the test world is not read: %q", got)
	}
	var out bytes.Buffer
	if err := loaded.Print(&out); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintln(&out, loaded.Warnings)
	log := slog.New(slog.NewJSONHandler(&out, nil))
	for _, c := range []any{loaded.Config, *loaded.Config, loaded, loaded.Config.Redis, loaded.Config.Encryption, loaded.Config.Outbound, loaded.Config.OpenID.ClientSecret} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x"} {
			fmt.Fprintf(&out, verb+"\n", c)
		}
		log.Info("config", "c", c)
		asJSON, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		asYAML, err := yaml.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		out.Write(asJSON)
		out.Write(asYAML)
	}
	for _, leak := range []string{"SECRET-", key('S'), "5345435245542d"} { // the last is %x of the first
		if i := strings.Index(out.String(), leak); i >= 0 {
			t.Errorf("shown: …%s…", out.String()[max(0, i-80):min(out.Len(), i+40)])
		}
	}
	for _, want := range []Value{
		{"redis.uri", "[redacted]", "environment variable POSTERN_REDIS_URI"},
		{"openid.client-secret", "[redacted]", "file /secret (openid.client-secret-file)"},
		{"encryption-key", "[redacted]", "file c.yaml"},
		{"HTTPS_PROXY", "http://[redacted]@proxy.example.org:8080", "environment variable HTTPS_PROXY"},
		{"HTTP_PROXY", "[redacted]@proxy.example.org:8080", "environment variable http_proxy"},
		{"OTEL_EXPORTER_OTLP_HEADERS", "[redacted]", "environment variable OTEL_EXPORTER_OTLP_HEADERS"},
		{"OTEL_EXPORTER_OTLP_ENDPOINT", "https://[redacted]@collector:4317", "environment variable OTEL_EXPORTER_OTLP_ENDPOINT"},
		{"otel.service-name", "my-app", "environment variable OTEL_SERVICE_NAME"},
	} {
		if got := loaded.value(want.Name); got != want {
			t.Errorf("shown %+v, want %+v", got, want)
		}
	}
}

// TestS54ProblemsRepeatNoValue puts a secret into every option, in every source, and looks at what is said about it.
func TestS54ProblemsRepeatNoValue(t *testing.T) {
	t.Parallel()
	const secret = "hunter2:%zz //@[{"
	for _, o := range newTable(&Config{}).options {
		if o.name == "config" {
			continue // the path of a file is no place for a secret, and has to be said
		}
		variable := environmentName(o.name)
		worlds := []world{
			{args: []string{"--" + o.name + "=" + secret}},
			{args: []string{"--" + o.name + "x", secret}},
			{env: []string{"POSTERN_" + variable + "=" + secret, "WONDERWALL_" + variable + "=" + secret, "POSTERN_" + variable + "X=" + secret}},
			{env: []string{o.name + "=" + secret}}, // of the platform
			file("? " + o.name + "\n: [hunter2: {hunter2: hunter2}]\n"),
			file(o.name + ": 'hunter2 {['\n"),
			file(o.name + ": hunter2\n hunter2: [\n"),
		}
		for _, w := range worlds {
			base := withLogin()
			base.args, base.files = append(base.args, w.args...), w.files
			base.env = append(base.env, w.env...)
			_, err := Load(base.source())
			if err != nil && strings.Contains(err.Error(), "hunter2") {
				t.Errorf("%s is repeated: %v", o.name, err)
			}
		}
	}
	for _, args := range [][]string{{"hunter2"}, {"--hunter2-4f9a8b7c6d5e4f3a2b1c0d9e8f7a6b5c4d3e2f1a"}, {"--hunter2%"}, {"-="}, {"--"}} {
		_, err := Load(Source{Args: args})
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: %v", args, err)
		}
	}
}

func TestSecretFiles(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"openid.client-jwk", "openid.client-secret", "redis.uri", "redis.password", "encryption-key"} {
		variable := "POSTERN_" + environmentName(name)
		w := withLogin().with(variable + "_FILE=/run/secret")
		w.files = map[string]string{"/run/secret": "x"}
		l := newLoader(w.source())
		if l.gather(nil); l.option(name+"-file").shown() != "/run/secret" {
			t.Errorf("%s has no -file", name)
		}
		got := strings.Join(w.with(variable+"=y").problems(t), "\n")
		if want := name + ": given in place (environment variable " + variable + ") and as " + name + "-file"; !strings.Contains(got, want) {
			t.Errorf("%s given twice: %q", name, got)
		}
	}

	base := withLogin()
	base.env = append([]string{"POSTERN_OPENID_CLIENT_SECRET_FILE=/s"}, base.env[0], base.env[2], base.env[3])
	for content, want := range map[string]string{"a": "a", "a\n": "a", "a\r\n": "a", "a\n\n": "a\n", " a ": " a "} {
		base.files = map[string]string{"/s": content}
		loaded := base.load(t)
		if got := loaded.Config.OpenID.ClientSecret.Reveal(); got != want || loaded.SecretFiles["openid.client-secret"] != "/s" {
			t.Errorf("file %q gives %q, want %q; files %v", content, got, want, loaded.SecretFiles)
		}
	}
	base.files = map[string]string{"/s": "\n"}
	base.refused(t, "openid.client-secret-file", "empty")
	base.files = nil
	base.refused(t, "openid.client-secret-file", "read /s: file does not exist (environment variable")
	base.env[0] = "POSTERN_OPENID_CLIENT_SECRET_FILE=Hunter2"
	base.refused(t, "openid.client-secret-file", "read the file: file does not exist")
	base.env[0] = "POSTERN_OPENID_CLIENT_SECRET_FILE=/s"
	base.files = map[string]string{"/s": strings.Repeat("x", maxFile+1)}
	base.refused(t, "openid.client-secret-file", "larger")
	base.files = map[string]string{"/s": "given"}
	if got := base.with("POSTERN_OPENID_CLIENT_SECRET=").load(t).Config.OpenID.ClientSecret.Reveal(); got != "given" {
		t.Errorf("an empty secret in place is none, got %q", got)
	}
}

func TestReadSecretFromTheFileSystem(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "secret")
	if _, err := ReadSecret(nil, path); err == nil || strings.Count(err.Error(), path) != 1 {
		t.Errorf("absent file: %v", err)
	}
	if err := os.WriteFile(path, []byte("one\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if s, err := ReadSecret(nil, path); err != nil || s.Reveal() != "one" {
		t.Errorf("got %q, %v", s.Reveal(), err)
	}
}

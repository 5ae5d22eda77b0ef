package charts

import (
	"encoding/base64"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"postern/cmd/postern-injector/inject"
	"postern/config"
)

func settingsOf(t *testing.T, file string, flags ...string) inject.Settings {
	t.Helper()
	out, err := template(t, file, append(flags, "--show-only", "templates/settings.yaml")...)
	if err != nil {
		t.Fatal(err)
	}
	var object struct{ Data map[string]string }
	if err := yaml.Unmarshal([]byte(out), &object); err != nil {
		t.Fatal(err)
	}
	s, err := inject.ReadSettings([]byte(object.Data["settings.yaml"]))
	if err != nil {
		t.Fatalf("the injector refuses it: %v\n%s", err, object.Data["settings.yaml"])
	}
	return *s
}

// The settings file holds what the injector knows, and what it says to the sidecars they understand.
func TestSettingsAreTheInjectors(t *testing.T) {
	t.Parallel()
	for _, file := range valuesFiles(t) {
		s := settingsOf(t, file)
		if !strings.HasSuffix(s.Image, "/postern@sha256:"+strings.Repeat("b", 64)) || s.PullPolicy == "" || s.Resources.Limits["memory"] == "" {
			t.Errorf("%s: %+v", file, s)
		}
		environment := []string{
			"POSTERN_ENCRYPTION_KEY=" + base64.StdEncoding.EncodeToString(make([]byte, 32)), "POSTERN_UPSTREAM_HOST=127.0.0.1:8080",
			"POSTERN_INGRESS=https://app.example.org", "POSTERN_OPENID_CLIENT_ID=x", "POSTERN_OPENID_CLIENT_SECRET=y", "POSTERN_OPENID_WELL_KNOWN_URL=https://idp.example.org/.well-known/openid-configuration",
		}
		for name, value := range s.Env {
			environment = append(environment, name+"="+value)
		}
		loaded, err := config.Load(config.Source{Environ: environment})
		if err != nil {
			t.Errorf("%s: the sidecar refuses it: %v", file, err)
			continue
		}
		for _, w := range loaded.Warnings {
			if strings.Contains(strings.ToLower(w), "redis") || strings.Contains(w, "unknown") {
				t.Errorf("%s: the sidecar warns: %v", file, w)
			}
		}
	}
	full := settingsOf(t, "ci/full-values.yaml")
	if !slices.Equal(full.Secrets, []string{"postern-common", "postern-sessions"}) || full.Defaults["provider"] != "azure" {
		t.Errorf("%+v", full)
	}
}

// What the injector refuses in its settings is refused as a value: an installation with it would never be ready. So are secrets, since values end up in
// ConfigMaps, in the release's history and in git. `go test ./charts -update` writes the names into the schema.
func TestOptionsAmongTheValuesAreThoseThatTheInjectorTakes(t *testing.T) {
	t.Parallel()
	var names []string
	for name := range config.Variables() {
		_, err := inject.ReadSettings([]byte("image: " + sidecarImage + "\nenv: {" + name + ": x}"))
		switch {
		case !strings.HasPrefix(name, "POSTERN_") && !strings.HasPrefix(name, "OTEL_"):
		case elsewhere.MatchString(name): // sessions.redis
		case err == nil || !strings.Contains(err.Error(), "env: "+name):
			names = append(names, name)
		}
	}
	slices.Sort(names)
	if len(names) < 50 {
		t.Fatalf("only %v", names)
	}
	const file, begin, end = chart + "/values.schema.json", "\"propertyNames\": {\"enum\": [\n", "          ]},\n"
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, found := strings.Cut(string(text), begin)
	_, tail, ended := strings.Cut(rest, end)
	if !found || !ended {
		t.Fatal("the schema has no place for the names")
	}
	want := head + begin + "            \"" + strings.Join(names, "\",\n            \"") + "\"\n" + end + tail
	if want == string(text) {
		return
	}
	if !*update {
		t.Fatalf("the schema names other options than these: go test ./charts -run Options -update\n%s", cmp.Diff(string(text), want))
	}
	if err := os.WriteFile(file, []byte(want), 0o600); err != nil {
		t.Fatal(err)
	}
}

var elsewhere = regexp.MustCompile(`^POSTERN_REDIS_(URI|ADDRESS|USERNAME|SENTINEL_.*|CLUSTER_.*)$`)

// Values end up in ConfigMaps, in the release's history and in git: no option that is a secret may be given there.
func TestNoSecretInTheValues(t *testing.T) {
	t.Parallel()
	var names []string
	var reference strings.Builder
	config.Reference(&reference)
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z.-]+)`[^|]*\\| (?:secret|list of secrets) \\|").FindAllStringSubmatch(reference.String(), -1) {
		names = append(names, "POSTERN_"+strings.NewReplacer(".", "_", "-", "_").Replace(strings.ToUpper(m[1])))
	}
	if len(names) < 4 {
		t.Fatalf("secret options: %v", names)
	}
	for _, name := range append(names, "OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS") {
		if _, err := template(t, values, "--set-json", `sidecar.env={"`+name+`":"x"}`); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
	for _, name := range []string{"POSTERN_FORWARD_HEADERS", "POSTERN_REDIS_CONNECTION_IDLE_TIMEOUT", "OTEL_SERVICE_NAME"} {
		if _, err := template(t, values, "--set-json", `sidecar.env={"`+name+`":"x"}`); err != nil {
			t.Errorf("%s is no secret: %v", name, err)
		}
	}
}

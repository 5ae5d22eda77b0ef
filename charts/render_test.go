package charts

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestLintFindsNothing(t *testing.T) {
	t.Parallel()
	for _, file := range valuesFiles(t) {
		if out, err := run(t, "helm", "lint", "--strict", ".", "--values", file); err != nil || strings.Contains(out, "[WARNING]") {
			t.Errorf("%s: %v\n%s", file, err, out)
		}
	}
}

// Whatever changes in what users install is seen in a review: `go test ./charts -update` writes it.
func TestGoldenOutput(t *testing.T) {
	t.Parallel()
	for _, file := range valuesFiles(t) {
		got, err := template(t, file)
		if err != nil {
			t.Error(err)
			continue
		}
		golden := filepath.Join(chart, "testdata", strings.TrimSuffix(filepath.Base(file), "-values.yaml")+".yaml")
		if *update {
			if err := os.MkdirAll(filepath.Dir(golden), 0o750); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), got); diff != "" {
			t.Errorf("%s (-golden +now):\n%s", file, diff)
		}
	}
}

func TestSuitesOfTheChart(t *testing.T) {
	t.Parallel()
	out, err := run(t, "helm-unittest", ".")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out, " passed,") && !strings.Contains(out, " passed, ") || strings.Contains(out, "Tests:       0 passed") {
		t.Fatalf("no test has run:\n%s", out)
	}
}

func TestKubernetesThatIsTooOldIsRefused(t *testing.T) {
	t.Parallel()
	if _, err := template(t, values, "--kube-version", "1.29.0"); err != nil {
		t.Errorf("the oldest: %v", err)
	}
	if _, err := template(t, values, "--kube-version", "1.28.15"); err == nil || !strings.Contains(err.Error(), "kubeVersion") {
		t.Errorf("too old: %v", err)
	}
}

func TestValuesAreRefused(t *testing.T) {
	t.Parallel()
	digest := "@sha256:" + strings.Repeat("c", 64)
	for _, c := range []struct {
		name string
		json []string // --set-json
		want string   // a part of the message
	}{
		{"typo at the top", []string{`replica=3`}, "replica"},
		{"typo below", []string{`sidecar.allowedImage=["registry.example.org/postern@sha256:*"]`}, "allowedImage"},
		{"typo of the guard", []string{`guard.enable=false`}, "enable"},
		{"unknown resource", []string{`resources.limits.memroy="1Mi"`}, "memroy"},
		{"no image of the injector", []string{`image=null`}, "image"},
		{"no image of the sidecar", []string{`sidecar.image=""`}, "image"},
		{"tag instead of a digest", []string{`image="registry.example.org/postern-injector:1.2.3"`}, "image"},
		{"sidecar by tag", []string{`sidecar.image="registry.example.org/postern:latest"`}, "image"},
		{"short digest", []string{`sidecar.image="registry.example.org/postern@sha256:abc"`}, "image"},
		{"tag beside a digest", []string{`sidecar.image="registry.example.org/postern:1.2.3` + digest + `"`}, "image"},
		{"image with a line break", []string{`image="registry.example.org/x` + `\n` + digest + `"`}, "image"},
		{"image with a quote", []string{`sidecar.image="registry.example.org/x')||('` + digest + `"`}, "image"},
		{"every image allowed", []string{`sidecar.allowedImages=["*"]`}, "allowedImages"},
		{"every registry allowed", []string{`sidecar.allowedImages=["*/postern@sha256:*"]`}, "allowedImages"},
		{"tags allowed", []string{`sidecar.allowedImages=["registry.example.org/postern:*"]`}, "allowedImages"},
		{"pattern that is an expression", []string{`sidecar.allowedImages=["registry.example.org/(a|b)@sha256:*"]`}, "allowedImages"},
		{"wrong policy of pulling", []string{`sidecar.pullPolicy="Sometimes"`}, "pullPolicy"},
		{"wrong mode of the certificate", []string{`certificate.mode="self-signed"`}, "mode"},
		{"given certificate without a Secret", []string{`certificate={"mode":"given","caBundle":"LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0t"}`}, "secretName"},
		{"given certificate without a CA", []string{`certificate={"mode":"given","secretName":"x"}`}, "caBundle"},
		{"private key as CA", []string{`certificate={"mode":"given","secretName":"x","caBundle":"LS0tLS1CRUdJTiBQUklWQVRFIEtFWS0tLS0t"}`}, "caBundle"},
		{"CA that nobody would use", []string{`certificate={"mode":"own","caBundle":"LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0t"}`}, "caBundle"},
		{"wrong mode of the guard", []string{`guard.mode="audit"`}, "mode"},
		{"wrong log level", []string{`logLevel="trace"`}, "logLevel"},
		{"text for a number", []string{`replicas="2"`}, "replicas"},
		{"no replica", []string{`replicas=0`}, "replicas"},
		{"memory that GOMEMLIMIT cannot be told from", []string{`resources.limits.memory="1e9"`}, "memory"},
		{"no memory limit", []string{`resources.limits.memory=null`}, "memory"},
		{"bad quantity of the sidecar", []string{`sidecar.resources.limits.memory="lots"`}, "memory"},
		{"wait that the API server does not know", []string{`webhook.timeoutSeconds=31`}, "timeoutSeconds"},
		{"namespace by pattern", []string{`webhook.excludedNamespaces=["team-*"]`}, "excludedNamespaces"},
		{"our label by hand", []string{`podLabels={"postern.dev/injected":"true"}`}, "podLabels"},
		{"status as a default", []string{`sidecar.defaults={"status":"{}"}`}, "defaults"},
		{"default with its prefix", []string{`sidecar.defaults={"postern.dev/provider":"azure"}`}, "defaults"},
		{"number as a default", []string{`sidecar.defaults={"app-port":8080}`}, "app-port"},
		{"foreign variable", []string{`sidecar.env={"LD_PRELOAD":"x.so"}`}, "env"},
		{"misspelt option", []string{`sidecar.env={"POSTERN_FORWARD_HEADRS":"x"}`}, "env"},
		{"option that an annotation says", []string{`sidecar.env={"POSTERN_LOG_LEVEL":"debug"}`}, "env"},
		{"option that the injector sets", []string{`sidecar.env={"POSTERN_BIND_ADDRESS":":80"}`}, "env"},
		{"password in the address of Redis", []string{`sessions.redis.uri="rediss://user:hunter2@valkey.example.org:6379"`}, "uri"},
		{"Redis of another scheme", []string{`sessions.redis.uri="http://valkey.example.org"`}, "uri"},
		{"password in the values", []string{`sessions.redis.password="hunter2"`}, "password"},
		{"sentinel without a port", []string{`sessions.redis={"sentinelMaster":"m","sentinelAddresses":["a"]}`}, "sentinelAddresses"},
		{"sentinels without a primary", []string{`sessions.redis.sentinelAddresses=["a:1"]`}, "sentinelMaster is required"},
		{"primary without sentinels", []string{`sessions.redis.sentinelMaster="m"`}, "sentinelAddresses is required"},
		{"sentinels and a cluster", []string{`sessions.redis={"sentinelMaster":"m","sentinelAddresses":["a:1"],"clusterAddresses":["b:1"]}`}, "exclude each other"},
		{"user of no store", []string{`sessions.redis.username="u"`}, "without an address"},
		{"Redis by the other way", []string{`sidecar.env={"POSTERN_REDIS_URI":"redis://x"}`}, "env"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var flags []string
			for _, set := range c.json {
				flags = append(flags, "--set-json", set)
			}
			out, err := template(t, values, flags...)
			if err == nil {
				t.Fatalf("accepted:\n%s", out)
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("want a word about %q: %v", c.want, err)
			}
		})
	}
}

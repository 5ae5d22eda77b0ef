package inject_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"postern/cmd/postern-injector/inject"
)

func TestAppPortIsFound(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		changes []change
		want    string
		warns   bool
	}{
		{"the only one", nil, "8080", false},
		{"by name", []change{annotate("app-port", "http")}, "8080", false},
		{"by number", []change{inApp("ports", []any{port(1), port(2)}), annotate("app-port", "2")}, "2", false},
		{"not declared at all", []change{inApp("ports", nil), annotate("app-port", "3000")}, "3000", false},
		{"not among the declared", []change{annotate("app-port", "3000")}, "3000", true},
		{"one number with two protocols", []change{inApp("ports", []any{port(443), port(443, "protocol", "UDP")})}, "443", false},
		{"that of the default container", []change{inSpec("containers", []any{container("mesh", port(1)), container("app", port(2))}), annotate("kubectl.kubernetes.io/default-container", "app")}, "2", false},
		{"not of init containers", []change{inSpec("initContainers", []any{container("native", port(15090))})}, "8080", false},
		{"ours when ours is moved", []change{annotate("proxy-port", "9000", "app-port", "7564")}, "7564", true},
	} {
		out, _, result := mustInject(t, sample(t, c.changes...), inject.Request{}, settings())
		if got := environment(out.Spec.InitContainers[0])["POSTERN_UPSTREAM_PORT"]; got != c.want || len(result.Warnings) > 0 != c.warns {
			t.Errorf("%s: %s, %q", c.name, got, result.Warnings)
		}
	}
}

func TestPortsMove(t *testing.T) {
	t.Parallel()
	pod := sample(t, annotate("proxy-port", "9564", "metrics-port", "9565", "probe-port", "9566", "token-port", "9164", "egress-port", "9167", "tokens", "tokenx",
		"secrets", "s", "egress-routes", "[{name: a, url: 'https://a.example.org', provider: tokenx, target: x}]", "app-address", "loopback"))
	out, _, _ := mustInject(t, pod, inject.Request{}, settings())
	c := out.Spec.InitContainers[0]
	env, app := environment(c), environment(out.Spec.Containers[0])
	got := []string{
		env["POSTERN_BIND_ADDRESS"], env["POSTERN_METRICS_BIND_ADDRESS"], env["POSTERN_PROBE_BIND_ADDRESS"], env["POSTERN_TOKEN_BIND_ADDRESS"],
		env["POSTERN_EGRESS_BIND_ADDRESS"], env["POSTERN_UPSTREAM_IP"], app["NAIS_TOKEN_ENDPOINT"], app["POSTERN_EGRESS_URL"], c.ReadinessProbe.HTTPGet.Port.String(),
	}
	want := []string{
		":9564", ":9565", ":9566", "127.0.0.1:9164", "127.0.0.1:9167", "127.0.0.1", "http://127.0.0.1:9164/api/v1/token", "http://127.0.0.1:9167", "9566",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if c.Ports[0].ContainerPort != 9564 || c.Ports[1].ContainerPort != 9565 || c.Ports[2].ContainerPort != 9566 {
		t.Errorf("%v", c.Ports)
	}
}

func TestResourcesKeepTheQualityOfService(t *testing.T) {
	t.Parallel()
	equal := tree{"requests": tree{"cpu": "1", "memory": "1Gi"}, "limits": tree{"cpu": "1000m", "memory": "1024Mi"}}
	for _, c := range []struct {
		name     string
		settings inject.Resources
		changes  []change
		want     string // requests cpu/memory, limits cpu/memory, GOMEMLIMIT
	}{
		{"default", inject.Resources{}, nil, "20m/32Mi 0/256Mi 224MiB"},
		{"of the pod", inject.Resources{}, []change{annotate("resources", "{requests: {cpu: 50m}, limits: {cpu: 1, memory: 1Gi}}")}, "50m/32Mi 1/1Gi 896MiB"},
		{"small", inject.Resources{}, []change{annotate("resources", "{limits: {memory: 40Mi}}")}, "20m/32Mi 0/40Mi 32MiB"},
		{"as JSON", inject.Resources{}, []change{annotate("resources", `{"limits":{"memory":"64Mi"}}`)}, "20m/32Mi 0/64Mi 56MiB"},
		{"of the settings", inject.Resources{Requests: map[string]string{"cpu": "1m"}, Limits: map[string]string{}}, nil, "1m/0 0/0 "},
		{"limits only are Guaranteed", inject.Resources{}, []change{inApp("resources", tree{"limits": equal["limits"]})}, "100m/256Mi 100m/256Mi 224MiB"},
		{"Guaranteed", inject.Resources{}, []change{inApp("resources", equal)}, "100m/256Mi 100m/256Mi 224MiB"},
		{"Guaranteed, with a limit of CPU", inject.Resources{}, []change{inApp("resources", equal), annotate("resources", "{limits: {cpu: 50m}}")}, "50m/256Mi 50m/256Mi 224MiB"},
		{"Guaranteed, without a limit of memory", inject.Resources{Limits: map[string]string{}}, []change{inApp("resources", equal)}, "100m/32Mi 100m/32Mi 24MiB"},
		{"not quite Guaranteed", inject.Resources{}, []change{inApp("resources", tree{"requests": tree{"cpu": "1"}, "limits": tree{"cpu": "2", "memory": "1Gi"}})}, "20m/32Mi 0/256Mi 224MiB"},
		{"Guaranteed but for an init container", inject.Resources{}, []change{inApp("resources", equal), inSpec("initContainers", []any{container("i")})}, "20m/32Mi 0/256Mi 224MiB"},
		{"resources of the pod as a whole", inject.Resources{}, []change{inApp("resources", equal), inSpec("resources", equal)}, "20m/32Mi 0/256Mi 224MiB"},
	} {
		s := settings()
		s.Resources = c.settings
		out, _, _ := mustInject(t, sample(t, c.changes...), inject.Request{}, s)
		side := out.Spec.InitContainers[0]
		r := side.Resources
		show := func(list corev1.ResourceList) string { return list.Cpu().String() + "/" + list.Memory().String() }
		if got := show(r.Requests) + " " + show(r.Limits) + " " + environment(side)["GOMEMLIMIT"]; got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

func TestShutdownFitsTheGracePeriod(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		changes []change
		want    string
	}{
		{"default", nil, "10s"},
		{"short", []change{inSpec("terminationGracePeriodSeconds", 8)}, "4s"},
		{"none", []change{inSpec("terminationGracePeriodSeconds", 0)}, "1s"},
		{"endless", []change{inSpec("terminationGracePeriodSeconds", int64(1)<<62)}, "10s"},
		{"said", []change{inSpec("terminationGracePeriodSeconds", 120), annotate("shutdown-graceful-period", "1m30s", "shutdown-wait-before-period", "5s")}, "1m30s"},
	} {
		out, _, _ := mustInject(t, sample(t, c.changes...), inject.Request{}, settings())
		if got := environment(out.Spec.InitContainers[0])["POSTERN_SHUTDOWN_GRACEFUL_PERIOD"]; got != c.want {
			t.Errorf("%s: %s", c.name, got)
		}
	}
}

// Kubernetes puts variables in the place of $(NAME), those of Secrets too.
func TestValuesReferToNoOtherVariable(t *testing.T) {
	t.Parallel()
	s := settings()
	s.Env = map[string]string{"OTEL_RESOURCE_ATTRIBUTES": "a=$(b)"}
	out, _, _ := mustInject(t, sample(t, annotate("provider", "openid", "ingress", "https://a.example.org", "secrets", "l", "locale", "$(POSTERN_OPENID_CLIENT_SECRET)$$(X)")), inject.Request{}, s)
	env := environment(out.Spec.InitContainers[0])
	if got := env["POSTERN_OPENID_UI_LOCALES"]; got != "$$(POSTERN_OPENID_CLIENT_SECRET)$$$$(X)" {
		t.Errorf("%s", got)
	}
	if got := env["OTEL_RESOURCE_ATTRIBUTES"]; got != "a=$$(b)" {
		t.Errorf("%s", got)
	}
}

func TestVariablesOfTheAppAreNeverOverwritten(t *testing.T) {
	t.Parallel()
	own := tree{"name": "own", "image": "x", "env": []any{tree{"name": "NAIS_TOKEN_ENDPOINT", "value": "http://mine"}, tree{"name": "A", "value": "b"}}}
	out, _, result := mustInject(t, sample(t, annotate("tokens", "tokenx", "secrets", "s"), inSpec("initContainers", []any{container("first"), own})), inject.Request{}, settings())
	if len(out.Spec.InitContainers) != 3 || out.Spec.InitContainers[0].Name != "postern" {
		t.Fatal("no sidecar, or not in front")
	}
	env := environment(out.Spec.InitContainers[2])
	if env["NAIS_TOKEN_ENDPOINT"] != "http://mine" || env["A"] != "b" || env["NAIS_TOKEN_EXCHANGE_ENDPOINT"] == "" || environment(out.Spec.InitContainers[1])["NAIS_TOKEN_ENDPOINT"] == "" {
		t.Errorf("%v", env)
	}
	if _, ok := environment(out.Spec.InitContainers[0])["NAIS_TOKEN_ENDPOINT"]; ok {
		t.Error("the sidecar has it too")
	}
	if len(result.Warnings) != 1 || !strings.Contains(result.Warnings[0], `"own"`) || !strings.Contains(result.Warnings[0], "NAIS_TOKEN_ENDPOINT") {
		t.Errorf("%q", result.Warnings)
	}
}

func TestS48PolicyIsADirectoryThatMustBeThere(t *testing.T) {
	t.Parallel()
	for annotation, want := range map[string][2]string{"p": {"p", "policy.yaml"}, "p.q/app.yaml": {"p.q", "app.yaml"}} {
		out, _, _ := mustInject(t, sample(t, annotate("policy", annotation)), inject.Request{}, settings())
		source := out.Spec.Volumes[0].ConfigMap
		if source.Name != want[0] || source.Items[0].Key != want[1] || source.Items[0].Path != want[1] || source.Optional == nil || *source.Optional {
			t.Errorf("%+v", source)
		}
		c := out.Spec.InitContainers[0]
		if m := c.VolumeMounts[0]; m.SubPath != "" || m.SubPathExpr != "" || !m.ReadOnly || m.Name != out.Spec.Volumes[0].Name {
			t.Errorf("%+v", m)
		}
		if got := environment(c)["POSTERN_POLICY_FILE"]; got != c.VolumeMounts[0].MountPath+"/"+want[1] {
			t.Errorf("%s", got)
		}
	}
}

// The sidecar faces the world: what would let it speak to the API server is kept from it.
func TestSidecarHasNoServiceAccountToken(t *testing.T) {
	t.Parallel()
	const at = "/var/run/secrets/kubernetes.io/serviceaccount"
	for _, automount := range []any{nil, true, false} {
		out, _, _ := mustInject(t, sample(t, inSpec("automountServiceAccountToken", automount)), inject.Request{}, settings())
		mounted := false
		for _, m := range out.Spec.InitContainers[0].VolumeMounts {
			mounted = mounted || m.MountPath == at && m.Name == "postern-no-token"
		}
		if mounted != (automount != false) {
			t.Errorf("automount %v: %v", automount, mounted)
		}
	}
}

// Every annotation about the sidecar's options reaches it under the option's name, and no other comes through.
func TestS48OnlyListedAnnotationsBecomeEnvironment(t *testing.T) {
	t.Parallel()
	said := []string{
		"bearer-providers", "tokenx", "identity-headers", "claims", "identity-claims", "X-A=b", "identity-assertion", "true", "provider", "openid", "ingress", "https://a.example.org",
		"auto-login", "true", "ignore-paths", "/{a,b}", "acr", "high", "locale", "nb", "scopes", "a,b", "audiences", "api", "csrf", "same-origin",
		"csrf-trusted-origins", "https://b.example.org", "secrets", "s", "tokens", "tokenx", "upstream-tokens", "[{header: X-T, provider: tokenx, target: a}]",
		"upstream-timeout", "5s", "upstream-h2c", "true", "log-level", "debug", "egress-routes", "[{name: a, url: 'https://a.example.org', provider: tokenx, target: x}]",
	}
	out, _, _ := mustInject(t, sample(t, annotate(said...)), inject.Request{}, settings())
	var names []string
	for _, v := range out.Spec.InitContainers[0].Env {
		names = append(names, v.Name)
	}
	want := strings.Fields(`POD_IP POSTERN_UPSTREAM_IP POSTERN_BIND_ADDRESS POSTERN_UPSTREAM_PORT POSTERN_METRICS_BIND_ADDRESS POSTERN_PROBE_BIND_ADDRESS TOKEN_X_ENABLED
		POSTERN_TOKEN_BIND_ADDRESS POSTERN_EGRESS_BIND_ADDRESS POSTERN_REQUIRE_AUTH POSTERN_POLICY_FILE POSTERN_POLICY_MODE POSTERN_BEARER_PROVIDERS POSTERN_IDENTITY_HEADERS
		POSTERN_IDENTITY_CLAIMS POSTERN_IDENTITY_ASSERTION POSTERN_OPENID_PROVIDER POSTERN_INGRESS POSTERN_AUTO_LOGIN POSTERN_AUTO_LOGIN_IGNORE_PATHS POSTERN_OPENID_ACR_VALUES
		POSTERN_OPENID_UI_LOCALES POSTERN_OPENID_SCOPES POSTERN_OPENID_AUDIENCES POSTERN_CSRF POSTERN_CSRF_TRUSTED_ORIGINS POSTERN_EGRESS_ROUTES POSTERN_UPSTREAM_TOKENS
		POSTERN_UPSTREAM_TIMEOUT POSTERN_UPSTREAM_H2C POSTERN_LOG_LEVEL POSTERN_SHUTDOWN_GRACEFUL_PERIOD GOMEMLIMIT`)
	if diff := cmp.Diff(want, names); diff != "" {
		t.Error(diff)
	}
}

func TestStatusSaysWhatWasInjected(t *testing.T) {
	t.Parallel()
	out, _, _ := mustInject(t, sample(t, annotate("tokens", "tokenx", "secrets", "s")), inject.Request{}, settings())
	var status inject.Status
	text := out.Annotations[inject.AnnotationStatus]
	if err := json.Unmarshal([]byte(text), &status); err != nil {
		t.Fatal(err)
	}
	if status.Version != 1 || status.Image != testImage || !strings.HasPrefix(status.Config, "sha256:") ||
		!strings.HasSuffix(text, `"ports":{"app":8080,"proxy":7564,"metrics":7565,"probe":7566,"token":7164}}`) {
		t.Error(text)
	}
	if out.Annotations["kubectl.kubernetes.io/default-container"] != "web" || out.Labels[inject.LabelInjected] != "true" {
		t.Errorf("%v %v", out.Annotations, out.Labels)
	}
}

func TestImageThatIsAllowed(t *testing.T) {
	t.Parallel()
	image := "registry.example.org/beta/postern@sha256:" + strings.Repeat("b", 64)
	for _, want := range []string{image, testImage} {
		out, _, _ := mustInject(t, sample(t, annotate("image", want)), inject.Request{}, settings())
		if got := out.Spec.InitContainers[0].Image; got != want {
			t.Error(got)
		}
	}
}

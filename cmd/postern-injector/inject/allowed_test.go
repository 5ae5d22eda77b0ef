package inject_test

import (
	"strings"
	"testing"

	"postern/cmd/postern-injector/inject"
)

// Pods that stay as they are, and why.
func TestPodsThatAreLeftAlone(t *testing.T) {
	t.Parallel()
	const pod, namespace, required = inject.ByPod, inject.ByNamespace, inject.ByRequired
	unlabelled := label("postern.dev/inject", "-")
	for _, c := range []struct {
		name    string
		asked   inject.Asked
		changes []change
		reason  string
		warns   bool
	}{
		{"label absent", pod, []change{unlabelled}, inject.ReasonNotAsked, false},
		{"label false", pod, []change{label("postern.dev/inject", "false")}, inject.ReasonOptedOut, false},
		{"label false, and the namespace asks", namespace, []change{label("postern.dev/inject", "false")}, inject.ReasonOptedOut, false},
		{"label false, and nothing else is right", namespace, []change{label("postern.dev/inject", "false"), annotate("nonsense", "x")}, inject.ReasonOptedOut, false},
		{"label false, and a sidecar by hand", namespace, []change{label("postern.dev/inject", "false"), inSpec("initContainers", []any{container("postern")})}, inject.ReasonOptedOut, false},
		{"mirror of a static pod", required, []change{annotate("kubernetes.io/config.mirror", "abc")}, inject.ReasonMirrorPod, false},
		{"host network, and only the namespace asks", namespace, []change{unlabelled, inSpec("hostNetwork", true)}, inject.ReasonHostNetwork, true},
		{"Windows, and only the namespace asks", namespace, []change{unlabelled, inSpec("os", tree{"name": "windows"})}, inject.ReasonWindows, true},
		{"virtual kubelet, and only the namespace asks", namespace, []change{unlabelled, inSpec("nodeSelector", tree{"type": "virtual-kubelet"})}, inject.ReasonVirtualKubelet, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			result, err := inject.Inject(sample(t, c.changes...), inject.Request{Asked: c.asked}, settings())
			if err != nil || result.Reason != c.reason || len(result.Patch) > 0 || len(result.Warnings) > 0 != c.warns {
				t.Errorf("%+v, %v", result, err)
			}
		})
	}
}

func TestS48RequiredNamespacesHaveNoWayOut(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]change{
		"label":        label("postern.dev/inject", "false"),
		"require-auth": annotate("require-auth", "false"),
		"report":       annotate("policy-mode", "report"),
		"no port":      annotate("app-port", "none", "policy", "-", "tokens", "tokenx", "secrets", "s"),
	} {
		r := refusal(t, sample(t, c), inject.Request{Asked: inject.ByRequired}, settings())
		if r.Problems[0].Code != "no_opt_out" {
			t.Errorf("%s: %v", name, r)
		}
	}
	out, _, _ := mustInject(t, sample(t, label("postern.dev/inject", "-")), inject.Request{Asked: inject.ByRequired}, settings())
	if len(out.Spec.InitContainers) != 1 {
		t.Error("a pod without the label has no sidecar")
	}
}

func TestS04InjectedPodIsProtected(t *testing.T) {
	t.Parallel()
	login := annotate("policy", "-", "provider", "openid", "ingress", "https://a.example.org", "secrets", "login")
	for _, c := range []struct {
		name    string
		change  change
		auth    string
		refused bool
		warns   string
	}{
		{"only the label", annotate("policy", "-"), "", true, ""},
		{"only the label, and tokens", annotate("policy", "-", "tokens", "entra_id", "secrets", "s"), "", true, ""},
		{"a policy", annotate(), "true", false, ""},
		{"a provider", login, "true", false, ""},
		{"a provider, and it says no", func(p, m, s, a tree) { login(p, m, s, a); annotate("require-auth", "false")(p, m, s, a) }, "false", false, "postern.dev/require-auth"},
		{"a policy that only reports", annotate("policy-mode", "report"), "true", false, "postern.dev/policy-mode"},
	} {
		pod := sample(t, c.change)
		if c.refused {
			if r := refusal(t, pod, inject.Request{}, settings()); r.Codes()[0] != "unprotected" {
				t.Errorf("%s: %v", c.name, r)
			}
			continue
		}
		out, _, result := mustInject(t, pod, inject.Request{}, settings())
		if got := environment(out.Spec.InitContainers[0])["POSTERN_REQUIRE_AUTH"]; got != c.auth {
			t.Errorf("%s: require-auth is %q", c.name, got)
		}
		if warned := strings.Join(result.Warnings, "\n"); (warned == "") != (c.warns == "") || !strings.Contains(warned, c.warns) {
			t.Errorf("%s: warnings %q", c.name, warned)
		}
	}
}

// Neither kubelet nor Prometheus goes through the sidecar, so what they fetch is no hole in it.
func TestS14NoProbeOrMetricsPathIsIgnored(t *testing.T) {
	t.Parallel()
	probe := tree{"httpGet": tree{"path": "/internal/alive", "port": 8080}}
	pod := sample(t, inApp("livenessProbe", probe), inApp("readinessProbe", probe), inApp("startupProbe", probe),
		annotate("prometheus.io/path", "/internal/prometheus", "prometheus.io/scrape", "true"))
	out, _, _ := mustInject(t, pod, inject.Request{}, settings())
	for name, value := range environment(out.Spec.InitContainers[0]) {
		if strings.Contains(value, "/internal") || name == "POSTERN_AUTO_LOGIN_IGNORE_PATHS" {
			t.Errorf("%s=%s", name, value)
		}
	}
	if got := out.Spec.Containers[0].LivenessProbe.HTTPGet.Port.IntValue(); got != 8080 {
		t.Errorf("the app's probe goes to %d", got)
	}
}

func TestS14IgnoredPathsAreAnsweredWithAWarning(t *testing.T) {
	t.Parallel()
	_, _, result := mustInject(t, sample(t, annotate("ignore-paths", "/api/**")), inject.Request{}, settings())
	if len(result.Warnings) != 1 || !strings.Contains(result.Warnings[0], "postern.dev/ignore-paths") || !strings.Contains(result.Warnings[0], "401") {
		t.Errorf("%q", result.Warnings)
	}
}

func TestPodBeatsNamespaceBeatsChart(t *testing.T) {
	t.Parallel()
	s := settings()
	s.Defaults = map[string]string{"log-level": "error", "locale": "nb", "proxy-port": "9001", "acr": "chart"}
	req := inject.Request{Defaults: map[string]string{"log-level": "warn", "locale": "nn", "proxy-port": "9002"}}
	out, _, _ := mustInject(t, sample(t, annotate("log-level", "debug", "proxy-port", "none", "provider", "openid", "ingress", "https://a.example.org", "secrets", "l")), req, s)
	env := environment(out.Spec.InitContainers[0])
	for name, want := range map[string]string{
		"POSTERN_LOG_LEVEL": "debug", "POSTERN_OPENID_UI_LOCALES": "nn", "POSTERN_OPENID_ACR_VALUES": "chart", "POSTERN_BIND_ADDRESS": ":7564",
	} {
		if env[name] != want {
			t.Errorf("%s=%q, want %q", name, env[name], want)
		}
	}
}

// Who serves nobody gets a token API, and nothing that could be taken for protection.
func TestPodsThatServeNobody(t *testing.T) {
	t.Parallel()
	tokens := annotate("policy", "-", "tokens", "entra_id", "secrets", "s")
	noPorts := inApp("ports", nil)
	guarded := inject.Request{Defaults: map[string]string{"provider": "openid", "ingress": "https://a.example.org"}}
	for _, c := range []struct {
		name    string
		req     inject.Request
		changes []change
		refused bool
	}{
		{"worker without ports", inject.Request{}, []change{tokens, noPorts}, false},
		{"server that says so", inject.Request{}, []change{tokens, annotate("app-port", "none")}, false},
		{"Job where the namespace has a provider", guarded, []change{tokens, noPorts, inSpec("restartPolicy", "Never")}, false},
		{"server where the namespace has a provider, by silence", guarded, []change{tokens, noPorts}, true},
		{"server where the namespace has a provider, by its word", guarded, []change{tokens, noPorts, annotate("app-port", "none")}, false},
	} {
		pod := sample(t, c.changes...)
		if c.refused {
			refusal(t, pod, c.req, settings())
			continue
		}
		out, _, _ := mustInject(t, pod, c.req, settings())
		env := environment(out.Spec.InitContainers[0])
		for _, name := range []string{"POSTERN_BIND_ADDRESS", "POSTERN_UPSTREAM_PORT", "POSTERN_UPSTREAM_IP", "POSTERN_REQUIRE_AUTH", "POSTERN_OPENID_PROVIDER"} {
			if value, ok := env[name]; ok {
				t.Errorf("%s: %s=%s", c.name, name, value)
			}
		}
		if env["AZURE_ENABLED"] != "true" || env["POSTERN_TOKEN_BIND_ADDRESS"] != "127.0.0.1:7164" || len(out.Spec.InitContainers[0].Ports) != 2 {
			t.Errorf("%s: %v", c.name, env)
		}
	}
}

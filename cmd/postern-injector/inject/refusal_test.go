package inject_test

import (
	"slices"
	"strings"
	"testing"

	"postern/cmd/postern-injector/inject"
)

type change = func(pod, meta, spec, app map[string]any)

// The failure table of the design, as far as it is about the pod: who asks, what is wrong, and the words that tell the owner.
func TestPodsThatAreRefused(t *testing.T) {
	t.Parallel()
	const namespace, required = inject.ByNamespace, inject.ByRequired
	login := annotate("provider", "openid", "ingress", "https://a.example.org", "secrets", "login")
	for _, c := range []struct {
		name    string
		asked   inject.Asked
		changes []change
		code    string
		says    []string
	}{
		{"label that is neither true nor false", "", []change{label("postern.dev/inject", "yes")}, "bad_label", []string{`"yes"`, `"true"`}},
		{"label with the case wrong", namespace, []change{label("postern.dev/inject", "False")}, "bad_label", []string{`"False"`}},
		{"opt-out where the namespace requires it", required, []change{label("postern.dev/inject", "false")}, "no_opt_out", []string{"required"}},

		{"port unknown", "", []change{inApp("ports", nil)}, "app_port", []string{"postern.dev/app-port", "declare none"}},
		{"ports ambiguous", "", []change{inApp("ports", []any{port(8080), port(9090, "name", "admin")})}, "app_port", []string{"8080/TCP", `9090/TCP ("admin")`}},
		{"ports ambiguous over containers", "", []change{inSpec("containers", []any{container("a", port(1)), container("b", port(2))})}, "app_port", []string{`1/TCP of container "a"`, `2/TCP of container "b"`}},
		{"port UDP only", "", []change{inApp("ports", []any{port(53, "protocol", "UDP")})}, "app_port", []string{"53/UDP"}},
		{"port said, and UDP", "", []change{inApp("ports", []any{port(53, "protocol", "UDP"), port(80)}), annotate("app-port", "53")}, "app_port", []string{"53 is not a TCP port"}},
		{"port name said, and UDP", "", []change{inApp("ports", []any{port(53, "protocol", "UDP", "name", "dns")}), annotate("app-port", "dns")}, "app_port", []string{`"dns" is not a TCP port`}},
		{"port name not found", "", []change{annotate("app-port", "web")}, "app_port", []string{`"web"`, `8080/TCP ("http")`}},
		{"port name twice", "", []change{inSpec("containers", []any{container("a", port(1, "name", "http")), container("b", port(2, "name", "http"))}), annotate("app-port", "http")}, "app_port", []string{"several"}},
		{"port out of range", "", []change{annotate("app-port", "65536")}, "app_port", []string{`"65536"`}},
		{"port with a sign", "", []change{annotate("app-port", "+80")}, "app_port", nil},
		{"port with a zero in front", "", []change{annotate("app-port", "08080")}, "app_port", nil},

		{"app on the proxy's port", "", []change{inApp("ports", []any{port(7564)})}, "port_conflict", []string{"7564", "postern.dev/proxy-port"}},
		{"app port said that is ours", "", []change{annotate("app-port", "7566")}, "port_conflict", []string{"postern.dev/probe-port"}},
		{"another container on the metrics port", "", []change{inSpec("containers", []any{container("a", port(80)), container("b", port(7565))}), annotate("app-port", "80")}, "port_conflict", []string{"7565", `"b"`, "postern.dev/metrics-port"}},
		{"init container on the token port", "", []change{inSpec("initContainers", []any{container("texas", port(7164))})}, "port_conflict", []string{"7164", `"texas"`, "postern.dev/token-port"}},
		{"init container on the probe port", "", []change{inSpec("initContainers", []any{container("ww", port(7566))})}, "port_conflict", []string{"postern.dev/probe-port"}},
		{"container on the egress port", "", []change{inSpec("initContainers", []any{container("x", port(7167))})}, "port_conflict", []string{"postern.dev/egress-port"}},
		{"port name of ours", "", []change{inApp("ports", []any{port(80, "name", "postern-proxy")})}, "port_conflict", []string{`"postern-proxy"`}},
		{"port name of ours in an init container", "", []change{inSpec("initContainers", []any{container("x", port(81, "name", "postern-metrics"))})}, "port_conflict", []string{`"postern-metrics"`}},
		{"two of ours moved to one port", "", []change{annotate("proxy-port", "9000", "probe-port", "9000")}, "port_conflict", []string{"both 9000"}},
		{"ours moved where only root listens", "", []change{annotate("proxy-port", "80")}, "bad_value", []string{"1024"}},

		{"host network, asked by the pod", "", []change{inSpec("hostNetwork", true)}, "host_network", []string{"hostNetwork"}},
		{"host network, asked by both", namespace, []change{inSpec("hostNetwork", true)}, "host_network", nil},
		{"host network, required", required, []change{inSpec("hostNetwork", true), label("postern.dev/inject", "-")}, "host_network", nil},
		{"Windows", "", []change{inSpec("os", tree{"name": "windows"})}, "windows", nil},
		{"Windows by node selector", "", []change{inSpec("nodeSelector", tree{"kubernetes.io/os": "windows"})}, "windows", nil},
		{"virtual kubelet", "", []change{inSpec("tolerations", []any{tree{"key": "virtual-kubelet.io/provider", "operator": "Exists"}})}, "virtual_kubelet", nil},
		{"shared process namespace", "", []change{inSpec("shareProcessNamespace", true)}, "shared_process_namespace", []string{"/proc", "postern.dev/accept-shared-process-namespace"}},
		{"shared process namespace, not accepted", namespace, []change{inSpec("shareProcessNamespace", true), annotate("accept-shared-process-namespace", "false")}, "shared_process_namespace", nil},
		{"process namespace of the node", "", []change{inSpec("hostPID", true)}, "shared_process_namespace", []string{"hostPID", "/proc", "postern.dev/accept-shared-process-namespace"}},
		{"process namespace of the node, required", required, []change{inSpec("hostPID", true)}, "shared_process_namespace", nil},

		{"skipped, with a status of its own", namespace, []change{label("postern.dev/inject", "-"), inSpec("hostNetwork", true), annotate("status", "{}")}, "not_ours", []string{"postern.dev/status"}},
		{"skipped, with a label of ours", namespace, []change{label("postern.dev/inject", "-"), inSpec("hostNetwork", true), label("postern.dev/injected", "true")}, "not_ours", []string{"postern.dev/injected"}},
		{"opted out, with a status of its own", namespace, []change{label("postern.dev/inject", "false"), annotate("status", "{}")}, "not_ours", nil},

		{"container of our name among the app's", "", []change{inSpec("containers", []any{container("web", port(80)), container("postern")})}, "not_ours", []string{"spec.containers"}},
		{"init container of our name", "", []change{inSpec("initContainers", []any{container("postern")})}, "not_ours", []string{"did not make"}},
		{"status without the sidecar", "", []change{annotate("status", `{"version":1}`)}, "not_ours", []string{"without the sidecar"}},
		{"injected label with another value", "", []change{label("postern.dev/injected", "no")}, "not_ours", []string{"postern.dev/injected"}},
		{"volume of our name", "", []change{inSpec("volumes", []any{tree{"name": "postern-policy", "emptyDir": tree{}}})}, "not_ours", []string{`"postern-policy"`}},
		{"the other volume of our name", "", []change{inSpec("volumes", []any{tree{"name": "postern-no-token", "hostPath": tree{"path": "/"}}})}, "not_ours", nil},

		{"unknown annotation", "", []change{annotate("ignore-path", "/x")}, "unknown_key", []string{`"postern.dev/ignore-path"`, "nearest: postern.dev/ignore-paths"}},
		{"unknown annotation like nothing", "", []change{annotate("zzzzzzzzzzzzzzzzzzzz", "1")}, "unknown_key", []string{"known are postern.dev/app-port"}},
		{"environment by annotation", "", []change{annotate("env", "POSTERN_REQUIRE_AUTH=false")}, "unknown_key", nil},
		{"option that is no annotation", "", []change{annotate("token.allow-remote", "true")}, "unknown_key", nil},
		{"annotation that is a label", "", []change{annotate("inject", "false")}, "unknown_key", []string{"it is a label"}},
		{"label that is unknown", "", []change{label("postern.dev/injekt", "false")}, "unknown_key", []string{"nearest: postern.dev/inject"}},
		{"empty value", "", []change{annotate("provider", " ")}, "bad_value", []string{"postern.dev/provider is empty"}},
		{"NUL in a value", "", []change{annotate("acr", "a\x00b")}, "bad_value", []string{"NUL"}},
		{"huge value", "", []change{annotate("ignore-paths", strings.Repeat("/a,", 20000))}, "bad_value", []string{"32 KiB"}},
		{"toggle that is neither", "", []change{annotate("require-auth", "False")}, "bad_value", []string{`"False"`}},
		{"app address", "", []change{annotate("app-address", "localhost")}, "bad_value", []string{`"localhost"`, "loopback"}},
		{"token provider", "", []change{annotate("tokens", "entra_id,azure")}, "bad_value", []string{`"azure"`, "maskinporten"}},
		{"token provider twice", "", []change{annotate("tokens", "tokenx,tokenx", "secrets", "s")}, "bad_value", []string{"twice"}},
		{"name of a Secret", "", []change{annotate("secrets", "ok,Not_OK")}, "bad_value", []string{`"Not_OK"`}},
		{"name of a ConfigMap", "", []change{annotate("policy", "../etc")}, "bad_value", []string{"ConfigMap"}},
		{"key of a ConfigMap", "", []change{annotate("policy", "name/a/b")}, "bad_value", []string{`"a/b"`}},
		{"key of a ConfigMap that climbs", "", []change{annotate("policy", "name/..")}, "bad_value", []string{`".."`}},

		{"image by tag", "", []change{annotate("image", "registry.example.org/beta/postern:latest")}, "image", []string{"NAME@sha256:DIGEST"}},
		{"image that is not allowed", "", []change{annotate("image", "evil.example.org/postern@sha256:"+strings.Repeat("a", 64))}, "image", []string{"not allowed"}},
		{"image below an allowed place", "", []change{annotate("image", "registry.example.org/beta/postern/evil@sha256:"+strings.Repeat("a", 64))}, "image", []string{"not allowed"}},
		{"resources that cannot be read", "", []change{annotate("resources", "cpu=1")}, "resources", []string{"of the form"}},
		{"resources with an unknown member", "", []change{annotate("resources", "{limit: {cpu: 1}}")}, "resources", nil},
		{"quantity", "", []change{annotate("resources", "{limits: {memory: 1 gig}}")}, "resources", []string{`"1 gig"`}},
		{"quantity below zero", "", []change{annotate("resources", "{requests: {cpu: -1}}")}, "resources", []string{`"-1"`}},
		{"limit of nothing", "", []change{annotate("resources", "{limits: {cpu: 0}}")}, "resources", nil},
		{"resource that a sidecar does not take", "", []change{annotate("resources", "{limits: {nvidia.com/gpu: 1}}")}, "resources", []string{"nvidia.com/gpu"}},
		{"limit below request", "", []change{annotate("resources", "{requests: {cpu: 500m}, limits: {cpu: 100m}}")}, "resources", []string{"100m", "500m", "cpu"}},
		{"too little memory", "", []change{annotate("resources", "{requests: {memory: 16Mi}, limits: {memory: 16Mi}}")}, "resources", []string{"32Mi"}},

		{"stops later than the pod", "", []change{annotate("shutdown-graceful-period", "30s")}, "shutdown", []string{"terminationGracePeriodSeconds", "30"}},
		{"waits longer than it stops", "", []change{annotate("shutdown-wait-before-period", "10s")}, "shutdown", []string{"10s"}},
		{"stops later than a short pod", "", []change{annotate("shutdown-graceful-period", "5s"), inSpec("terminationGracePeriodSeconds", 5)}, "shutdown", nil},
		{"no duration", "", []change{annotate("shutdown-graceful-period", "soon")}, "bad_value", []string{`"soon"`}},

		{"login without ingress", "", []change{login, annotate("ingress", "-")}, "configuration", []string{"postern.dev/ingress", "required for login"}},
		{"login without anybody who knows the client", "", []change{login, annotate("secrets", "-")}, "configuration", []string{"openid.client-id", "postern.dev/secrets"}},
		{"ingress", "", []change{login, annotate("ingress", "https://a.example.org,a.example.org")}, "configuration", []string{"postern.dev/ingress: entry 2"}},
		{"kind of provider", "", []change{annotate("provider", "entra")}, "configuration", []string{"postern.dev/provider", "azure"}},
		{"level", "", []change{login, annotate("acr", "a b")}, "configuration", []string{"postern.dev/acr"}},
		{"auto-login without login", "", []change{annotate("auto-login", "true")}, "configuration", []string{"postern.dev/auto-login"}},
		{"policy mode", "", []change{annotate("policy-mode", "audit")}, "configuration", []string{"postern.dev/policy-mode", "report"}},
		{"log level", "", []change{annotate("log-level", "loud")}, "configuration", []string{"postern.dev/log-level"}},
		{"route whose provider is not enabled", "", []change{annotate("egress-routes", "[{name: a, url: 'https://a.example.org', provider: tokenx, target: x}]")}, "configuration", []string{"postern.dev/egress-routes", "tokenx"}},
		{"route that is none", "", []change{annotate("egress-routes", "[")}, "configuration", []string{"postern.dev/egress-routes"}},
		{"tokens without a Secret", "", []change{annotate("tokens", "maskinporten")}, "configuration", []string{"MASKINPORTEN_CLIENT_ID", "postern.dev/secrets"}},

		{"nothing to do", "", []change{annotate("app-port", "none", "policy", "-")}, "unprotected", []string{"nothing for the sidecar to do"}},
		{"policy for a pod that serves nobody", "", []change{annotate("app-port", "none", "tokens", "tokenx", "secrets", "s")}, "bad_value", []string{"postern.dev/policy has no meaning"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := refusal(t, sample(t, c.changes...), inject.Request{Asked: c.asked}, settings())
			if !slices.Contains(r.Codes(), c.code) {
				t.Errorf("codes %v, want %s: %v", r.Codes(), c.code, r)
			}
			for _, want := range c.says {
				if !strings.Contains(r.Error(), want) {
					t.Errorf("it does not say %q: %v", want, r)
				}
			}
		})
	}
}

func TestRefusalNamesAllProblemsAtOnce(t *testing.T) {
	t.Parallel()
	r := refusal(t, sample(t, annotate("policy", "-", "provide", "openid", "app-port", "web", "tokens", "x", "log-level", "loud", "image", "a:b",
		"shutdown-graceful-period", "1h", "resources", "{limits: {cpu: many}}"), inSpec("hostNetwork", true), inSpec("shareProcessNamespace", true)),
		inject.Request{Defaults: map[string]string{"ingres": "x"}}, settings())
	for _, want := range []string{
		"postern.dev/provide", "ConfigMap postern-defaults", "neither postern.dev/policy nor postern.dev/provider", `"web"`, `"x"`, "log-level", `"a:b"`, `"1h"`,
		`"many"`, "hostNetwork", "shareProcessNamespace",
	} {
		if !strings.Contains(r.Error(), want) {
			t.Errorf("it does not say %q:\n%s", want, strings.ReplaceAll(r.Error(), "; ", "\n"))
		}
	}
}

func TestRefusalStaysShortAndPrintable(t *testing.T) {
	t.Parallel()
	var pairs []string
	for n := range 500 {
		pairs = append(pairs, strings.Repeat("k", n+1)+"\n\x1b[31m", strings.Repeat("v", 1000))
	}
	text := refusal(t, sample(t, annotate(pairs...)), inject.Request{}, settings()).Error()
	if len(text) > 8<<10 || strings.ContainsAny(text, "\n\x1b") || !strings.Contains(text, " more") {
		t.Errorf("%d bytes: %.200q", len(text), text)
	}
}

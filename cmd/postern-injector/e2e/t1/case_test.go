package t1

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"postern/cmd/postern-injector/e2e/cluster"
)

// Pods that cannot get the sidecar as they are, and what the person reads.
func TestPodsThatAreRefused(t *testing.T) {
	t.Parallel()
	r := calm(t)
	space := r.space(t, nil)
	ports := func(all ...any) change { return app("ports", all) }
	for _, tc := range []struct {
		name    string
		changes []change
		says    []string
	}{
		{"label of another value", []change{labelled("postern.dev/inject", "yes")}, []string{`label postern.dev/inject: "yes" is neither "true" nor "false"`}},
		{"container of our name", []change{spec("initContainers", []any{tree{"name": "postern", "image": "x"}})}, []string{`a container "postern" that the injector did not make`}},
		{"status without the sidecar", []change{annotated("status", "{}")}, []string{"annotation postern.dev/status without the sidecar"}},
		{"volume of our name", []change{spec("volumes", []any{tree{"name": "postern-policy", "emptyDir": tree{}}})}, []string{`a volume "postern-policy"`}},
		{"no port", []change{ports()}, []string{"postern.dev/app-port", "the containers declare none"}},
		{"several ports", []change{ports(tree{"containerPort": 80, "name": "web"}, tree{"containerPort": 81})}, []string{"postern.dev/app-port", `80/TCP ("web")`, "81/TCP"}},
		{"UDP", []change{ports(tree{"containerPort": 53, "protocol": "UDP", "name": "dns"}), annotated("app-port", "dns")}, []string{"not a TCP port", "53/UDP"}},
		{"no such name", []change{annotated("app-port", "http")}, []string{`"http" is neither a port number nor the name of a port`, "8080/TCP"}},
		{"host network", []change{spec("hostNetwork", true)}, []string{"spec.hostNetwork"}},
		{"shared processes", []change{spec("shareProcessNamespace", true)}, []string{"spec.shareProcessNamespace", `postern.dev/accept-shared-process-namespace: "true" accepts that`}},
		{"Windows", []change{spec("os", tree{"name": "windows"})}, []string{"Windows"}},
		{"image of somebody else", []change{annotated("image", evil)}, []string{"postern.dev/image", "not allowed"}},
		{"limit below request", []change{annotated("resources", "{requests: {cpu: 2}, limits: {cpu: 1}}")}, []string{"postern.dev/resources", "less than the request"}},
		{"everything at once", []change{
			annotated("polcy", "x", "app-port", "http", "resources", "{limits: {memory: lots}}", "log-level", "loud", "proxy-port", "80", "shutdown-graceful-period", "1h"),
			spec("shareProcessNamespace", true),
		}, []string{
			"annotation \"postern.dev/polcy\" is unknown; nearest: postern.dev/policy", "postern.dev/app-port", `limits.memory: "lots" is no quantity`, "postern.dev/log-level",
			"postern.dev/proxy-port", "postern.dev/shutdown-graceful-period", "spec.shareProcessNamespace",
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			_, err := r.kubectl(t, space, pod("refused", tc.changes...))
			denied(t, err, tc.says...)
			if err := r.c.Do(t.Context(), http.MethodGet, "/api/v1/namespaces/"+space+"/pods/refused", nil, nil); !cluster.NotFound(err) {
				t.Errorf("the pod is there: %v", err)
			}
		})
	}
}

func TestPodsThatAreInjected(t *testing.T) {
	t.Parallel()
	r := calm(t)
	space := r.space(t, nil)
	for _, tc := range []struct {
		name    string
		changes []change
		env     map[string]string // of the sidecar
	}{
		{"plain", nil, map[string]string{"POSTERN_UPSTREAM_PORT": "8080", "POSTERN_REQUIRE_AUTH": "true", "POSTERN_BIND_ADDRESS": ":7564"}},
		{"own-init", []change{spec("initContainers", []any{tree{"name": "fetch", "image": "fetch"}}), annotated("tokens", "tokenx", "secrets", "s")}, nil},
		{"missing-secret", []change{annotated("secrets", "nobody-has-made-it")}, nil},
		{"shared", []change{spec("shareProcessNamespace", true), annotated("accept-shared-process-namespace", "true")}, nil},
		{"no-token", []change{spec("automountServiceAccountToken", false)}, nil},
		{"moved", []change{annotated("proxy-port", "9001")}, map[string]string{"POSTERN_BIND_ADDRESS": ":9001"}},
		{"mirrored", []change{annotated("image", "mirror.example.org/team/postern@sha256:"+strings.Repeat("c", 64))}, nil},
		{"no-parents", []change{spec("volumes", nil), app("env", nil), spec("initContainers", nil)}, nil},
	} {
		p := r.mustCreate(t, space, pod(tc.name, tc.changes...))
		c := sidecar(t, p)
		for name, want := range tc.env {
			if got := variable(c, name); got != want {
				t.Errorf("%s: %s=%q, want %q", tc.name, name, got, want)
			}
		}
		for _, m := range c.VolumeMounts { // S-48: a single file would not follow changes
			if m.SubPath != "" || m.SubPathExpr != "" {
				t.Errorf("%s: %s is mounted by subPath", tc.name, m.Name)
			}
		}
		switch tc.name {
		case "missing-secret":
			if len(c.EnvFrom) != 1 || c.EnvFrom[0].SecretRef.Name != "nobody-has-made-it" || c.EnvFrom[0].SecretRef.Optional == nil || *c.EnvFrom[0].SecretRef.Optional {
				t.Errorf("envFrom %+v", c.EnvFrom)
			}
		case "own-init":
			if init := p.Spec.InitContainers; len(init) != 2 || variable(&init[1], "NAIS_TOKEN_ENDPOINT") == "" {
				t.Errorf("%v", init)
			}
		}
	}
	// A pod as it was persisted, given once more under another name: nothing is left to do.
	again := r.mustCreate(t, space, pod("first"))
	var copied tree
	r.c.Get(t, "/api/v1/namespaces/"+space+"/pods/first", &copied)
	copied["metadata"] = tree{"name": "again", "labels": again.Labels, "annotations": again.Annotations}
	delete(copied, "status")
	p := r.mustCreate(t, space, copied)
	if text(t, sidecar(t, p)) != text(t, sidecar(t, again)) {
		t.Error("the sidecar is another one")
	}
	if !slices.ContainsFunc(r.lines("admission"), func(l tree) bool {
		return l["namespace"] == space && l["name"] == "missing-secret" && l["result"] == "patched"
	}) {
		t.Error("the log has no line for a pod")
	}
}

func TestPodsThatAreLeftAlone(t *testing.T) {
	t.Parallel()
	r := calm(t)
	space := r.space(t, nil)
	naked(t, r.mustCreate(t, space, pod("absent", unlabelled())))
	naked(t, r.mustCreate(t, space, pod("false", labelled("postern.dev/inject", "false"), annotated("nonsense", "x"))))
	for _, line := range r.lines("admission") {
		if line["namespace"] == space {
			t.Errorf("somebody asked the injector: %v", line)
		}
	}
}

func TestPodsOfJobs(t *testing.T) {
	t.Parallel()
	r := calm(t)
	space := r.space(t, nil)
	job := template(t, annotated("policy", "-", "tokens", "entra_id", "secrets", "s"), app("ports", nil), spec("restartPolicy", "Never"))
	r.c.Apply(t, space, `{"apiVersion":"batch/v1","kind":"CronJob","metadata":{"name":"nightly"},"spec":{"schedule":"0 3 1 1 *","jobTemplate":{"spec":{"template":`+job+`}}}}`)
	r.c.Apply(t, space, `{"apiVersion":"batch/v1","kind":"Job","metadata":{"name":"once"},"spec":{"template":`+job+`}}`)
	r.c.Kubectl(t, "create", "job", "by-hand", "--from=cronjob/nightly", "--namespace", space)
	cluster.Eventually(t, "both Jobs have their pods", func() error {
		if n := len(r.pods(t, space)); n != 2 {
			return fmt.Errorf("%d pods", n)
		}
		return nil
	})
	for _, p := range r.pods(t, space) {
		if c := sidecar(t, &p); variable(c, "AZURE_ENABLED") != "true" || variable(c, "POSTERN_BIND_ADDRESS") != "" {
			t.Errorf("%s: %v", p.Name, c.Env)
		}
	}
}

// A controller's pods are refused: the reason stands at the owner, where people look. The event is made with the rights of the chart's roles.
func TestRefusalIsAnEventOfTheOwner(t *testing.T) {
	t.Parallel()
	r := calm(t)
	space := r.space(t, nil)
	r.c.Apply(t, space, fmt.Sprintf(deployment, 1, template(t, annotated("nonsense", "x"))))
	var sets struct {
		Items []struct{ Metadata struct{ Name string } }
	}
	cluster.Eventually(t, "the event", func() error {
		r.c.Get(t, "/apis/apps/v1/namespaces/"+space+"/replicasets", &sets)
		if len(sets.Items) != 1 {
			return fmt.Errorf("%d ReplicaSets", len(sets.Items))
		}
		return r.event(t, space, "ReplicaSet", sets.Items[0].Metadata.Name, "SidecarRefused", "postern.dev/nonsense")
	})
	if out := r.c.Kubectl(t, "describe", "replicaset", "--namespace", space); !strings.Contains(out, "SidecarRefused") || !strings.Contains(out, "FailedCreate") {
		t.Errorf("kubectl describe: %s", out)
	}
}

func TestPodBeatsNamespaceBeatsChart(t *testing.T) {
	t.Parallel()
	r := calm(t)
	space, none, wrong := r.space(t, nil), r.space(t, nil), r.space(t, nil)
	r.c.Apply(t, space, `{apiVersion: v1, kind: ConfigMap, metadata: {name: postern-defaults}, data: {log-level: error, shutdown-graceful-period: 8s, policy: of-namespace}}`)
	r.c.Apply(t, wrong, `{apiVersion: v1, kind: ConfigMap, metadata: {name: postern-defaults}, data: {log-levl: error}}`)
	for _, tc := range []struct {
		space    string
		change   change
		level    string
		graceful string
		upstream string
	}{
		{none, annotated(), "warn", "7s", "31s"},
		{space, annotated(), "error", "8s", "31s"},
		{space, annotated("log-level", "debug"), "debug", "8s", "31s"},
	} {
		c := sidecar(t, r.mustCreate(t, tc.space, pod("a-"+tc.level, tc.change)))
		for name, want := range map[string]string{
			"POSTERN_LOG_LEVEL": tc.level, "POSTERN_SHUTDOWN_GRACEFUL_PERIOD": tc.graceful, "POSTERN_UPSTREAM_TIMEOUT": tc.upstream,
		} {
			if got := variable(c, name); got != want {
				t.Errorf("%s: %s=%q, want %q", tc.level, name, got, want)
			}
		}
	}
	p := r.mustCreate(t, space, pod("b", annotated("policy", "-")))
	if volumes := text(t, p.Spec.Volumes); !strings.Contains(volumes, `"name":"of-namespace"`) {
		t.Errorf("the policy of the namespace is not used: %s", volumes)
	}
	_, err := r.create(wrong, pod("a"), "")
	denied(t, err, "log-levl", "the ConfigMap postern-defaults of the namespace")
}

// A webhook configuration that asks the injector about everything: it changes nothing that is no new pod.
func TestWhatIsNoNewPodIsLeftAlone(t *testing.T) {
	t.Parallel()
	r := apart(t, wish{hooks: func(entry tree) {
		entry["rules"] = []any{tree{
			"apiGroups": []any{""}, "apiVersions": []any{"v1"}, "operations": []any{"CREATE", "UPDATE"}, "resources": []any{"pods", "pods/status", "configmaps"}, "scope": "Namespaced",
		}}
		delete(entry, "objectSelector")
	}}, 1)
	space := r.space(t, nil)
	sidecar(t, r.mustCreate(t, space, pod("a")))
	r.c.Apply(t, space, `{apiVersion: v1, kind: ConfigMap, metadata: {name: c, labels: {postern.dev/inject: "true"}}}`)
	r.c.Kubectl(t, "label", "pod", "a", "x=y", "--namespace", space)
	r.c.Kubectl(t, "patch", "pod", "a", "--namespace", space, "--subresource=status", "--patch", `{"status":{"message":"x"}}`)
	naked(t, r.mustCreate(t, space, pod("mirror", annotated("kubernetes.io/config.mirror", "x"), spec("nodeName", "n"))))
	for _, reason := range []string{"not_a_pod", "not_create", "subresource", "mirror_pod"} {
		if r.metric(t, "postern_injector_admissions_total", map[string]string{"reason": reason, "result": "unchanged"}) == 0 {
			t.Errorf("none is counted as %s", reason)
		}
	}
}

package t2_test

import (
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"

	"postern/charts/series"
	"postern/cmd/postern-injector/e2e/cluster"
)

// podsGetTheSidecar asks in the three ways, and each Deployment goes Ready with the real sidecar before the app.
func (w *world) podsGetTheSidecar(t *testing.T) {
	for _, c := range []struct{ name, namespace, labels string }{
		{"by label", "", `postern.dev/inject: "true"`},
		{"by namespace", "enabled", "a: b"},
		{"required", "required", "a: b"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var labels map[string]string
			if c.namespace != "" {
				labels = map[string]string{ask: c.namespace}
			}
			space := w.Namespace(t, labels)
			w.Apply(t, space, deployment(c.labels)+`---
{apiVersion: v1, kind: Service, metadata: {name: web}, spec: {selector: {app: web}, ports: [{port: 80, targetPort: 7564}]}}
`)
			w.rollout(t, space, "web")
			pods := w.pods(t, space, "app%3Dweb")
			if len(pods) != 2 {
				t.Fatalf("%d pods", len(pods))
			}
			for _, p := range pods {
				if err := injected(&p, sidecarImage); err != nil {
					t.Error(err)
				}
				if said := w.k.Logs(t, space, p.Name, sidecar); !strings.Contains(said, `"policy loaded"`) {
					t.Errorf("the sidecar said\n%s", said)
				}
			}
			if got := w.get(t, "http://web."+space+".svc/"); !strings.HasSuffix(got, " the app") {
				t.Errorf("through Service and sidecar: %s", got)
			}
		})
	}
	t.Run("nobody asks", func(t *testing.T) {
		t.Parallel()
		plain, enabled, required := w.Namespace(t, nil), w.Namespace(t, map[string]string{ask: "enabled"}), w.Namespace(t, map[string]string{ask: "required"})
		refusal := pod("no", false)
		refusal["metadata"].(map[string]any)["labels"] = map[string]string{ask: "false"}
		for space, object := range map[string]map[string]any{plain: pod("no", false), enabled: refusal} {
			if p, err := w.dryRun(t.Context(), space, object); err != nil || len(p.Spec.InitContainers) != 0 {
				t.Errorf("%v: %s", err, asJSON(p))
			}
		}
		if _, err := w.dryRun(t.Context(), required, refusal); err == nil || !strings.Contains(err.Error(), "not possible here") {
			t.Errorf("no, where the sidecar is required: %v", err)
		}
	})
}

// releaseNamespaceIsLeftAlone: an injector that were asked about its own pods could not start itself.
func (w *world) releaseNamespaceIsLeftAlone(t *testing.T) {
	if p, err := w.dryRun(t.Context(), system, pod("own", true)); err != nil || len(p.Spec.InitContainers) != 0 {
		t.Errorf("%v: %s", err, asJSON(p))
	}
	for _, p := range w.replicas(t) {
		if len(p.Spec.InitContainers) != 0 {
			t.Errorf("%s has a sidecar itself", p.Name)
		}
	}
}

func (w *world) get(t *testing.T, url string) string {
	t.Helper()
	resp, err := w.k.Client().Get(url)
	if err != nil {
		return err.Error()
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

var (
	sample     = regexp.MustCompile(`(?m)^([a-zA-Z_:][a-zA-Z0-9_:]*)(\{.*\})? \S+$`)
	labelNames = regexp.MustCompile(`([a-zA-Z_]+)="`)
)

// scrape is what Prometheus gets from both replicas by the Service: series and their labels.
func (w *world) scrape(t *testing.T) series.Set {
	t.Helper()
	set := series.Set{}
	for range 6 { // the Service takes turns
		for _, m := range sample.FindAllStringSubmatch(w.get(t, "http://"+name+"."+system+".svc:9440/metrics"), -1) {
			labels := set[m[1]]
			for _, l := range labelNames.FindAllStringSubmatch(m[2], -1) {
				labels = append(labels, l[1])
			}
			slices.Sort(labels)
			set[m[1]] = slices.Compact(labels)
		}
	}
	return set
}

// metricsHaveEverySeries compares what the injector exposes, once it has injected and refused a pod, with what is asked for.
func (w *world) metricsHaveEverySeries(t *testing.T) {
	space := w.Namespace(t, nil)
	bad := pod("bad", true)
	bad["metadata"].(map[string]any)["annotations"] = map[string]string{"postern.dev/polcy": "x"}
	if _, err := w.dryRun(t.Context(), space, bad); err == nil || !strings.Contains(err.Error(), "policy") {
		t.Errorf("a misspelt annotation: %v", err)
	}
	if _, err := w.dryRun(t.Context(), space, pod("good", true)); err != nil {
		t.Error(err)
	}
	read := func(file string) []byte {
		t.Helper()
		text, err := os.ReadFile(filepath.Join(w.root, "charts", file))
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	asked, err := series.Dashboard(read("dashboards/postern-injector.json"))
	if err != nil {
		t.Fatal(err)
	}
	rules, err := series.Rules(read("alerts/postern.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, rule := range rules {
		if strings.HasPrefix(rule.Alert, "PosternInjector") {
			asked = append(asked, rule.Expr)
		}
	}
	if len(asked) < 10 {
		t.Fatalf("only %d expressions", len(asked))
	}
	known := w.scrape(t)
	maps.Copy(known, series.Others())
	for _, expression := range asked {
		for _, complaint := range known.Unknown(expression) {
			t.Errorf("%s\n  in %s", complaint, expression)
		}
	}
}

var listening = regexp.MustCompile(`(?m)^\s*\d+: ([0-9A-F]+):([0-9A-F]{4}) [0-9A-F]+:[0-9A-F]{4} 0A `)

// networkPolicyAdmitsWhatListens: nothing enforces policies here, so that their ports are compared with those that the process has opened.
func (w *world) networkPolicyAdmitsWhatListens(t *testing.T) {
	pid := w.k.PID(t, system, w.replicas(t)[0].Name, name)
	ports := map[int]bool{}
	for _, table := range []string{"tcp", "tcp6"} {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/%s", pid, table))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range listening.FindAllStringSubmatch(string(text), -1) {
			if strings.Trim(m[1], "0") != "" {
				continue // at the address of a Service: that is what kube-proxy is elsewhere
			}
			var port int
			if _, err := fmt.Sscanf(m[2], "%X", &port); err != nil {
				t.Fatal(err)
			}
			ports[port] = true
		}
	}
	var p networkingv1.NetworkPolicy
	w.Get(t, "/apis/networking.k8s.io/v1/namespaces/"+system+"/networkpolicies/"+name, &p)
	admitted := map[int]bool{}
	for _, rule := range p.Spec.Ingress {
		for _, port := range rule.Ports {
			admitted[port.Port.IntValue()] = true
		}
	}
	if !maps.Equal(ports, admitted) || len(ports) != 2 {
		t.Errorf("it listens on %v, the policy admits %v", ports, admitted)
	}
	out, err := w.k.Exec(t.Context(), system, w.replicas(t)[0].Name, name, "/bin/sh", "-c", "echo $KUBERNETES_SERVICE_PORT")
	if err != nil {
		t.Fatal(err)
	}
	open := false
	for _, rule := range p.Spec.Egress {
		for _, port := range rule.Ports {
			open = open || port.Port.String() == strings.TrimSpace(out)
		}
	}
	if !open {
		t.Errorf("the policy does not let it call the API server at port %s", out)
	}
	for _, replica := range w.replicas(t) {
		for key, value := range p.Spec.PodSelector.MatchLabels {
			if replica.Labels[key] != value {
				t.Errorf("the policy is not about %s", replica.Name)
			}
		}
	}
}

// checkFindsTheWayAround follows the README of the NetworkPolicy, in the namespace that it names.
func (w *world) checkFindsTheWayAround(t *testing.T) {
	const space = "my-team"
	w.CreateNamespace(t, space, nil)
	w.Apply(t, space, deployment(`postern.dev/inject: "true"`)+`---
{apiVersion: v1, kind: Service, metadata: {name: web}, spec: {selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}}
`)
	w.rollout(t, space, "web")
	found, err := w.sh(t, "postern-injector check -n "+space+" --strict")
	if err == nil || !strings.Contains(err.Error(), "exit status 1") || !strings.Contains(found, "service_port") || !strings.Contains(found, "no_policy") {
		t.Errorf("%v: %s", err, found)
	}
	w.Kubectl(t, "patch", "service", "web", "-n", space, "--type=json", "--patch", `[{"op":"replace","path":"/spec/ports/0/targetPort","value":7564}]`)
	cluster.Eventually(t, "the endpoints have followed", func() error {
		if got := w.get(t, "http://web."+space+".svc/"); !strings.HasSuffix(got, " the app") {
			return errorf("%s", got)
		}
		return nil
	})
	found, err = w.sh(t, "postern-injector check -n "+space+" --strict")
	if err == nil || strings.Contains(found, "service_port") || !strings.Contains(found, "no_policy") {
		t.Errorf("%v: %s", err, found)
	}
	cluster.Eventually(t, "it is clean", func() error {
		out, err := w.sh(t, w.snippet(t, "charts/networkpolicy/README.md", "kubectl apply -n my-team"))
		if err == nil && !strings.Contains(out, "nothing was found") {
			err = errorf("%s", out)
		}
		return err
	})
	// The other way to ask: with what `kubectl get` says, and as whoever may read it.
	if out, err := w.sh(t, "kubectl get pods,services,networkpolicies,endpointslices,deployments -n my-team -o json | postern-injector check -f - --strict"); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	var metrics string
	if p := w.pods(t, space, "app%3Dweb"); len(p) > 0 {
		metrics = w.get(t, "http://"+p[0].Name+"."+space+".pod:7565/metrics")
	}
	if !strings.Contains(metrics, "postern_upstream_exposed") {
		t.Error("the sidecar does not say whether its app can be reached beside it")
	}
}

package t1

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.yaml.in/yaml/v3"

	"postern/cmd/postern-injector/e2e/cluster"
)

type tree = map[string]any

// Names that the chart is rendered with once, and that each release puts its own in the place of.
const (
	anyName      = "release-placeholder"
	anyNamespace = "namespace-placeholder"

	label = "test.postern.dev/release" // of a namespace: whose it is
)

// wish is what a release is to be like.
type wish struct {
	guard  bool
	set    []string                   // flags of helm template
	change func(kind string, o tree)  // of the chart's objects; may be nil
	hooks  func(entry tree)           // of each entry of the webhook configuration; may be nil
	files  func(dir, settings string) // in place of writing the settings file
}

// release is the chart's objects in the API server, and processes where it would have pods.
type release struct {
	c               *cluster.Cluster
	dir, binary     string
	name, namespace string
	guard           bool
	args            []string // of the chart's container
	environ         []string
	settings        string // the directory that the chart mounts
	balance         *balancer

	mu       sync.Mutex
	replicas []*replica
}

// install applies the chart's objects; no replica runs yet.
func install(t testing.TB, c *cluster.Cluster, binary, dir string, w wish) *release {
	t.Helper()
	suffix := strings.ToLower(rand.Text()[:8])
	r := &release{c: c, binary: binary, guard: w.guard, name: "injector-" + suffix, namespace: "system-" + suffix}
	r.dir = filepath.Join(dir, r.name)
	r.settings = filepath.Join(r.dir, "settings")
	if err := os.MkdirAll(r.settings, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := c.Do(context.Background(), http.MethodPost, "/api/v1/namespaces", tree{"metadata": tree{"name": r.namespace}}, nil); err != nil {
		t.Fatal(err)
	}
	var apply []any
	for _, o := range r.objects(t, w.set) {
		kind, _ := o["kind"].(string)
		r.confine(kind, o, w.hooks)
		if w.change != nil {
			w.change(kind, o)
		}
		switch {
		case kind == "Deployment":
			r.command(t, o)
		case kind == "ConfigMap" && w.files == nil:
			write(t, filepath.Join(r.settings, "settings.yaml"), at[string](t, o, "data", "settings.yaml"))
		case kind == "ConfigMap":
			w.files(r.settings, at[string](t, o, "data", "settings.yaml"))
		case strings.HasPrefix(kind, "ValidatingAdmissionPolicy") && !w.guard, kind == "NetworkPolicy", kind == "PodDisruptionBudget":
		default:
			apply = append(apply, o)
		}
	}
	list, err := json.Marshal(tree{"apiVersion": "v1", "kind": "List", "items": apply})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Command(t, "kubectl", string(list), "create", "-f", "-"); err != nil {
		t.Fatal(err)
	}
	var service struct{ Spec struct{ ClusterIP string } }
	if err := c.Do(context.Background(), http.MethodGet, "/api/v1/namespaces/"+r.namespace+"/services/"+r.name, nil, &service); err != nil {
		t.Fatal(err)
	}
	r.balance = balanced(t, r.ready)
	c.Egress.Route(service.Spec.ClusterIP+":443", r.balance.address())
	return r
}

// objects are what the chart makes, with the names of this release.
func (r *release) objects(t testing.TB, set []string) (all []tree) {
	t.Helper()
	root, err := cluster.ModuleRoot()
	if err != nil {
		t.Fatal(err)
	}
	chart := filepath.Join(root, "charts", "postern-injector")
	text := r.c.Helm(t, append([]string{
		"template", "x", chart, "--namespace", anyNamespace, "--values", filepath.Join(chart, "ci", "minimal-values.yaml"), "--set=fullnameOverride=" + anyName,
	}, set...)...)
	text = strings.NewReplacer(anyName, r.name, anyNamespace, r.namespace).Replace(text)
	decoder := yaml.NewDecoder(strings.NewReader(text))
	for {
		var o tree
		if err := decoder.Decode(&o); err != nil {
			return all
		}
		if o != nil {
			all = append(all, o)
		}
	}
}

// confine keeps webhook and guard to the namespaces of this release, and does nothing else to them.
func (r *release) confine(kind string, o tree, hooks func(tree)) {
	only := tree{"key": label, "operator": "In", "values": []any{r.name}}
	confine := func(parent tree) {
		selector, ok := parent["namespaceSelector"].(tree)
		if !ok {
			return
		}
		expressions, _ := selector["matchExpressions"].([]any)
		selector["matchExpressions"] = append(expressions, only)
	}
	switch kind {
	case "MutatingWebhookConfiguration":
		entries, _ := o["webhooks"].([]any)
		for _, e := range entries {
			entry, _ := e.(tree)
			confine(entry)
			if hooks != nil {
				hooks(entry)
			}
		}
	case "ValidatingAdmissionPolicy":
		spec, _ := o["spec"].(tree)
		constraints, _ := spec["matchConstraints"].(tree)
		confine(constraints)
	}
}

// command takes over what the chart's container is started with, but where it listens, reads its settings and finds the API server.
func (r *release) command(t testing.TB, deployment tree) {
	t.Helper()
	containers := at[[]any](t, deployment, "spec", "template", "spec", "containers")
	container, _ := containers[0].(tree)
	for _, a := range at[[]any](t, container, "args") {
		switch arg := fmt.Sprint(a); {
		case strings.HasPrefix(arg, "--config="):
			r.args = append(r.args, "--config="+filepath.Join(r.settings, "settings.yaml"))
		case strings.HasPrefix(arg, "--bind-address="), strings.HasPrefix(arg, "--probe-bind-address="):
			flag, _, _ := strings.Cut(arg, "=")
			r.args = append(r.args, flag+"=127.0.0.1:0")
		default:
			r.args = append(r.args, arg)
		}
	}
	for _, e := range at[[]any](t, container, "env") {
		variable, _ := e.(tree)
		r.environ = append(r.environ, fmt.Sprintf("%v=%v", variable["name"], variable["value"]))
	}
	for _, m := range at[[]any](t, container, "volumeMounts") { // S-48: one file of a ConfigMap would not follow changes
		if mount, _ := m.(tree); mount["subPath"] != nil {
			t.Errorf("the chart mounts by subPath: %v", mount)
		}
	}
}

// inForce waits until the API server asks the injector, and the guard judges.
func (r *release) inForce(t testing.TB) {
	t.Helper()
	space := r.space(t, nil)
	cluster.Eventually(t, "the webhook is in force", func() error {
		pod, err := r.create(space, pod("probe"), "?dryRun=All")
		if err == nil && len(pod.Spec.InitContainers) == 0 {
			return errors.New("a labelled pod has no sidecar")
		}
		return err
	})
	if !r.guard {
		return
	}
	cluster.Eventually(t, "the guard is in force", func() error {
		if _, err := r.create(space, pod("probe", unlabelled(), annotated("status", "{}")), "?dryRun=All"); err == nil {
			return errors.New("it lets a forged annotation pass")
		}
		return nil
	})
}

// space is a namespace that the release looks after, for one test.
func (r *release) space(t testing.TB, labels map[string]string) string {
	t.Helper()
	all := map[string]string{label: r.name}
	for k, v := range labels {
		all[k] = v
	}
	return r.c.Namespace(t, all)
}

// start starts replicas at the same moment, and waits until all are ready.
func (r *release) start(t testing.TB, n int) []*replica {
	t.Helper()
	started := r.launch(t, n)
	for _, one := range started {
		one.await(t)
	}
	return started
}

// ready are the addresses of the replicas that say so, as an EndpointSlice would hold them.
func (r *release) ready() (addresses []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, one := range r.replicas {
		if one.status() == http.StatusOK {
			addresses = append(addresses, one.address)
		}
	}
	return addresses
}

func (r *release) stop() {
	r.balance.close()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, one := range slices.Backward(r.replicas) {
		one.program.Kill()
	}
}

const hooksPath = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/"

// bundles are caBundle of each entry, decoded.
func (r *release) bundles(t testing.TB) (all []string) {
	t.Helper()
	var o struct {
		Webhooks []struct{ ClientConfig struct{ CABundle []byte } }
	}
	r.c.Get(t, hooksPath+r.name, &o)
	for _, w := range o.Webhooks {
		all = append(all, string(w.ClientConfig.CABundle))
	}
	return all
}

// setHooks changes one field of every entry of the webhook configuration.
func (r *release) setHooks(t testing.TB, path string, value any) {
	t.Helper()
	var patch []tree
	for n := range 3 {
		patch = append(patch, tree{"op": "add", "path": fmt.Sprintf("/webhooks/%d/%s", n, path), "value": value})
	}
	if err := r.c.Do(t.Context(), http.MethodPatch, hooksPath+r.name, cluster.Patch{Type: "application/json-patch+json", Body: patch}, nil); err != nil {
		t.Fatal(err)
	}
}

// secret is what the release's Secret holds.
func (r *release) secret(t testing.TB) map[string]string {
	t.Helper()
	var o struct{ Data map[string][]byte }
	r.c.Get(t, "/api/v1/namespaces/"+r.namespace+"/secrets/"+r.name+"-certificate", &o)
	out := map[string]string{}
	for k, v := range o.Data {
		out[k] = string(v)
	}
	return out
}

// setSecret puts data into the release's Secret, as an operator would; nil removes all of it.
func (r *release) setSecret(t testing.TB, data map[string]string) {
	t.Helper()
	encoded := tree{"tls.crt": nil, "tls.key": nil, "ca.crt": nil, "previous-ca.crt": nil}
	for k, v := range data {
		encoded[k] = base64.StdEncoding.EncodeToString([]byte(v))
	}
	patch := cluster.Patch{Type: "application/merge-patch+json", Body: tree{"data": encoded}}
	if err := r.c.Do(t.Context(), http.MethodPatch, "/api/v1/namespaces/"+r.namespace+"/secrets/"+r.name+"-certificate", patch, nil); err != nil {
		t.Fatal(err)
	}
}

// at is what an object holds at a path.
func at[T any](t testing.TB, o tree, path ...string) T {
	t.Helper()
	var v any = o
	for _, key := range path {
		parent, _ := v.(tree)
		v = parent[key]
	}
	out, ok := v.(T)
	if !ok {
		t.Fatalf("%s is %T", strings.Join(path, "."), v)
	}
	return out
}

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

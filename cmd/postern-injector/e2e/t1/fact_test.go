package t1

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"postern/cmd/postern-injector/e2e/cluster"
)

// A patch that does not fit, or makes a pod that cannot be, fails the create whatever the failure policy. So the injector refuses such pods itself,
// and says why.
func TestFact02BadPatchFailsEvenUnderIgnore(t *testing.T) {
	t.Parallel()
	r := calm(t)
	space := r.space(t, nil)
	var calls atomic.Int32
	var patch atomic.Pointer[[]tree]
	patch.Store(&[]tree{})
	other(t, r.c, space, "Ignore", patching(func(asked) []tree { calls.Add(1); return *patch.Load() }))
	called(t, r, space, func() int { return int(calls.Load()) })
	for name, operation := range map[string]tree{
		"a position that is not there": {"op": "add", "path": "/spec/containers/7", "value": tree{"name": "b", "image": "b"}},
		"two containers of one name":   {"op": "add", "path": "/spec/containers/-", "value": tree{"name": "app", "image": "b"}},
		"a test that fails":            {"op": "test", "path": "/spec/containers/0/name", "value": "nobody"},
	} {
		patch.Store(&[]tree{operation})
		if _, err := r.create(space, pod("a", unlabelled()), ""); err == nil {
			t.Errorf("%s: created", name)
		}
	}
	patch.Store(&[]tree{})
	_, err := r.kubectl(t, space, pod("a", container(tree{"name": "postern", "image": "x"})))
	denied(t, err, `spec.containers has a container "postern", which is the name of the sidecar`)
	if left := r.pods(t, space); len(left) > 0 {
		t.Errorf("%d pods were created", len(left))
	}
}

// A field that the API server does not know is dropped without a word. So what it has persisted is compared with what the injector has asked for.
func TestFact03UnknownFieldsAreDroppedAndWeHaveNone(t *testing.T) {
	t.Parallel()
	r := calm(t)
	space := r.space(t, nil)
	var calls atomic.Int32
	other(t, r.c, space, "Fail", patching(func(asked) []tree {
		calls.Add(1)
		return []tree{{"op": "add", "path": "/spec/containers/0/redinessProbe", "value": tree{}}}
	}))
	called(t, r, space, func() int { return int(calls.Load()) })
	var stored tree
	r.mustCreate(t, space, pod("misspelt", unlabelled()))
	r.c.Get(t, "/api/v1/namespaces/"+space+"/pods/misspelt", &stored)
	if strings.Contains(text(t, stored), "redinessProbe") {
		t.Error("the unknown field was kept")
	}
	space = r.space(t, nil)
	for name, p := range map[string]tree{
		"policy": pod("policy"),
		"all": pod("all", annotated("provider", "azure", "ingress", "https://a.example.org", "secrets", "login", "tokens", "entra_id,tokenx",
			"egress-routes", "[{name: b, url: https://b.example.org, provider: tokenx, target: 'c:n:b', as: user}]", "app-address", "loopback")),
		"worker": pod("worker", annotated("policy", "-", "tokens", "entra_id", "secrets", "s"), app("ports", nil), spec("restartPolicy", "Never")),
	} {
		patch := r.patchOf(t, space, p)
		r.mustCreate(t, space, p)
		var stored tree
		r.c.Get(t, "/api/v1/namespaces/"+space+"/pods/"+name, &stored)
		init, _ := child(stored, "spec")["initContainers"].([]any)
		for _, operation := range patch {
			path, _ := operation["path"].(string)
			switch {
			case strings.HasPrefix(path, "/spec/initContainers"):
				within(t, name+" sidecar", first(operation["value"]), first(init))
			case strings.HasPrefix(path, "/spec/volumes"):
				wanted, list := operation["value"].([]any)
				if !list {
					wanted = []any{operation["value"]}
				}
				for _, v := range wanted {
					within(t, name+" volume", v, named(child(stored, "spec")["volumes"], v))
				}
			}
		}
	}
}

// within fails unless everything that was wanted is there.
func within(t *testing.T, where string, want, have any) {
	t.Helper()
	switch w := want.(type) {
	case tree:
		h, _ := have.(tree)
		for key, value := range w {
			if there, ok := h[key]; ok {
				within(t, where+"."+key, value, there)
			} else if list, empty := value.([]any); value != nil && text(t, value) != "{}" && (!empty || len(list) > 0) {
				t.Errorf("%s.%s was dropped: %v", where, key, value)
			}
		}
	case []any:
		h, _ := have.([]any)
		if len(h) < len(w) {
			t.Errorf("%s has %d elements, want %d", where, len(h), len(w))
			return
		}
		for n := range w {
			within(t, fmt.Sprintf("%s[%d]", where, n), w[n], h[n])
		}
	default:
		if want != have {
			t.Errorf("%s is %v, want %v", where, have, want)
		}
	}
}

func first(v any) any {
	if list, ok := v.([]any); ok {
		if len(list) == 0 {
			return nil
		}
		return list[0]
	}
	return v
}

func named(list, like any) any {
	wanted, _ := like.(tree)
	all, _ := list.([]any)
	for _, v := range all {
		if o, _ := v.(tree); o["name"] == wanted["name"] {
			return o
		}
	}
	return nil
}

// patchOf is what a replica answers for a pod, past the API server.
func (r *release) patchOf(t testing.TB, space string, p tree) (operations []tree) {
	t.Helper()
	status, said := r.replicas[0].post(t, "/inject/pod", "application/json", []byte(text(t, tree{
		"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": tree{
			"uid": "direct", "kind": tree{"version": "v1", "kind": "Pod"}, "operation": "CREATE", "namespace": space, "dryRun": true, "object": p,
		},
	})))
	var review struct {
		Response struct {
			Allowed bool
			Patch   []byte
		}
	}
	if err := json.Unmarshal(said, &review); err != nil || status != http.StatusOK || !review.Response.Allowed {
		t.Fatalf("%d %s", status, said)
	}
	if err := json.Unmarshal(review.Response.Patch, &operations); err != nil {
		t.Fatal(err)
	}
	return operations
}

// denied fails unless the injector's refusal says all of it, in kubectl's words.
func denied(t *testing.T, err error, says ...string) {
	t.Helper()
	if err == nil {
		t.Error("the pod was created")
		return
	}
	for _, part := range append(says, `inject.postern.dev" denied the request: the pod cannot get the sidecar postern: `) {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("want %q: %v", part, err)
		}
	}
}

func TestFact04RefusalsAndWarningsReachThePerson(t *testing.T) {
	t.Parallel()
	r := calm(t)
	space := r.space(t, nil)
	_, err := r.kubectl(t, space, pod("a", annotated("polcy", "x")))
	denied(t, err, `admission webhook "pod.inject.postern.dev" denied the request: `, "postern.dev/polcy", "nearest: postern.dev/policy")
	_, err = r.create(space, pod("a", annotated("polcy", "x")), "")
	if refused, ok := err.(*cluster.StatusError); !ok || refused.Code != http.StatusUnprocessableEntity || refused.Reason != "Invalid" { //nolint:errorlint // it is not wrapped
		t.Errorf("%#v", err)
	}
	said, err := r.kubectl(t, space, pod("a", annotated("ignore-paths", "/api/**")))
	if err != nil || !strings.Contains(said, "Warning: ") || !strings.Contains(said, "postern.dev/ignore-paths") {
		t.Errorf("%v: %s", err, said)
	}
}

func TestFact05DryRunShowsTheSidecarAndLeavesNothing(t *testing.T) {
	t.Parallel()
	r := calm(t)
	space := r.space(t, nil)
	said, err := r.kubectl(t, space, pod("a"), "--dry-run=server", "-o", "json")
	var shown tree
	if err != nil || json.Unmarshal([]byte(said), &shown) != nil {
		t.Fatalf("%v: %s", err, said)
	}
	init, _ := child(shown, "spec")["initContainers"].([]any)
	wet := r.mustCreate(t, space, pod("b"))
	if len(init) != 1 || text(t, shown["metadata"].(tree)["annotations"]) != text(t, wet.Annotations) {
		t.Errorf("%d init containers; annotations %v, without dry run %v", len(init), child(shown, "metadata", "annotations"), wet.Annotations)
	}
	for name, query := range map[string]string{"dry": "?dryRun=All", "wet": ""} {
		if _, err := r.create(space, pod(name, annotated("nonsense", "x")), query); err == nil {
			t.Errorf("%s: created", name)
		}
	}
	if got := len(r.pods(t, space)); got != 1 {
		t.Errorf("there are %d pods", got)
	}
	cluster.Eventually(t, "an event about the pod that was meant", func() error { return r.event(t, space, "Pod", "wet", "SidecarRefused", "nonsense") })
	if r.event(t, space, "Pod", "dry", "SidecarRefused", "") == nil {
		t.Error("the dry run has left an event")
	}
	var bad tree
	r.c.Get(t, hooksPath+r.name, &bad)
	bad["metadata"] = tree{"name": "side-effects-" + space}
	child(tree{"w": first(bad["webhooks"])}, "w")["sideEffects"] = "Some"
	if err := r.c.Do(t.Context(), http.MethodPost, strings.TrimSuffix(hooksPath, "/"), bad, nil); err == nil || !strings.Contains(err.Error(), "sideEffects") {
		t.Errorf("side effects that dry runs would have: %v", err)
	}
}

const deployment = `{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"web"},"spec":{"replicas":%d,"selector":{"matchLabels":{"a":"b"}},"template":%s}}`

// template is a pod without a name, for controllers.
func template(t *testing.T, changes ...change) string {
	t.Helper()
	p := pod("-", append(changes, labelled("a", "b"))...)
	delete(child(p, "metadata"), "name")
	delete(p, "apiVersion")
	delete(p, "kind")
	return text(t, p)
}

// A pod of a ReplicaSet has neither a name nor a namespace yet: events go to its owner, and logs tell it by what is there.
func TestFact06PodsOfControllersHaveNoNameYet(t *testing.T) {
	t.Parallel()
	r := calm(t)
	space := r.space(t, nil)
	var calls atomic.Int32
	seen := make(chan asked, 100)
	other(t, r.c, space, "Fail", patching(func(a asked) []tree {
		calls.Add(1)
		if !a.DryRun {
			seen <- a
		}
		return nil
	}))
	called(t, r, space, func() int { return int(calls.Load()) })
	r.c.Apply(t, space, fmt.Sprintf(deployment, 1, template(t)))
	a := <-seen
	if a.Name != "" || a.Object.Metadata.Name != "" || a.Object.Metadata.Namespace != "" && a.Object.Metadata.Namespace != space ||
		!strings.HasPrefix(a.Object.Metadata.GenerateName, "web-") || a.Namespace != space {
		t.Errorf("the API server shows %+v", a)
	}
	cluster.Eventually(t, "the pod is there", func() error {
		if len(r.pods(t, space)) != 1 {
			return fmt.Errorf("%d pods", len(r.pods(t, space)))
		}
		return nil
	})
	p := r.pods(t, space)[0]
	sidecar(t, &p)
	found := false
	for _, line := range r.lines("admission") {
		found = found || line["namespace"] == space && line["generate_name"] == p.GenerateName && line["owner"] == "ReplicaSet/"+strings.TrimSuffix(p.GenerateName, "-") && line["result"] == "patched"
	}
	if !found {
		t.Errorf("no line of the log is about %s of %s", p.GenerateName, space)
	}
}

// Another webhook adds a container after us: we are asked again, add what it lacks, and nothing twice. A policy of the API server changes pods before.
func TestFact07ReinvocationCompletesOnly(t *testing.T) {
	t.Parallel()
	r := calm(t)
	space := r.space(t, nil)
	r.c.Apply(t, space, fmt.Sprintf(`
apiVersion: v1
kind: LimitRange
metadata: {name: l}
spec: {limits: [{type: Container, default: {cpu: 300m}}]}
---
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicy
metadata: {name: %[1]s}
spec:
  reinvocationPolicy: Never
  failurePolicy: Fail
  matchConstraints:
    namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: %[1]s}}
    resourceRules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [pods]}]
  mutations:
  - patchType: JSONPatch
    jsonPatch: {expression: '[JSONPatch{op: "add", path: "/spec/containers/-", value: Object.spec.containers{name: "early", image: "early"}}]'}
---
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicyBinding
metadata: {name: %[1]s}
spec: {policyName: %[1]s}
`, space))
	var calls atomic.Int32
	other(t, r.c, space, "Fail", patching(func(a asked) []tree {
		calls.Add(1)
		for _, c := range a.Object.Spec.Containers {
			if c.Name == "late" {
				return nil
			}
		}
		return []tree{{"op": "add", "path": "/spec/containers/-", "value": tree{"name": "late", "image": "late", "ports": []any{tree{"containerPort": 9999}}}}}
	}))
	called(t, r, space, func() int { return int(calls.Load()) })
	cluster.Eventually(t, "the policy is in force", func() error {
		p, err := r.create(space, pod("probe", unlabelled()), "?dryRun=All")
		if err == nil && len(p.Spec.Containers) != 3 {
			return fmt.Errorf("%d containers", len(p.Spec.Containers))
		}
		return err
	})
	p := r.mustCreate(t, space, pod("a", annotated("tokens", "tokenx", "secrets", "s")))
	sidecar(t, p)
	if len(p.Spec.Containers) != 3 {
		t.Fatalf("containers %v", p.Spec.Containers)
	}
	for _, c := range p.Spec.Containers {
		if variable(&c, "NAIS_TOKEN_ENDPOINT") != "http://127.0.0.1:7164/api/v1/token" || len(c.Env) != 3 {
			t.Errorf("container %s has %v", c.Name, c.Env)
		}
	}
	reasons := ""
	for _, line := range r.lines("admission") {
		if line["namespace"] == space && line["name"] == "a" {
			reasons += fmt.Sprint(line["reason"], " ")
		}
	}
	if reasons != "injected completed " && reasons != "completed injected " {
		t.Errorf("the calls for it were %q", reasons)
	}
}

// Two equal ports or names are worth a warning to the API server, and with them a Service leads around the sidecar: we refuse.
func TestFact08EqualPortsAreRefused(t *testing.T) {
	t.Parallel()
	r := calm(t)
	space := r.space(t, nil)
	port := func(number int, name string) []any { return []any{tree{"containerPort": number, "name": name}} }
	said, err := r.kubectl(t, space, pod("a", unlabelled(), app("ports", port(7564, "web")), spec("initContainers", []any{
		tree{"name": "native", "image": "x", "restartPolicy": "Always", "ports": port(7564, "web")},
	})))
	if err != nil || !strings.Contains(said, "Warning: ") || !strings.Contains(said, "duplicate port") {
		t.Errorf("%v: %s", err, said)
	}
	for name, change := range map[string]change{
		"proxy-port":           app("ports", port(7564, "web")),
		"metrics-port":         container(tree{"name": "b", "image": "b", "ports": port(7565, "")}),
		"probe-port":           spec("initContainers", []any{tree{"name": "b", "image": "b", "restartPolicy": "Always", "ports": port(7566, "")}}),
		"token-port":           container(tree{"name": "b", "image": "b", "ports": port(7164, "")}),
		"give it another":      app("ports", port(8080, "postern-proxy")),
		"has a name of the si": container(tree{"name": "b", "image": "b", "ports": port(9000, "postern-probe")}),
	} {
		_, err := r.create(space, pod("b", change), "")
		denied(t, err, name)
	}
	sidecar(t, r.mustCreate(t, space, pod("moved", app("ports", port(7564, "web")), annotated("proxy-port", "9001"))))
}

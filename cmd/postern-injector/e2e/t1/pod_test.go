package t1

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

// change is one thing that is different about a pod.
type change func(p tree)

// pod asks by its label, has a policy, and one app that declares 8080.
func pod(name string, changes ...change) tree {
	p := tree{
		"apiVersion": "v1", "kind": "Pod",
		"metadata": tree{
			"name": name, "labels": tree{"postern.dev/inject": "true"}, "annotations": tree{"postern.dev/policy": "access"},
		},
		"spec": tree{"containers": []any{tree{"name": "app", "image": "app", "ports": []any{tree{"containerPort": 8080}}}}},
	}
	for _, c := range changes {
		c(p)
	}
	return p
}

// pairs sets keys of an object; "-" removes one.
func pairs(o tree, all []string) {
	for i := 0; i < len(all); i += 2 {
		if all[i+1] == "-" {
			delete(o, all[i])
			continue
		}
		o[all[i]] = all[i+1]
	}
}

func child(p tree, path ...string) tree {
	for _, key := range path {
		p, _ = p[key].(tree)
	}
	return p
}

func labelled(all ...string) change {
	return func(p tree) { pairs(child(p, "metadata", "labels"), all) }
}

// annotated leaves out the prefix of ours.
func annotated(all ...string) change {
	return func(p tree) {
		for i := 0; i < len(all); i += 2 {
			if !strings.Contains(all[i], "/") {
				all[i] = "postern.dev/" + all[i]
			}
		}
		pairs(child(p, "metadata", "annotations"), all)
	}
}

func spec(key string, value any) change { return func(p tree) { child(p, "spec")[key] = value } }

func app(key string, value any) change {
	return func(p tree) {
		containers, _ := child(p, "spec")["containers"].([]any)
		first, _ := containers[0].(tree)
		first[key] = value
	}
}

func container(c tree) change {
	return func(p tree) {
		containers, _ := child(p, "spec")["containers"].([]any)
		child(p, "spec")["containers"] = append(containers, c)
	}
}

// unlabelled is a pod that does not ask.
func unlabelled() change { return labelled("postern.dev/inject", "-") }

func text(t testing.TB, o any) string {
	t.Helper()
	out, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// create gives a pod to the API server, and is what it has persisted.
func (r *release) create(space string, p tree, query string) (*corev1.Pod, error) {
	out := new(corev1.Pod)
	return out, r.c.Do(context.Background(), http.MethodPost, "/api/v1/namespaces/"+space+"/pods"+query, p, out)
}

// mustCreate is what the API server gives back when it is asked for the pod afterwards.
func (r *release) mustCreate(t testing.TB, space string, p tree) *corev1.Pod {
	t.Helper()
	made, err := r.create(space, p, "")
	if err != nil {
		t.Fatal(err)
	}
	out := new(corev1.Pod)
	r.c.Get(t, "/api/v1/namespaces/"+space+"/pods/"+made.Name, out)
	return out
}

// kubectl creates a pod as a person does; what kubectl says is its answer, warnings included, or the error.
func (r *release) kubectl(t testing.TB, space string, p tree, flags ...string) (string, error) {
	t.Helper()
	return r.c.Command(t, "kubectl", text(t, p), append([]string{"create", "--namespace", space, "-f", "-"}, flags...)...)
}

// pods are those of a namespace.
func (r *release) pods(t testing.TB, space string) []corev1.Pod {
	t.Helper()
	var list corev1.PodList
	r.c.Get(t, "/api/v1/namespaces/"+space+"/pods", &list)
	return list.Items
}

// sidecar is the injected one; the test fails unless there is exactly one, in its place.
func sidecar(t testing.TB, p *corev1.Pod) *corev1.Container {
	t.Helper()
	count := 0
	for _, c := range append(p.Spec.InitContainers, p.Spec.Containers...) {
		if c.Name == "postern" {
			count++
		}
	}
	if count != 1 || p.Spec.InitContainers[0].Name != "postern" {
		t.Fatalf("pod %s has %d sidecars, and the init containers %v", p.Name, count, p.Spec.InitContainers)
	}
	c := &p.Spec.InitContainers[0]
	if c.RestartPolicy == nil || *c.RestartPolicy != corev1.ContainerRestartPolicyAlways || p.Labels["postern.dev/injected"] != "true" ||
		!json.Valid([]byte(p.Annotations["postern.dev/status"])) {
		t.Fatalf("pod %s: restartPolicy %v, labels %v, annotations %v", p.Name, c.RestartPolicy, p.Labels, p.Annotations)
	}
	return c
}

// naked fails unless the pod is as if there were no injector.
func naked(t testing.TB, p *corev1.Pod) {
	t.Helper()
	if len(p.Spec.InitContainers) > 0 || p.Labels["postern.dev/injected"] != "" || p.Annotations["postern.dev/status"] != "" {
		t.Errorf("pod %s was changed: %v %v", p.Name, p.Spec.InitContainers, p.Annotations)
	}
}

func variable(c *corev1.Container, name string) string {
	for _, v := range c.Env {
		if v.Name == name {
			return v.Value
		}
	}
	return ""
}

// trust is what the API server would accept of the release's Service.
func (r *release) trust(t testing.TB) *tls.Config {
	t.Helper()
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM([]byte(r.bundles(t)[0])) {
		t.Fatal("caBundle holds no certificate")
	}
	return &tls.Config{RootCAs: roots, ServerName: r.name + "." + r.namespace + ".svc", MinVersion: tls.VersionTLS13}
}

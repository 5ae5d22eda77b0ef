package t2_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"postern/cmd/postern-injector/e2e/cluster"
)

const (
	ask     = "postern.dev/inject"
	sidecar = "postern"
)

// policy lets everybody in: what the sidecar decides is not the question here.
const policy = `
apiVersion: v1
kind: ConfigMap
metadata: {name: web-policy}
data:
  policy.yaml: |
    apiVersion: postern/v1
    paths: [{match: "/**", public: true}]
`

// deployment is an app with two replicas and its policy; extra labels of the pods as "key: value, …".
func deployment(labels string) string {
	return policy + `---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata:
      labels: {app: web, ` + labels + `}
      annotations: {postern.dev/policy: web-policy}
    spec:
      containers:
      - name: app
        image: ` + app + `
        ports: [{name: http, containerPort: 8080}]
`
}

// pod is one to be created; with the label if it asks.
func pod(name string, asks bool) map[string]any {
	metadata := map[string]any{"name": name, "annotations": map[string]string{"postern.dev/policy": "web-policy"}}
	if asks {
		metadata["labels"] = map[string]string{ask: "true"}
	}
	containers := []map[string]any{{"name": "app", "image": app, "ports": []map[string]any{{"containerPort": 8080}}}}
	return map[string]any{"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": map[string]any{"containers": containers}}
}

// dryRun is what the API server would store.
func (w *world) dryRun(ctx context.Context, namespace string, object map[string]any) (*corev1.Pod, error) {
	stored := &corev1.Pod{}
	return stored, w.Do(ctx, http.MethodPost, "/api/v1/namespaces/"+namespace+"/pods?dryRun=All", object, stored)
}

// injected says what is wrong with the sidecar of a pod.
func injected(p *corev1.Pod, image string) error {
	switch {
	case len(p.Spec.InitContainers) != 1 || p.Spec.InitContainers[0].Name != sidecar:
		return fmt.Errorf("no sidecar: %v", p.Spec.InitContainers)
	case p.Spec.InitContainers[0].Image != image:
		return fmt.Errorf("sidecar of the image %s", p.Spec.InitContainers[0].Image)
	case p.Labels["postern.dev/injected"] != "true" || p.Annotations["postern.dev/status"] == "":
		return fmt.Errorf("labels %v, annotations %v", p.Labels, p.Annotations)
	}
	return nil
}

// variable is a variable of the sidecar.
func variable(p *corev1.Pod, name string) string {
	for _, c := range p.Spec.InitContainers {
		for _, e := range c.Env {
			if c.Name == sidecar && e.Name == name {
				return e.Value
			}
		}
	}
	return ""
}

func (w *world) pods(t *testing.T, namespace, selector string) []corev1.Pod {
	t.Helper()
	var list corev1.PodList
	w.Get(t, "/api/v1/namespaces/"+namespace+"/pods?labelSelector="+selector, &list)
	return list.Items
}

// replicas are the injector's pods that are not about to end.
func (w *world) replicas(t *testing.T) (live []corev1.Pod) {
	t.Helper()
	for _, p := range w.pods(t, system, "app.kubernetes.io%2Fname%3D"+name) {
		if p.DeletionTimestamp == nil {
			live = append(live, p)
		}
	}
	return live
}

func ready(p *corev1.Pod) bool {
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

// settled waits until exactly two replicas of the injector are there and ready.
func (w *world) settled(t *testing.T) (live []corev1.Pod) {
	t.Helper()
	cluster.Eventually(t, "two replicas of the injector are ready", func() error {
		live = w.replicas(t)
		if len(live) != 2 || !ready(&live[0]) || !ready(&live[1]) {
			var states []string
			for _, p := range live {
				states = append(states, fmt.Sprintf("%s %s ready=%t", p.Name, p.Status.Phase, ready(&p)))
			}
			return fmt.Errorf("there are %s", strings.Join(states, ", "))
		}
		return nil
	})
	return live
}

// rollout waits for a Deployment, and says what became of its pods if it does not get there.
func (w *world) rollout(t *testing.T, namespace, deployment string) {
	t.Helper()
	if _, err := w.TryKubectl(t, "rollout", "status", "deployment/"+deployment, "--namespace", namespace, "--timeout", "60s"); err != nil {
		for _, e := range w.k.Events(namespace, "") {
			t.Logf("%s %s/%s %s %s", e.Time.Format("15:04:05.000"), e.Pod, e.Container, e.Kind, e.Detail)
		}
		t.Log(w.Kubectl(t, "get", "pods", "-n", namespace, "-o", "jsonpath={.items[*].status}"))
		t.Fatal(err)
	}
}

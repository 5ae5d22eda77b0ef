package cluster

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Patience is how long [Eventually] waits for something that a healthy machine does in a fraction of it.
const Patience = 60 * time.Second

// Namespace makes a namespace with these labels for one test, and has it deleted at its end.
func (c *Cluster) Namespace(t testing.TB, labels map[string]string) string {
	t.Helper()
	name := "t-" + strings.ToLower(rand.Text()[:10])
	c.CreateNamespace(t, name, labels)
	return name
}

// CreateNamespace is [Cluster.Namespace] with a name of the test's choice.
func (c *Cluster) CreateNamespace(t testing.TB, name string, labels map[string]string) {
	t.Helper()
	object := map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": name, "labels": labels}}
	if err := c.Do(t.Context(), http.MethodPost, "/api/v1/namespaces", object, nil); err != nil {
		t.Fatalf("make the namespace %s: %v", name, err)
	}
	t.Cleanup(func() {
		if err := c.Do(context.Background(), http.MethodDelete, "/api/v1/namespaces/"+name, nil, nil); err != nil && !NotFound(err) {
			t.Errorf("delete the namespace %s: %v", name, err)
		}
	})
	if !c.options.Controllers {
		return
	}
	Eventually(t, "the namespace has its service account", func() error {
		return c.Do(t.Context(), http.MethodGet, "/api/v1/namespaces/"+name+"/serviceaccounts/default", nil, nil)
	})
}

// KubeconfigFor is a kubeconfig file for a service account that exists: what a pod of that account may do, a test may then do from outside.
func (c *Cluster) KubeconfigFor(t testing.TB, namespace, serviceAccount string) string {
	t.Helper()
	var answer struct{ Status struct{ Token string } }
	path := fmt.Sprintf("/api/v1/namespaces/%s/serviceaccounts/%s/token", namespace, serviceAccount)
	request := map[string]any{"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": map[string]any{}}
	if err := c.Do(t.Context(), http.MethodPost, path, request, &answer); err != nil {
		t.Fatalf("a token for %s/%s: %v", namespace, serviceAccount, err)
	}
	file := filepath.Join(t.TempDir(), "kubeconfig")
	if err := c.writeKubeconfig(file, answer.Status.Token); err != nil {
		t.Fatal(err)
	}
	return file
}

// Eventually asks until the answer is nil, and fails the test with the last answer if it never is within [Patience].
func Eventually(t testing.TB, what string, ask func() error) {
	t.Helper()
	deadline := time.Now().Add(Patience)
	for pause := 5 * time.Millisecond; ; pause = min(2*pause, 200*time.Millisecond) {
		err := ask()
		if err == nil {
			return
		}
		if time.Now().Add(pause).After(deadline) {
			t.Fatalf("%s: not within %v: %v", what, Patience, err)
		}
		time.Sleep(pause)
	}
}

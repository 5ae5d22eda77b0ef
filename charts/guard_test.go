package charts

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"

	"postern/cmd/postern-injector/e2e/cluster"
)

// guarded is the API server with the guard in force, and without the webhook: what the guard refuses is what has got around that.
var guarded = struct {
	once sync.Once
	err  error
}{}

func guard(t *testing.T) *cluster.Cluster {
	t.Helper()
	c := suite.Cluster(t)
	guarded.once.Do(func() {
		var out string
		if out, guarded.err = template(t, values, "--set-json", `sidecar.allowedImages=["mirror.example.org/*/postern@sha256:*"]`,
			"--show-only", "templates/guard.yaml"); guarded.err != nil {
			return
		}
		if _, guarded.err = c.TryApply(t, "default", out); guarded.err != nil {
			return
		}
		// The API server compiles a policy a moment after it has taken it.
		c.CreateNamespace(t, "guard-probe", nil)
		cluster.Eventually(t, "the guard is in force", func() error {
			if _, err := c.TryApply(t, "guard-probe", manifest(pod{name: "probe", labels: map[string]string{"postern.dev/inject": "true"}}), "--dry-run=server"); err == nil {
				return fmt.Errorf("it lets a naked pod pass")
			}
			if _, err := c.Command(t, "kubectl", `{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"x","labels":{"postern.dev/inject":"x"}}}`,
				"create", "--dry-run=server", "-f", "-"); err == nil {
				return fmt.Errorf("it lets a misspelt label pass")
			}
			return nil
		})
	})
	if guarded.err != nil {
		t.Fatal(guarded.err)
	}
	return c
}

// pod is one of the table; its zero value has one app and nothing of ours.
type pod struct {
	name, node          string
	labels, annotations map[string]string
	init, containers    []map[string]any
}

var (
	ask    = map[string]string{"postern.dev/inject": "true"}
	mirror = map[string]string{"kubernetes.io/config.mirror": "x"}
	status = map[string]string{"postern.dev/status": "{}"}
	other  = "registry.example.org/postern@sha256:" + strings.Repeat("d", 64)
)

func sidecar(image string) map[string]any {
	return map[string]any{"name": "postern", "image": image, "restartPolicy": "Always"}
}

func manifest(p pod) string {
	containers := p.containers
	if containers == nil {
		containers = []map[string]any{{"name": "app", "image": "app"}}
	}
	metadata := map[string]any{"name": p.name, "labels": p.labels, "annotations": p.annotations}
	text, err := json.Marshal(map[string]any{
		"apiVersion": "v1", "kind": "Pod", "metadata": metadata,
		"spec": map[string]any{"initContainers": p.init, "containers": containers, "nodeName": p.node},
	})
	if err != nil {
		panic(err) // a mistake of the table
	}
	return string(text)
}

func both(a, b map[string]string) map[string]string {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return all
}

func TestS48GuardOnCreate(t *testing.T) {
	t.Parallel()
	c := guard(t)
	init := map[string]any{"name": "fetch", "image": "fetch"}
	postern := func(change map[string]any) map[string]any {
		s := sidecar(sidecarImage)
		maps.Copy(s, change)
		return s
	}
	injected := map[string]string{"postern.dev/injected": "true"}
	spaces := map[string]string{
		"plain":    c.Namespace(t, nil),
		"enabled":  c.Namespace(t, map[string]string{"postern.dev/inject": "enabled"}),
		"required": c.Namespace(t, map[string]string{"postern.dev/inject": "required"}),
		"system":   "kube-system",
	}
	for _, tc := range []struct {
		name, space string
		pod         pod
		refused     string // a part of the message; empty: accepted
	}{
		{"nobody asked", "plain", pod{}, ""},
		{"namespace asked, pod may be skipped", "enabled", pod{}, ""},
		{"excluded namespace", "system", pod{labels: ask}, ""},
		{"opted out", "enabled", pod{labels: map[string]string{"postern.dev/inject": "false"}}, ""},
		{"injected", "plain", pod{labels: both(ask, injected), annotations: status, init: []map[string]any{sidecar(sidecarImage)}}, ""},
		{"injected before other init containers", "required", pod{annotations: status, init: []map[string]any{sidecar(sidecarImage), init}}, ""},
		{"other digest of the repository", "plain", pod{labels: ask, annotations: status, init: []map[string]any{sidecar(other)}}, ""},
		{"image of a pattern", "plain", pod{labels: ask, annotations: status, init: []map[string]any{sidecar("mirror.example.org/team/postern@sha256:" + strings.Repeat("e", 64))}}, ""},
		{"labelled and naked", "plain", pod{labels: ask}, "must have the sidecar"},
		{"required and naked", "required", pod{}, "must have the sidecar"},
		{"required has no opt-out", "required", pod{labels: map[string]string{"postern.dev/inject": "false"}}, "must have the sidecar"},
		{"mirror pod that no node made", "required", pod{node: "n", annotations: mirror}, "must have the sidecar"},
		{"sidecar by hand", "plain", pod{labels: ask, init: []map[string]any{sidecar(sidecarImage)}}, "must have the sidecar"},
		{"not first, where one must be", "plain", pod{labels: ask, annotations: status, init: []map[string]any{init, sidecar(sidecarImage)}}, "must have the sidecar"},
		{"not first", "plain", pod{annotations: status, init: []map[string]any{init, sidecar(sidecarImage)}}, "the first one"},
		{"no native sidecar", "plain", pod{annotations: status, init: []map[string]any{postern(map[string]any{"restartPolicy": nil})}}, "restartPolicy Always"},
		{"image of somebody else", "plain", pod{annotations: status, init: []map[string]any{sidecar("evil.example.org/postern@sha256:" + strings.Repeat("b", 64))}}, "not allowed: evil"},
		{"image by tag", "plain", pod{annotations: status, init: []map[string]any{sidecar("registry.example.org/postern:latest")}}, "not allowed"},
		{"image that ends alike", "plain", pod{init: []map[string]any{sidecar("evil.example.org/" + sidecarImage)}}, "not allowed"},
		{"image that begins alike", "plain", pod{init: []map[string]any{sidecar(sidecarImage + "0")}}, "not allowed"},
		{"dot that is no dot", "plain", pod{init: []map[string]any{sidecar(strings.Replace(sidecarImage, "registry.", "registry-", 1))}}, "not allowed"},
		{"pattern over a slash", "plain", pod{init: []map[string]any{sidecar("mirror.example.org/a/b/postern@sha256:" + strings.Repeat("e", 64))}}, "not allowed"},
		{"container of our name", "plain", pod{containers: []map[string]any{{"name": "postern", "image": sidecarImage}}}, "belongs to the sidecar"},
		{"injected because the namespace asked", "enabled", pod{labels: injected, annotations: status, init: []map[string]any{sidecar(sidecarImage)}}, ""},
		{"status where no webhook looks", "plain", pod{annotations: status, init: []map[string]any{sidecar(sidecarImage)}}, "nobody asked"},
		{"label where no webhook looks", "plain", pod{labels: injected, init: []map[string]any{sidecar(sidecarImage)}}, "nobody asked"},
		{"status of a pod that opts out", "enabled", pod{labels: map[string]string{"postern.dev/inject": "false"}, annotations: status, init: []map[string]any{sidecar(sidecarImage)}}, "nobody asked"},
		{"forged status", "plain", pod{annotations: status}, "has no sidecar"},
		{"forged label", "plain", pod{labels: injected}, "has no sidecar"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			tc.pod.name = "app"
			_, err := c.TryApply(t, spaces[tc.space], manifest(tc.pod), "--dry-run=server")
			verdict(t, err, tc.refused)
		})
	}
}

func verdict(t *testing.T, err error, refused string) {
	t.Helper()
	switch {
	case refused == "" && err != nil:
		t.Errorf("refused: %v", err)
	case refused != "" && err == nil:
		t.Error("accepted")
	case refused != "" && (!strings.Contains(err.Error(), refused) || !strings.Contains(err.Error(), "ValidatingAdmissionPolicy '"+chart+"'")):
		t.Errorf("want %q of the guard: %v", refused, err)
	}
}

func TestS48GuardOnUpdate(t *testing.T) {
	t.Parallel()
	c := guard(t)
	const image = `{"spec":{"initContainers":[{"name":"postern","image":%q}]}}`
	ours := pod{labels: both(ask, map[string]string{"postern.dev/injected": "true"}), annotations: status, init: []map[string]any{sidecar(sidecarImage)}}
	for _, tc := range []struct {
		name    string
		pod     pod
		patch   string // strategic merge
		sub     string // of the subresource
		refused string
	}{
		{"other labels", ours, `{"metadata":{"labels":{"a":"b"},"annotations":{"c":"d"},"finalizers":["example.org/f"]}}`, "", ""},
		{"sidecar swapped", ours, fmt.Sprintf(image, "evil.example.org/postern@sha256:"+strings.Repeat("b", 64)), "", "not allowed: evil"},
		{"sidecar swapped and unlabelled at once", ours, `{"metadata":{"labels":{"postern.dev/inject":null}},"spec":{"initContainers":[{"name":"postern","image":"evil"}]}}`, "", "not allowed"},
		{"sidecar of another allowed digest", ours, fmt.Sprintf(image, other), "", ""},
		{"app's image", ours, `{"spec":{"containers":[{"name":"app","image":"app2"}]}}`, "", ""},
		{"status changed", ours, `{"metadata":{"annotations":{"postern.dev/status":"{\"x\":1}"}}}`, "", "stay as they are"},
		{"status removed", ours, `{"metadata":{"annotations":{"postern.dev/status":null}}}`, "", "stay as they are"},
		{"status changed the other way", ours, `{"metadata":{"annotations":{"postern.dev/status":"x"}}}`, "status", "stay as they are"},
		{"label of the NetworkPolicy removed", ours, `{"metadata":{"labels":{"postern.dev/injected":null}}}`, "", "stay as they are"},
		{"status of the kubelet", ours, `{"status":{"phase":"Running"}}`, "status", ""},
		{"status forged later", pod{}, `{"metadata":{"annotations":{"postern.dev/status":"{}"}}}`, "", "stay as they are"},
		{"label forged later", pod{}, `{"metadata":{"labels":{"postern.dev/injected":"true"}}}`, "", "stay as they are"},
		{"asked too late", pod{}, `{"metadata":{"labels":{"postern.dev/inject":"true"}}}`, "", "already there"},
		{"nothing of ours", pod{}, `{"metadata":{"labels":{"a":"b"}}}`, "", ""},
		{"debugging the app", ours, `{"spec":{"ephemeralContainers":[{"name":"d","image":"d","targetContainerName":"app"}]}}`, "ephemeralcontainers", ""},
		{"debugging the sidecar", ours, `{"spec":{"ephemeralContainers":[{"name":"d","image":"d","targetContainerName":"postern"}]}}`, "ephemeralcontainers", "could read its keys"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			space := c.Namespace(t, nil)
			tc.pod.name = "app"
			c.Apply(t, space, manifest(tc.pod))
			args := []string{"patch", "pod", "app", "--namespace", space, "--patch", tc.patch}
			if tc.sub != "" {
				args = append(args, "--subresource="+tc.sub)
			}
			_, err := c.TryKubectl(t, args...)
			verdict(t, err, tc.refused)
		})
	}
}

// A pod from before the guard, or before its images were changed, must stay deletable: its finalizers are removed by updates.
func TestGuardLeavesWhatIsThere(t *testing.T) {
	t.Parallel()
	c := guard(t)
	space := c.Namespace(t, nil)
	c.Apply(t, space, manifest(pod{name: "app"}))
	c.Kubectl(t, "label", "namespace", space, "postern.dev/inject=required")
	cluster.Eventually(t, "the namespace requires the sidecar", func() error {
		if _, err := c.TryApply(t, space, manifest(pod{name: "late"}), "--dry-run=server"); err == nil {
			return fmt.Errorf("a naked pod passes")
		}
		return nil
	})
	c.Kubectl(t, "label", "pod", "app", "--namespace", space, "a=b")
	c.Kubectl(t, "delete", "pod", "app", "--namespace", space, "--wait=false")
}

// What a kubelet runs from its own files meets no webhook either, and is only shown.
func TestGuardLeavesMirrorPodsOfNodes(t *testing.T) {
	t.Parallel()
	c := guard(t)
	space := c.Namespace(t, map[string]string{"postern.dev/inject": "required"})
	c.Kubectl(t, "create", "role", "pods", "--namespace", space, "--verb=get,create,patch", "--resource=pods")
	c.Kubectl(t, "create", "rolebinding", "pods", "--namespace", space, "--role=pods", "--group=system:nodes")
	_, err := c.TryApply(t, space, manifest(pod{name: "static", node: "n", annotations: mirror}), "--as=system:node:n", "--as-group=system:nodes")
	verdict(t, err, "")
}

func TestGuardOfNamespaces(t *testing.T) {
	t.Parallel()
	c := guard(t)
	for value, refused := range map[string]bool{"enabled": false, "required": false, "disabled": false, "Required": true, "true": true, "": true} {
		text := fmt.Sprintf(`{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"n","labels":{"postern.dev/inject":%q}}}`, value)
		_, err := c.Command(t, "kubectl", text, "create", "--dry-run=server", "-f", "-")
		if (err != nil) != refused || refused && !strings.Contains(err.Error(), "must be enabled, required or disabled") {
			t.Errorf("%q: %v", value, err)
		}
	}
}

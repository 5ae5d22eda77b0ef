package inject_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"postern/cmd/postern-injector/inject"
)

const testImage = "registry.example.org/postern@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

func settings() *inject.Settings {
	return &inject.Settings{Image: testImage, AllowedImages: []string{"registry.example.org/beta/postern@*"}}
}

// sample is a labelled web app with a policy; changes are made to its JSON as a tree.
func sample(t testing.TB, changes ...func(pod, meta, spec, app map[string]any)) []byte {
	t.Helper()
	const text = `{"apiVersion":"v1","kind":"Pod","metadata":{"generateName":"web-","labels":{"app":"web","postern.dev/inject":"true"},
		"annotations":{"postern.dev/policy":"web-policy"}},
		"spec":{"containers":[{"name":"web","image":"web:1","ports":[{"name":"http","containerPort":8080}]}]}}`
	var pod map[string]any
	if err := json.Unmarshal([]byte(text), &pod); err != nil {
		t.Fatal(err)
	}
	meta, spec := pod["metadata"].(map[string]any), pod["spec"].(map[string]any)
	app := spec["containers"].([]any)[0].(map[string]any)
	for _, change := range changes {
		change(pod, meta, spec, app)
	}
	data, err := json.Marshal(pod)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

type tree = map[string]any

// annotate sets annotations in pairs of short name and value; the value "-" removes one.
func annotate(pairs ...string) func(pod, meta, spec, app map[string]any) {
	return func(_, meta, _, _ map[string]any) {
		all := meta["annotations"].(map[string]any)
		for n := 0; n < len(pairs); n += 2 {
			key := pairs[n]
			if !strings.Contains(key, "/") {
				key = inject.Prefix + key
			}
			if all[key] = pairs[n+1]; pairs[n+1] == "-" {
				delete(all, key)
			}
		}
	}
}

func label(key, value string) func(pod, meta, spec, app map[string]any) {
	return func(_, meta, _, _ map[string]any) {
		labels := meta["labels"].(map[string]any)
		if labels[key] = value; value == "-" {
			delete(labels, key)
		}
	}
}

func inSpec(key string, value any) func(pod, meta, spec, app map[string]any) {
	return func(_, _, spec, _ map[string]any) { spec[key] = value }
}

func inApp(key string, value any) func(pod, meta, spec, app map[string]any) {
	return func(_, _, _, app map[string]any) { app[key] = value }
}

func container(name string, ports ...any) tree {
	return tree{"name": name, "image": name + ":1", "ports": ports}
}

func port(number int, rest ...string) tree {
	p := tree{"containerPort": number}
	for n := 0; n < len(rest); n += 2 {
		p[rest[n]] = rest[n+1]
	}
	return p
}

// mustInject returns the pod with the sidecar, read by Kubernetes' types, and the raw text.
func mustInject(t testing.TB, pod []byte, req inject.Request, s *inject.Settings) (*corev1.Pod, []byte, inject.Result) {
	t.Helper()
	if req.Asked == "" {
		req.Asked = inject.ByPod
	}
	result, err := inject.Inject(pod, req, s)
	if err != nil {
		t.Fatalf("refused: %v", err)
	}
	raw, err := apply(pod, result.Patch)
	if err != nil {
		t.Fatalf("the patch does not apply: %v", err)
	}
	var out corev1.Pod
	if err := json.Unmarshal(raw, &out); err != nil {
		t.Fatal(err)
	}
	return &out, raw, result
}

func refusal(t testing.TB, pod []byte, req inject.Request, s *inject.Settings) *inject.Refusal {
	t.Helper()
	if req.Asked == "" {
		req.Asked = inject.ByPod
	}
	result, err := inject.Inject(pod, req, s)
	refused, ok := errors.AsType[*inject.Refusal](err)
	if !ok {
		t.Fatalf("not refused: %v, %q", err, result.Reason)
	}
	if len(result.Patch) > 0 {
		t.Fatal("a refusal with a patch")
	}
	return refused
}

func environment(c corev1.Container) map[string]string {
	out := map[string]string{}
	for _, v := range c.Env {
		if out[v.Name] = v.Value; v.ValueFrom != nil && v.ValueFrom.FieldRef != nil {
			out[v.Name] = "field " + v.ValueFrom.FieldRef.FieldPath
		}
	}
	return out
}

package inject_test

import (
	"encoding/json"
	"errors"
	"testing"

	"pgregory.net/rapid"

	"postern/cmd/postern-injector/inject"
)

// Pods of every shape that the API server lets through, with parents that are absent, null or empty, and with what nobody knows.
func TestAnyPodIsInjectedSoundly(t *testing.T) {
	t.Parallel()
	injected := 0
	rapid.Check(t, func(r *rapid.T) {
		pod, err := json.Marshal(anyPod(r))
		if err != nil {
			r.Fatal(err)
		}
		req := requests()[rapid.IntRange(0, 2).Draw(r, "asked")]
		result, err := inject.Inject(pod, req, settings())
		if err != nil {
			if refused, ok := errors.AsType[*inject.Refusal](err); !ok || len(refused.Problems) == 0 {
				r.Fatal(err)
			}
			return
		}
		if len(result.Patch) > 0 {
			injected++
			mustBeSound(t, pod, req, result)
		}
	})
	if least := map[bool]int{false: 10, true: 1}[testing.Short()]; injected < least { // rapid makes a fifth of the pods with -short
		t.Errorf("only %d pods got the sidecar: the others say nothing", injected)
	}
}

func anyPod(r *rapid.T) tree {
	meta := tree{"namespace": "a"}
	labels := tree{"app": "a", "postern.dev/inject": "true"}
	perhaps(r, labels, "postern.dev/injected", "true")
	annotations := tree{}
	for key, values := range map[string][]any{
		"policy": {"p", "p/k"}, "tokens": {"tokenx", "entra_id,idporten"}, "secrets": {"s"}, "app-port": {"80", "http", "none"}, "app-address": {"loopback"},
		"resources": {"{limits: {cpu: 1}}"}, "require-auth": {"true", "false"}, "log-level": {"warn"}, "proxy-port": {"9000"},
	} {
		if rapid.Bool().Draw(r, key) {
			annotations[inject.Prefix+key] = rapid.SampledFrom(values).Draw(r, key+" value")
		}
	}
	perhaps(r, annotations, "kubectl.kubernetes.io/default-container", "c0")
	shape(r, meta, "labels", labels)
	shape(r, meta, "annotations", annotations)
	spec := tree{"containers": anyContainers(r, "c", 1)}
	shape(r, spec, "initContainers", anyContainers(r, "i", 0))
	shape(r, spec, "volumes", []any{tree{"name": "v", "emptyDir": tree{}}})
	perhaps(r, spec, "automountServiceAccountToken", false)
	perhaps(r, spec, "restartPolicy", "Never")
	perhaps(r, spec, "terminationGracePeriodSeconds", 0)
	perhaps(r, spec, "unknown", tree{"a": []any{nil, 1, tree{}}})
	return tree{"metadata": meta, "spec": spec, "unknown": "b"}
}

func anyContainers(r *rapid.T, prefix string, least int) []any {
	out := []any{}
	for n := range rapid.IntRange(least, 4).Draw(r, prefix) {
		name := prefix + string(rune('0'+n))
		c := tree{"name": name, "unknown": n}
		shape(r, c, "env", []any{tree{"name": "A", "value": "b"}, tree{"name": "NAIS_TOKEN_ENDPOINT", "valueFrom": tree{"fieldRef": tree{"fieldPath": "status.hostIP"}}}})
		if rapid.Bool().Draw(r, name+" port") {
			c["ports"] = []any{port(rapid.SampledFrom([]int{80, 8080, 7564}).Draw(r, name+" number"), "name", "http")}
		}
		if rapid.Bool().Draw(r, name+" resources") {
			c["resources"] = tree{"limits": tree{"cpu": "1", "memory": "1Gi"}}
		}
		perhaps(r, c, "restartPolicy", "Always")
		out = append(out, c)
	}
	return out
}

func perhaps(r *rapid.T, object tree, name string, value any) {
	if rapid.Bool().Draw(r, name) {
		object[name] = value
	}
}

// shape is a parent: mostly as it is, else absent, null or empty.
func shape(r *rapid.T, object tree, name string, value any) {
	switch rapid.IntRange(0, 7).Draw(r, name) {
	case 0:
	case 1:
		object[name] = nil
	case 2:
		if _, list := value.([]any); list {
			object[name] = []any{}
		} else {
			object[name] = tree{}
		}
	default:
		object[name] = value
	}
}

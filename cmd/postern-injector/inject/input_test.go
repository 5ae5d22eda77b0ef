package inject_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"postern/cmd/postern-injector/inject"
)

// What is no pod, or could be read in two ways, is refused and never a panic.
func TestMalformedPodsAreRefused(t *testing.T) {
	t.Parallel()
	pod := string(sample(t))
	for name, text := range map[string]string{
		"empty":                            ``,
		"no JSON":                          `{`,
		"text after the end":               pod + `{}`,
		"null":                             `null`,
		"list":                             `[]`,
		"text":                             `"pod"`,
		"another kind":                     `{"kind":"Service","apiVersion":"v1"}`,
		"another version":                  `{"kind":"Pod","apiVersion":"v2","spec":{"containers":[{"name":"a"}]}}`,
		"no spec":                          `{"metadata":{"labels":{"postern.dev/inject":"true"}}}`,
		"spec null":                        `{"spec":null}`,
		"no containers":                    `{"spec":{"containers":[]}}`,
		"container null":                   `{"spec":{"containers":[null]}}`,
		"init container without name":      `{"spec":{"containers":[{"name":"a"}],"initContainers":[{}]}}`,
		"containers of another type":       `{"spec":{"containers":{}}}`,
		"label of another type":            `{"metadata":{"labels":{"postern.dev/inject":true}},"spec":{"containers":[{"name":"a"}]}}`,
		"port of another type":             `{"spec":{"containers":[{"name":"a","ports":[{"containerPort":"80"}]}]}}`,
		"port too large":                   `{"spec":{"containers":[{"name":"a","ports":[{"containerPort":99999999999}]}]}}`,
		"annotation twice":                 strings.Replace(pod, `"annotations":{`, `"annotations":{"postern.dev/policy":"other",`, 1),
		"label twice":                      strings.Replace(pod, `"labels":{`, `"labels":{"postern.dev/inject":"false",`, 1),
		"label twice, once escaped":        strings.Replace(pod, `"labels":{`, `"labels":{"postern.dev\/injec\u0074":"false",`, 1),
		"containers twice":                 strings.Replace(pod, `"spec":{`, `"spec":{"containers":[{"name":"b"}],`, 1),
		"twice in a field nobody knows":    strings.Replace(pod, `"spec":{`, `"spec":{"x":{"a":1,"a":2},`, 1),
		"deep":                             strings.Replace(pod, `"spec":{`, `"spec":{"x":`+strings.Repeat("[", 200)+strings.Repeat("]", 200)+`,`, 1),
		"deeper than any stack":            strings.Repeat(`{"a":`, 1<<20),
		"giant":                            strings.Replace(pod, `"spec":{`, `"spec":{"x":"`+strings.Repeat("a", 8<<20)+`",`, 1),
		"bad UTF-16 and a misplaced comma": `{"a":"\ud800",}`,
		"grace period of another type":     `{"spec":{"terminationGracePeriodSeconds":"x","containers":[{"name":"a"}]}}`,
		"resources of another type":        `{"spec":{"containers":[{"name":"a","resources":{"limits":{"cpu":{}}}}]}}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, asked := range []inject.Asked{inject.ByPod, inject.ByNamespace, inject.ByRequired} {
				r := refusal(t, []byte(text), inject.Request{Asked: asked}, settings())
				if !slices.Equal(r.Codes(), []string{"invalid_pod"}) || len(r.Error()) > 1000 {
					t.Errorf("%v: %s", r.Codes(), r)
				}
			}
		})
	}
}

// As the API server reads: a name in another case is another field, which it drops.
func TestFieldsInAnotherCaseAreNotRead(t *testing.T) {
	t.Parallel()
	pod := bytes.Replace(sample(t), []byte(`"spec":{`), []byte(`"Spec":{"hostNetwork":true},"spec":{"HostNetwork":true,"InitContainers":[{"name":"postern"}],`), 1)
	_, raw, _ := mustInject(t, pod, inject.Request{}, settings())
	if !bytes.Contains(raw, []byte(`"HostNetwork":true`)) {
		t.Error("a field that nobody knows was lost")
	}
}

func TestAbsentParentsAreCreated(t *testing.T) {
	t.Parallel()
	defaults := map[string]string{"policy": "p", "tokens": "tokenx", "secrets": "s"}
	for name, pod := range map[string]string{
		"no metadata":    `{"spec":{"containers":[{"name":"a","ports":[{"containerPort":80}]}]}}`,
		"metadata null":  `{"metadata":null,"spec":{"containers":[{"name":"a","ports":[{"containerPort":80}]}]}}`,
		"empty metadata": `{"metadata":{},"spec":{"containers":[{"name":"a","ports":[{"containerPort":80}]}]}}`,
		"nulls": `{"metadata":{"labels":null,"annotations":null},"spec":{"initContainers":null,"volumes":null,
			"containers":[{"name":"a","env":null,"ports":[{"containerPort":80}]}]}}`,
		"empty": `{"metadata":{"labels":{},"annotations":{}},"spec":{"initContainers":[],"volumes":[],"containers":[{"name":"a","env":[],"ports":[{"containerPort":80}]}]}}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			req := inject.Request{Asked: inject.ByRequired, Defaults: defaults}
			out, raw, _ := mustInject(t, []byte(pod), req, settings())
			if out.Labels[inject.LabelInjected] != "true" || len(out.Spec.InitContainers) != 1 || len(out.Spec.Volumes) != 2 || len(out.Spec.Containers[0].Env) != 3 {
				t.Errorf("%s", raw)
			}
			if _, _, again := mustInject(t, raw, req, settings()); len(again.Patch) > 0 {
				t.Errorf("again: %+v", again.Patch)
			}
		})
	}
}

func TestMistakesOfTheCallerAreNoRefusals(t *testing.T) {
	t.Parallel()
	if _, err := inject.Inject(sample(t), inject.Request{Asked: inject.ByPod}, nil); err == nil {
		t.Error("no settings were accepted")
	}
	if result, err := inject.Inject(sample(t), inject.Request{}, settings()); err == nil || len(result.Patch) > 0 {
		t.Error("a request of nobody was accepted")
	}
}

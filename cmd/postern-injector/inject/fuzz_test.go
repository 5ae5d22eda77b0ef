package inject_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"postern/cmd/postern-injector/inject"
)

// owned are the places that the injector may write to.
var owned = regexp.MustCompile(`^(/metadata|/metadata/labels(/postern\.dev~1injected)?|/metadata/annotations(/postern\.dev~1status|/kubectl\.kubernetes\.io~1default-container)?|` +
	`/spec/volumes(/-)?|/spec/initContainers(/0)?|/spec/(initC|c)ontainers/[0-9]+/env(/-)?)$`)

var tested = regexp.MustCompile(`^/spec/(initC|c)ontainers/[0-9]+/name$`)

func requests() []inject.Request {
	defaults := map[string]string{"policy": "p", "tokens": "entra_id,maskinporten", "secrets": "s", "app-port": "8080"}
	return []inject.Request{{Asked: inject.ByPod}, {Asked: inject.ByNamespace, Defaults: defaults}, {Asked: inject.ByRequired, Namespace: "team-a", Defaults: defaults}}
}

// Row 83 of peers.md. Whatever the pod is: no panic; only what the injector owns is written; nothing that was there is lost; one sidecar, in front; and a second
// call finds nothing to do.
func FuzzInject(f *testing.F) {
	files, err := filepath.Glob("testdata/pods/*.json")
	if err != nil || len(files) == 0 {
		f.Fatal(files, err)
	}
	for _, file := range files {
		pod, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		for n := range requests() {
			f.Add(pod, uint8(n))
		}
	}
	f.Add(sample(f, annotate("provider", "openid", "ingress", "https://a.example.org", "secrets", "s")), uint8(0))
	f.Add([]byte(`{"metadata":null,"spec":{"containers":[{"name":"a"}],"initContainers":null}}`), uint8(1))
	f.Fuzz(func(t *testing.T, pod []byte, which uint8) {
		req := requests()[int(which)%len(requests())]
		result, err := inject.Inject(pod, req, settings())
		if err != nil {
			refused, ok := errors.AsType[*inject.Refusal](err)
			if !ok || len(refused.Problems) == 0 || len(result.Patch) > 0 {
				t.Fatalf("%v, %+v", err, result)
			}
			return
		}
		if len(result.Patch) > 0 {
			mustBeSound(t, pod, req, result)
		}
	})
}

func mustBeSound(t *testing.T, pod []byte, req inject.Request, result inject.Result) {
	t.Helper()
	for _, o := range result.Patch {
		if !(o.Op == "add" && owned.MatchString(o.Path) || o.Op == "test" && tested.MatchString(o.Path)) {
			t.Errorf("%s %s", o.Op, o.Path)
		}
	}
	raw, err := apply(pod, result.Patch)
	if err != nil {
		t.Fatalf("the patch does not apply: %v", err)
	}
	before, after := mustDecode(t, pod), mustDecode(t, raw)
	without, sidecars := takeSidecar(after)
	if result.Reason == inject.ReasonInjected && sidecars != 1 {
		t.Errorf("%d sidecars in front", sidecars)
	}
	if result.Reason == inject.ReasonInjected && !survives(before, without) {
		t.Errorf("something was lost:\n%s\n%s", pod, raw)
	}
	if strings.Count(string(raw), `"name":"postern"`) < 1 {
		t.Error("no sidecar")
	}
	again, err := inject.Inject(raw, req, settings())
	if err != nil || len(again.Patch) > 0 || again.Reason != inject.ReasonAlreadyInjected {
		t.Errorf("the second time: %+v, %v", again, err)
	}
}

func mustDecode(t *testing.T, data []byte) any {
	t.Helper()
	v, err := decode(data)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// takeSidecar removes the sidecar from the front, so that places are those of before.
func takeSidecar(pod any) (any, int) {
	spec, _ := pod.(tree)["spec"].(tree)
	list, _ := spec["initContainers"].([]any)
	if len(list) == 0 {
		return pod, 0
	}
	if first, _ := list[0].(tree); first["name"] != inject.Container {
		return pod, 0
	}
	count := 0
	for _, c := range list {
		if c, _ := c.(tree); c["name"] == inject.Container {
			count++
		}
	}
	spec["initContainers"] = list[1:]
	return pod, count
}

// survives says whether all of before is in after, at its place. Null is nothing, wherever an object or a list may stand.
func survives(before, after any) bool {
	switch b := before.(type) {
	case nil:
		return true
	case tree:
		a, ok := after.(tree)
		for name, value := range b {
			there, has := a[name]
			if !ok || !has || !survives(value, there) {
				return false
			}
		}
		return ok
	case []any:
		a, ok := after.([]any)
		if !ok || len(a) < len(b) {
			return false
		}
		for n := range b {
			if !survives(b[n], a[n]) {
				return false
			}
		}
		return true
	}
	return reflect.DeepEqual(before, after)
}

// Any annotation of ours with any value: a sidecar whose environment says nothing that was not said, or a refusal.
func FuzzAnnotations(f *testing.F) {
	for _, pair := range [][2]string{
		{"app-port", "http"},
		{"app-port", "7564"},
		{"policy", "p/k.yaml"},
		{"resources", "{limits: {cpu: 1}}"},
		{"resources", "&a [*a]"},
		{"ingress", "https://a.example.org"},
		{"secrets", "a,b"},
		{"tokens", "tokenx"},
		{"egress-routes", "[{name: a}]"},
		{"shutdown-graceful-period", "1s"},
		{"image", testImage},
		{"locale", "$(A)"},
		{"ignore-paths", "/{a,"},
		{"identity-claims", "X-A=b"},
		{"status", "{}"},
		{"proxy-port", "9000"},
		{"upstream-tokens", "- header: a"},
	} {
		f.Add(pair[0], pair[1])
	}
	f.Fuzz(func(t *testing.T, key, value string) {
		pod := sample(t, annotate("tokens", "tokenx", "secrets", "s", key, value))
		result, err := inject.Inject(pod, inject.Request{Asked: inject.ByPod}, settings())
		if err != nil {
			if _, ok := errors.AsType[*inject.Refusal](err); !ok {
				t.Fatal(err)
			}
			return
		}
		mustBeSound(t, pod, inject.Request{Asked: inject.ByPod}, result)
	})
}

// FuzzSettings: what is accepted can be used, and nothing panics.
func FuzzSettings(f *testing.F) {
	for _, text := range []string{
		"image: " + testImage, "image: " + testImage + "\ndefaults: {ingress: 'https://a'}", "{", "a: &a [*a]", "image: {}", "env: []", "resources: {limits: {cpu: 1e400}}",
		"image: " + testImage + "\nenv: {POSTERN_SSO_ENABLED: 'true'}\nsecrets: [a]",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := inject.ReadSettings(text)
		if err != nil {
			if _, ok := errors.AsType[*inject.SettingsError](err); !ok || err.Error() == "" {
				t.Fatal(err)
			}
			return
		}
		if _, err := json.Marshal(s); err != nil {
			t.Fatal(err)
		}
		if _, err := inject.Inject(sample(t), inject.Request{Asked: inject.ByPod}, s); err != nil {
			if _, ok := errors.AsType[*inject.Refusal](err); !ok {
				t.Fatal(err)
			}
		}
	})
}

// BenchmarkInject is one call for a web app with login, a policy and tokens.
func BenchmarkInject(b *testing.B) {
	pod, err := os.ReadFile("testdata/pods/deployment.json")
	if err != nil {
		b.Fatal(err)
	}
	s, err := inject.ReadSettings([]byte("image: " + testImage))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := inject.Inject(pod, inject.Request{Asked: inject.ByPod}, s); err != nil {
			b.Fatal(err)
		}
	}
}

package check

import (
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

func TestReadTakesEveryForm(t *testing.T) {
	t.Parallel()
	asJSON := func(document string) string {
		var v any
		if err := yaml.Unmarshal([]byte(document), &v); err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	pod, svc := asJSON(injected()), asJSON(service())
	bare := strings.NewReplacer(`"kind":"Pod",`, "", `"apiVersion":"v1",`, "").Replace(pod)
	for name, text := range map[string]string{
		"one JSON object after the other":    pod + "\n" + svc,
		"a List":                             `{"apiVersion":"v1","kind":"List","items":[` + pod + "," + svc + "]}",
		"a List in a List":                   `{"apiVersion":"v1","kind":"List","items":[{"apiVersion":"v1","kind":"List","items":[` + pod + "," + svc + "]}]}",
		"a PodList, whose items say no kind": `{"apiVersion":"v1","kind":"PodList","items":[` + bare + "]}" + svc,
		"YAML documents":                     "---\n" + injected() + "---\n---\n" + service() + "---\n",
		"a List as YAML":                     "kind: List\napiVersion: v1\nitems: [" + pod + ", " + svc + "]",
		"kinds that say nothing": pod + svc + `{"apiVersion":"v1","kind":"ConfigMap","data":3}{"apiVersion":"serving.knative.dev/v1","kind":"Service","spec":3}` +
			`{"apiVersion":"crd.projectcalico.org/v1","kind":"NetworkPolicy","spec":[]}`,
	} {
		objects, err := Read(strings.NewReader(text), "")
		if err != nil || len(objects.Pods) != 1 || len(objects.Services) != 1 || len(objects.Policies) != 0 {
			t.Errorf("%s: %+v, %v", name, objects, err)
			continue
		}
		if p := objects.Pods[0]; p.Namespace != "shop" || len(p.Spec.InitContainers) != 1 {
			t.Errorf("%s: pod %+v", name, p)
		}
	}
}

func TestReadRefuses(t *testing.T) {
	t.Parallel()
	bomb := "a: &a [x,x,x,x,x,x,x,x,x]\n"
	for c := 'b'; c < 'k'; c++ {
		bomb += string(c) + ": &" + string(c) + " [" + strings.Repeat("*"+string(c-1)+",", 9) + "]\n"
	}
	const list = `{"apiVersion":"v1","kind":"List","items":[`
	for name, text := range map[string]string{
		"nothing":              "",
		"spaces":               " \n \n",
		"an empty document":    "---\n---\n",
		"half of an object":    `{"apiVersion":"v1","kind":"Pod"`,
		"text":                 "hello",
		"a number":             "5",
		"no kind":              `{"apiVersion":"v1"}`,
		"no version":           `{"kind":"Pod"}`,
		"an item without kind": list + `{"metadata":{}}]}`,
		"items that are text":  `{"apiVersion":"v1","kind":"List","items":"x"}`,
		"an item that is null": list + `null]}`,
		"a pod of other form":  `{"apiVersion":"v1","kind":"Pod","spec":{"containers":"x"}}`,
		"a port that is none":  `{"apiVersion":"v1","kind":"Service","spec":{"ports":[{"port":"x"}]}}`,
		"a port too big":       `{"apiVersion":"v1","kind":"Service","spec":{"ports":[{"port":99999999999}]}}`,
		"more after the end":   `{"apiVersion":"v1","kind":"List","items":[]} x`,
		"lists without end":    strings.Repeat(list, 50) + strings.Repeat("]}", 50),
		"deep nesting":         strings.Repeat(`{"apiVersion":`, 20000),
		"deep YAML":            strings.Repeat("[", 20000),
		"an alias bomb":        bomb,
		"a key that is a map":  "apiVersion: v1\nkind: Pod\n{a: b}: c\n",
	} {
		if objects, err := Read(strings.NewReader(text), ""); err == nil || objects != nil {
			t.Errorf("%s: %+v, no error", name, objects)
		}
	}
	if objects, err := Read(strings.NewReader(list+"]}"), ""); err != nil || len(objects.Pods) != 0 {
		t.Errorf("an empty namespace is none: %v", err)
	}
}

// repeat is the same text again and again.
type repeat struct {
	head, text string
	read       int
}

func (r *repeat) Read(p []byte) (n int, _ error) {
	if r.read == 0 {
		n = copy(p, r.head)
	}
	for n < len(p) {
		n += copy(p[n:], r.text[max(0, r.read+n-len(r.head))%len(r.text):])
	}
	r.read += n
	return n, nil
}

func TestReadIsBounded(t *testing.T) {
	t.Parallel()
	for name, in := range map[string]*repeat{
		"YAML without end":    {head: "a: b\n", text: "# comment\n"},
		"objects without end": {text: `{"apiVersion":"v1","kind":"X"}`},
	} {
		if _, err := Read(in, ""); !errors.Is(err, ErrTooBig) {
			t.Errorf("%s: %v", name, err)
		}
		if in.read > maxInput+1<<20 {
			t.Errorf("%s: %d bytes were read", name, in.read)
		}
	}
	broken := io.MultiReader(strings.NewReader(`{"apiVersion":"v1","kind":"List","items":[]}`), brokenPipe{})
	if _, err := Read(broken, ""); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("an input that breaks off: %v", err)
	}
}

type brokenPipe struct{}

func (brokenPipe) Read([]byte) (int, error) { return 0, io.ErrClosedPipe }

func TestNamespaceOfThoseThatNameNone(t *testing.T) {
	t.Parallel()
	text := edit(injected(), "namespace: shop", "x: y") + "---\n" + service() + "---\n" + edit(deployment(), ", namespace: shop", "")
	objects, err := Read(strings.NewReader(text), "team")
	if err != nil {
		t.Fatal(err)
	}
	if p, s, w := objects.Pods[0].Namespace, objects.Services[0].Namespace, objects.Workloads[0].Meta.Namespace; p != "team" || s != "shop" || w != "team" {
		t.Errorf("namespaces %q %q %q", p, s, w)
	}
}

func FuzzS05Findings(f *testing.F) {
	all := []string{
		injected(), service(), service("targetPort: 7564", "targetPort: http"), slice(), ingress(), deployment(), sidecarOnly,
		rules("p", "{from: [{ipBlock: {cidr: 0.0.0.0/0}}], ports: [{port: http}, {port: 1, endPort: 9}]}"),
	}
	for _, one := range all {
		f.Add(one)
	}
	f.Add(strings.Join(all, "\n---\n"))
	f.Add(`{"apiVersion":"v1","kind":"List","items":[{"apiVersion":"v1","kind":"Pod","metadata":{"labels":{"postern.dev/inject":"true"}}}]}`)
	f.Fuzz(func(t *testing.T, text string) {
		objects, err := Read(strings.NewReader(text), "x")
		if err != nil {
			return
		}
		found, err := objects.Findings(t.Context(), Settings{Images: []string{"[", "a*"}})
		if err != nil {
			t.Fatal(err)
		}
		for _, finding := range found {
			if line := finding.String(); strings.ContainsAny(line, "\n\r\x1b") || finding.Fix == "" || finding.Code == "" {
				t.Fatalf("%q", line)
			}
		}
	})
}

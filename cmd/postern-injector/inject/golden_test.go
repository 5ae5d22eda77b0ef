package inject_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"postern/cmd/postern-injector/inject"
)

var update = flag.Bool("update", false, "write the golden files and the README anew")

// Pods as they come from controllers and other webhooks: testdata/pods/NAME.json becomes NAME.golden, the warnings, the patch and the pod.
func TestGoldenPods(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/pods/*.json")
	if err != nil || len(files) < 8 {
		t.Fatalf("%d pods, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".json"), func(t *testing.T) {
			t.Parallel()
			pod, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			req := inject.Request{Namespace: "team-a", Asked: inject.ByPod}
			_, raw, result := mustInject(t, pod, req, settings())
			got := pretty(t, tree{"reason": result.Reason, "warnings": result.Warnings, "patch": result.Patch, "pod": json.RawMessage(raw)})
			golden := strings.TrimSuffix(file, ".json") + ".golden"
			if *update {
				if err := os.WriteFile(golden, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Errorf("%s is another now (`go test . -run TestGoldenPods -update` writes it anew)\n%s", golden, diff)
			}
			if _, _, again := mustInject(t, raw, req, settings()); len(again.Patch) > 0 {
				t.Errorf("injected twice: %+v", again.Patch)
			}
		})
	}
}

func pretty(t testing.TB, v any) []byte {
	t.Helper()
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

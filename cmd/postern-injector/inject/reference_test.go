package inject_test

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"postern/cmd/postern-injector/inject"
)

func TestReadmeIsWhatTheCodeSays(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	if err := inject.Reference(&b); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile("README.md", b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(b.String(), string(have)); diff != "" {
		t.Errorf("`go test . -run TestReadme -update` writes it anew\n%s", diff)
	}
}

// The example of the README, word for word.
func TestReadmeExampleIsInjected(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(readme), "```yaml\n")
	example, _, ok := strings.Cut(rest, "```")
	var template struct {
		Metadata struct{ Labels, Annotations map[string]string }
	}
	if err := yaml.Unmarshal([]byte(example), &template); err != nil || !ok {
		t.Fatalf("%v: %s", err, example)
	}
	pod := sample(t, func(_, meta, _, _ tree) {
		meta["labels"], meta["annotations"] = template.Metadata.Labels, template.Metadata.Annotations
	})
	if _, _, result := mustInject(t, pod, inject.Request{}, settings()); len(result.Warnings) > 0 {
		t.Errorf("%q", result.Warnings)
	}
}

package config

import (
	"bytes"
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write README.md anew")

// TestReference compares README.md with the table of options. `go test ./config -run TestReference -update` writes it anew.
func TestReference(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	Reference(&b)
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
		t.Errorf("README.md is not what the options say; `go test ./config -run TestReference -update` writes it anew\n%s", diff)
	}
	for _, o := range newTable(&Config{}).options {
		if !strings.Contains(b.String(), "| `"+o.name+"`") {
			t.Errorf("%s is not in the reference", o.name)
		}
	}
}

// TestReferenceExampleIsValid loads the example of the introduction.
func TestReferenceExampleIsValid(t *testing.T) {
	t.Parallel()
	_, rest, _ := strings.Cut(intro, "```yaml\n")
	example, _, ok := strings.Cut(rest, "```")
	if !ok {
		t.Fatal("the introduction has no example")
	}
	w := file(example)
	w.files["/run/secrets/oidc/client-secret"] = "x"
	if loaded := w.load(t); len(loaded.Warnings) > 0 || !loaded.Config.LoginEnabled() {
		t.Errorf("warnings %q", loaded.Warnings)
	}
}

package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// proxy/policy/examples.md: its commands run one after the other, with tokens that the test provider signs, and print what the page says, in its
// order. The first block starts the provider; here it has another port.
func TestPolicyExamples(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("..", "..", "..", "proxy", "policy", "examples.md"))
	if err != nil {
		t.Fatal(err)
	}
	const address = "127.0.0.1:7481"
	var script, provider string
	var promised []string
	for i, piece := range strings.Split(string(text), "\n```") {
		kind, block, _ := strings.Cut(piece, "\n")
		switch {
		case i%2 == 0: // between two blocks
		case kind == "sh" && provider == "":
			provider = block
		case kind == "sh":
			script += block + "\n"
		case kind == "text":
			promised = append(promised, strings.Split(block, "\n")...)
		default:
			t.Fatalf("a block of kind %q", kind)
		}
	}
	_, flags, ok := strings.Cut(strings.ReplaceAll(provider, "\\\n", ""), "--bind-address "+address)
	if !ok || len(promised) < 30 {
		t.Fatalf("the page is read wrongly: %q, %d lines", provider, len(promised))
	}
	dev := DevIDP(t, "", nil, nil, strings.Fields(flags)...)
	shell := exec.CommandContext(t.Context(), "bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c", strings.ReplaceAll(script, address, dev.Addr))
	shell.Dir = t.TempDir()
	shell.Env = []string{"PATH=" + filepath.Dir(Build(t)) + ":" + os.Getenv("PATH"), "HOME=" + shell.Dir}
	out, err := shell.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	lines := strings.Split(string(out), "\n")
	for _, want := range promised {
		at := 0
		for at < len(lines) && strings.TrimSpace(lines[at]) != strings.TrimSpace(want) {
			at++
		}
		if at == len(lines) {
			t.Fatalf("%q is not printed where the page has it; it printed\n%s", want, out)
		}
		lines = lines[at+1:]
	}
}

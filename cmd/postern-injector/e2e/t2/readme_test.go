package t2_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

var fence = regexp.MustCompile("(?ms)^```(?:sh)?\n(.*?)^```$")

// snippet is the commands of a README's fenced block that begins with this text. What the README leaves open is filled in: every placeholder must be there.
func (w *world) snippet(t *testing.T, readme, begins string, placeholders ...string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(w.root, readme))
	if err != nil {
		t.Fatal(err)
	}
	for _, block := range fence.FindAllStringSubmatch(string(text), -1) {
		commands := block[1]
		if !strings.HasPrefix(commands, begins) {
			continue
		}
		for i := 0; i < len(placeholders); i += 2 {
			if !strings.Contains(commands, placeholders[i]) {
				t.Fatalf("%s: %q is not in\n%s", readme, placeholders[i], commands)
			}
			commands = strings.ReplaceAll(commands, placeholders[i], placeholders[i+1])
		}
		if strings.Contains(commands, "…") {
			t.Fatalf("%s: something is still open in\n%s", readme, commands)
		}
		return strings.TrimSpace(commands)
	}
	t.Fatalf("%s has no commands that begin with %q", readme, begins)
	return ""
}

// sh runs commands in the root of the repository, with kubectl, helm and postern-injector in the PATH, as an administrator would.
func (w *world) sh(t *testing.T, commands string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-e", "-o", "pipefail", "-c", commands)
	cmd.Dir = w.root
	cmd.Env = []string{"PATH=" + w.Tools + ":" + w.bin + ":" + os.Getenv("PATH"), "HOME=" + filepath.Join(w.Dir, "home"), "KUBECONFIG=" + w.Kubeconfig}
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	if err != nil {
		return string(out), fmt.Errorf("%s: %w: %s", commands, err, out)
	}
	return string(out), nil
}

func (w *world) must(t *testing.T, commands string) string {
	t.Helper()
	out, err := w.sh(t, commands)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// install runs the command of the chart's README, and waits.
func (w *world) install(t *testing.T) string {
	t.Helper()
	return w.must(t, w.installCommand(t)+" --wait --timeout 2m")
}

func (w *world) installCommand(t *testing.T) string {
	t.Helper()
	return w.snippet(t, "charts/postern-injector/README.md", "helm install",
		"registry.example.org/postern-injector@sha256:…", injectorImage, "registry.example.org/postern@sha256:…", sidecarImage)
}

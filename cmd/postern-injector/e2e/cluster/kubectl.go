package cluster

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// commandLimit is more than any command of a test needs.
const commandLimit = 3 * time.Minute

// Kubectl runs kubectl as the administrator and returns what it says on its standard output. It fails the test if kubectl fails.
func (c *Cluster) Kubectl(t testing.TB, args ...string) string {
	t.Helper()
	out, err := c.Command(t, "kubectl", "", args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TryKubectl is [Cluster.Kubectl] for a command that may, or must, fail: the error has what it says on its standard error.
func (c *Cluster) TryKubectl(t testing.TB, args ...string) (string, error) {
	t.Helper()
	return c.Command(t, "kubectl", "", args...)
}

// Helm runs helm as the administrator and fails the test if helm fails.
func (c *Cluster) Helm(t testing.TB, args ...string) string {
	t.Helper()
	out, err := c.Command(t, "helm", "", args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TryHelm is [Cluster.Helm] for a command that may, or must, fail.
func (c *Cluster) TryHelm(t testing.TB, args ...string) (string, error) {
	t.Helper()
	return c.Command(t, "helm", "", args...)
}

// Apply creates or updates objects given as YAML, in the namespace unless they name another, and fails the test if one is refused.
func (c *Cluster) Apply(t testing.TB, namespace, yaml string) string {
	t.Helper()
	out, err := c.TryApply(t, namespace, yaml)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TryApply is [Cluster.Apply] for objects that may, or must, be refused.
func (c *Cluster) TryApply(t testing.TB, namespace, yaml string, flags ...string) (string, error) {
	t.Helper()
	return c.Command(t, "kubectl", yaml, append([]string{"apply", "--namespace", namespace, "-f", "-"}, flags...)...)
}

// Command runs one of the tools with the administrator's kubeconfig and the text as its standard input. The standard output comes back in any
// case; warnings, which kubectl prints on its standard error, follow it.
func (c *Cluster) Command(t testing.TB, tool, stdin string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), commandLimit) // also in a cleanup
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(c.Tools, tool), args...)
	cmd.Env = []string{
		"PATH=" + c.Tools + ":" + os.Getenv("PATH"), "HOME=" + filepath.Join(c.Dir, "home"), "TMPDIR=" + os.TempDir(), "KUBECONFIG=" + c.Kubeconfig,
	}
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &errs
	cmd.WaitDelay = time.Second
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("%s %s: %w: %s", tool, strings.Join(args, " "), err, strings.TrimSpace(errs.String()))
	}
	return out.String() + errs.String(), nil
}

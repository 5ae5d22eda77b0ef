package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// ErrMissing is in the chain of every error that an installation would mend.
var ErrMissing = errors.New("missing")

// Need ends a test that cannot have what it needs: as skipped where that is only not installed, as failed in CI and for every other reason.
func Need(t testing.TB, err error) {
	t.Helper()
	switch {
	case err == nil:
	case errors.Is(err, ErrMissing) && os.Getenv("CI") != "true":
		t.Skip(err)
	default:
		t.Fatal(err)
	}
}

// tools is the directory that .ci/kube/build fills, which alone knows how it is named.
func tools() (string, error) {
	root, err := ModuleRoot()
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, "bash", filepath.Join(root, ".ci", "kube", "build"), "--where").Output()
	if err != nil {
		return "", fmt.Errorf("ask .ci/kube/build for its directory: %w", err)
	}
	dir := strings.TrimSpace(string(out))
	for _, name := range []string{"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl", "portforward", "helm", "helm-unittest"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			return "", fmt.Errorf("%w: %s, which `bash .ci/test` builds (or `bash .ci/kube/build`)", ErrMissing, name)
		}
	}
	return dir, nil
}

// ModuleRoot is the directory of go.mod above the working directory.
func ModuleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for ; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
	}
	return "", errors.New("no go.mod above the working directory")
}

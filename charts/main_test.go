package charts

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"postern/cmd/postern-injector/e2e/cluster"
)

var (
	update = flag.Bool("update", false, "write the golden files anew")
	suite  cluster.Suite
)

func TestMain(m *testing.M) {
	flag.Parse()
	suite.Options.APIServer = []string{"--disable-admission-plugins=ServiceAccount"} // without controllers nobody makes the default accounts
	os.Exit(suite.Run(m))
}

const (
	chart     = "postern-injector"
	release   = "postern"
	namespace = "postern-system"
	values    = "ci/minimal-values.yaml"
)

var sidecarImage = "registry.example.org/postern@sha256:" + strings.Repeat("b", 64) // of the values

// run runs one of the Kubernetes tools, which POSTERN_KUBE_TOOLS or the build script knows the directory of, in the chart's directory.
func run(t *testing.T, tool string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	dir := os.Getenv("POSTERN_KUBE_TOOLS")
	if dir == "" {
		out, err := exec.CommandContext(ctx, "bash", "../.ci/kube/build", "--where").Output()
		if err != nil {
			t.Fatalf("ask .ci/kube/build for its directory: %v", err)
		}
		dir = strings.TrimSpace(string(out))
	}
	path := filepath.Join(dir, tool)
	if _, err := os.Stat(path); err != nil {
		cluster.Need(t, fmt.Errorf("%w: %s, which `bash .ci/kube/build` builds", cluster.ErrMissing, tool))
	}
	cmd := exec.CommandContext(ctx, path, args...) // #nosec G204 G702 -- a tool of the tests
	cmd.Dir = chart
	home := t.TempDir()
	cmd.Env = []string{"HOME=" + home, "PATH=" + os.Getenv("PATH")} // nobody's plugins, repositories or cluster
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("%s %s: %w: %s%s", tool, strings.Join(args, " "), err, out.String(), errs.String())
	}
	return out.String(), nil
}

// template is what the chart becomes with a file of values and further flags.
func template(t *testing.T, valuesFile string, flags ...string) (string, error) {
	t.Helper()
	return run(t, "helm", append([]string{"template", release, ".", "--namespace", namespace, "--values", valuesFile}, flags...)...)
}

// valuesFiles are the sets of values that the chart is tried with.
func valuesFiles(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(chart + "/ci/*-values.yaml")
	if err != nil || len(files) < 4 {
		t.Fatalf("values in %s/ci: %v %v", chart, files, err)
	}
	for i, file := range files {
		files[i] = "ci/" + filepath.Base(file)
	}
	return files
}

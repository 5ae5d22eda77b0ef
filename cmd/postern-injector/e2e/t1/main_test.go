// Package t1 shows what the built injector and a real API server make of pods together.
//
// The objects are those of the chart, the rights are those of its roles, and the API server comes by the chart's Service. One release serves most
// tests; each that breaks something has one of its own. Namespaces say by a label whose they are, so that the releases never meet.
package t1

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"postern/cmd/postern-injector/e2e/cluster"
)

var (
	suite  = cluster.Suite{Options: cluster.Options{Controllers: true}}
	shared common
)

// waiting is how many tests run at once: nearly all that they do is wait.
const waiting = "8"

func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", waiting); err != nil {
		panic(err)
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	defer shared.end()
	return suite.Run(m)
}

// common is what tests share: the built program, and one release that nobody breaks.
type common struct {
	mu      sync.Mutex
	dir     string
	binary  string
	release *release
	ends    []func()
}

func (s *common) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, end := range s.ends {
		end()
	}
	if s.dir != "" {
		_ = os.RemoveAll(s.dir)
	}
}

// directory is removed after all tests.
func (s *common) directory(t testing.TB) string {
	t.Helper()
	if s.dir == "" {
		dir, err := os.MkdirTemp("", "t1-")
		if err != nil {
			t.Fatal(err)
		}
		s.dir = dir
	}
	return s.dir
}

// program is the path of the built injector.
func (s *common) program(t testing.TB) string {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.binary != "" {
		return s.binary
	}
	root, err := cluster.ModuleRoot()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(s.directory(t), "postern-injector")
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", path, "./cmd/postern-injector") // #nosec G204 -- a constant path
	build.Dir = root
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatal(fmt.Errorf("build the injector: %w: %s", err, out))
	}
	s.binary = path
	return path
}

// calm is the release that the tests share: two replicas, the guard, and defaults of the chart. Tests must leave it as it is.
func calm(t testing.TB) *release {
	t.Helper()
	c := suite.Cluster(t)
	binary := shared.program(t)
	shared.mu.Lock()
	defer shared.mu.Unlock()
	if shared.release == nil {
		r := install(t, c, binary, shared.directory(t), wish{guard: true, set: []string{
			"--set=sidecar.defaults.log-level=warn", "--set=sidecar.defaults.shutdown-graceful-period=7s", "--set=sidecar.defaults.upstream-timeout=31s",
			"--set-json=sidecar.allowedImages=[\"mirror.example.org/*/postern@sha256:*\"]",
		}})
		shared.ends = append(shared.ends, r.stop)
		r.start(t, 2)
		r.inForce(t)
		shared.release = r
	}
	return shared.release
}

// apart is a release for one test, which may do to it what it likes.
func apart(t *testing.T, w wish, replicas int) *release {
	t.Helper()
	c := suite.Cluster(t)
	binary := shared.program(t)
	r := install(t, c, binary, t.TempDir(), w)
	t.Cleanup(r.stop)
	if replicas > 0 {
		r.start(t, replicas)
		r.inForce(t)
	}
	return r
}

package e2e

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"testing"
)

// The binary is built at most once a test process; [Main] removes it.
var built struct {
	once sync.Once
	dir  string
	path string
	err  error
}

// atOnce is how many tests run at the same time, unless -parallel says otherwise: they wait for processes, networks and clocks far more than they
// work.
func atOnce() int { return max(4, runtime.GOMAXPROCS(0)) }

// Main runs the tests of a package that uses [Build], and removes what it built. TestMain calls it:
//
//	func TestMain(m *testing.M) { os.Exit(e2e.Main(m)) }
func Main(m *testing.M) int {
	defer func() {
		if built.dir != "" {
			_ = os.RemoveAll(built.dir)
		}
	}()
	flag.Parse()
	said := false
	flag.Visit(func(f *flag.Flag) { said = said || f.Name == "test.parallel" })
	if !said {
		_ = flag.Set("test.parallel", strconv.Itoa(atOnce())) // a number is what it takes
	}
	return m.Run()
}

// Build is the path of the postern binary of this tree.
func Build(t testing.TB) string {
	t.Helper()
	if path := os.Getenv("E2E_BINARY"); path != "" {
		return path
	}
	root := moduleRoot(t)
	built.once.Do(func() { built.err = build(root) })
	if built.err != nil {
		t.Fatal(built.err)
	}
	return built.path
}

func build(root string) error {
	dir, err := os.MkdirTemp("", "postern-e2e-")
	if err != nil {
		return err
	}
	built.dir, built.path = dir, filepath.Join(dir, "postern")
	args := []string{"build", "-trimpath", "-o", built.path}
	if os.Getenv("E2E_RACE") == "1" {
		args = append(args, "-race")
	}
	cmd := exec.CommandContext(context.Background(), "go", append(args, "./cmd/postern")...)
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build postern: %w\n%s", err, out)
	}
	return nil
}

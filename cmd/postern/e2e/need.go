package e2e

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"
	"time"
)

// Patience is how long a helper waits for something that a healthy machine does in a fraction of it.
const Patience = 60 * time.Second

// missing skips the test, or fails it where nothing may be missing.
func missing(t testing.TB, what, how string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is missing: %s", what, how)
	}
	t.Skipf("%s is missing: %s", what, how)
}

// program is the path of the first of the names that is installed.
func program(t testing.TB, how string, names ...string) string {
	t.Helper()
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	missing(t, names[0], how)
	return ""
}

// moduleRoot is the directory of go.mod.
func moduleRoot(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for ; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
	}
	t.Fatal("no go.mod above the working directory")
	return ""
}

// Ports are handed out below the range that the kernel takes outgoing ports from, so that none is taken between its choice and its use;
// processes that run at once start at different places.
const (
	firstPort = 20000
	portCount = 12000
)

var nextPort = func() *atomic.Uint32 {
	var n atomic.Uint32
	n.Store(uint32(os.Getpid()%portCount) * 97 % portCount) // #nosec G115 -- below portCount
	return &n
}()

// FreePort is a TCP port of 127.0.0.1 that nobody listens on, never the same twice in a test process.
func FreePort(t testing.TB) string {
	t.Helper()
	for range 200 {
		port := strconv.Itoa(firstPort + int(nextPort.Add(1)%portCount))
		l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:"+port)
		if err != nil {
			continue
		}
		l.Close()
		return port
	}
	t.Fatal("no free port")
	return ""
}

// Eventually asks until the answer is nil, and fails the test with the last answer if it never is within [Patience].
func Eventually(t testing.TB, what string, ask func() error) {
	t.Helper()
	if err := poll(Patience, ask); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

func poll(limit time.Duration, ask func() error) error {
	deadline := time.Now().Add(limit)
	for pause := 5 * time.Millisecond; ; pause = min(2*pause, 100*time.Millisecond) {
		err := ask()
		if err == nil {
			return nil
		}
		if time.Now().Add(pause).After(deadline) {
			return fmt.Errorf("not within %v: %w", limit, err)
		}
		time.Sleep(pause)
	}
}

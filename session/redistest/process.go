package redistest

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"testing"
	"time"
)

// process is a server that a test started. It is killed at the end of the test if it still runs, and by the kernel if the test dies.
type process struct {
	cmd    *exec.Cmd
	exited chan struct{}
}

func start(t testing.TB, output *output, dir, path string, args ...string) *process {
	t.Helper()
	cmd := exec.CommandContext(context.Background(), path, args...) // #nosec G204 -- redis-server, found by its name
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, output, output
	cmd.WaitDelay = time.Second
	dieWithTest(cmd)
	p := &process{cmd: cmd, exited: make(chan struct{})}
	started := make(chan error)
	go func() {
		// The parent whose death ends the child is this thread, so it must live as long as the child.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err != nil {
			return
		}
		_ = cmd.Wait() // how a killed server ends says nothing
		close(p.exited)
	}()
	if err := <-started; err != nil {
		t.Fatalf("start %s: %v", path, err)
	}
	t.Cleanup(func() { p.end(os.Kill) })
	return p
}

func (p *process) alive() bool {
	select {
	case <-p.exited:
		return false
	default:
		return true
	}
}

func (p *process) signal(s os.Signal) { _ = p.cmd.Process.Signal(s) }

// end sends a signal that ends it, and waits until it has.
func (p *process) end(s os.Signal) {
	p.signal(s)
	<-p.exited
}

// output keeps what a server writes; it may be read while the server writes.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// eventually asks until the answer is nil.
func eventually(t testing.TB, what string, ask func() error) {
	t.Helper()
	const patience = 40 * time.Second
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		err := ask()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %v: %v", what, patience, err)
		}
	}
}

package e2e

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"runtime"
	"testing"
	"time"
)

// child is a program that a test started. It is killed at the end of the test if it still runs.
type child struct {
	cmd    *exec.Cmd
	exited chan struct{} // closed when code is there
	code   int           // -1 if a signal ended it
}

// spawn starts the program with nothing of our environment but what a program cannot do without.
func spawn(t testing.TB, out, errs *capture, dir string, env map[string]string, path string, args ...string) *child {
	t.Helper()
	cmd := exec.CommandContext(context.Background(), path, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, out, errs
	cmd.WaitDelay = time.Second
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "TMPDIR=" + dir}
	for name, value := range env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	dieWithTest(cmd)
	c := &child{cmd: cmd, exited: make(chan struct{})}
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
		c.code = exitCode(cmd.Wait())
		close(c.exited)
	}()
	if err := <-started; err != nil {
		t.Fatalf("start %s: %v", path, err)
	}
	t.Cleanup(func() {
		if c.alive() {
			c.signal(os.Kill)
			<-c.exited
		}
	})
	return c
}

func exitCode(err error) int {
	if err == nil {
		return 0
	}
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return exit.ExitCode()
	}
	return -1
}

func (c *child) alive() bool {
	select {
	case <-c.exited:
		return false
	default:
		return true
	}
}

func (c *child) signal(s os.Signal) { _ = c.cmd.Process.Signal(s) }

// wait is the exit code, or a failed test if the program has not ended by the limit.
func (c *child) wait(t testing.TB, limit time.Duration) int {
	t.Helper()
	select {
	case <-c.exited:
		return c.code
	case <-time.After(limit):
		t.Fatalf("%s still runs after %v", c.cmd.Path, limit)
		return 0
	}
}

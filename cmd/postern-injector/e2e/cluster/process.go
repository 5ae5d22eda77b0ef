package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// process is a program of the control plane.
type process struct {
	name   string
	log    string // its output, a file
	cmd    *exec.Cmd
	exited chan struct{}
}

// launch starts a program in a process group of its own, which the kernel kills when the test process dies.
func launch(dir, path string, environ []string, args ...string) (*process, error) {
	p := &process{name: filepath.Base(path), log: filepath.Join(dir, filepath.Base(path)+".log"), exited: make(chan struct{})}
	out, err := os.Create(p.log)
	if err != nil {
		return nil, err
	}
	p.cmd = exec.CommandContext(context.Background(), path, args...) // ended by stop, in its turn
	p.cmd.Dir, p.cmd.Stdout, p.cmd.Stderr, p.cmd.Env = dir, out, out, environ
	p.cmd.SysProcAttr = dieWithTest()
	started := make(chan error)
	go func() {
		defer out.Close()
		// The parent whose death ends the child is this thread, so it must live as long as the child.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := p.cmd.Start()
		started <- err
		if err == nil {
			_ = p.cmd.Wait() // how it ended is nobody's question; that it has, is
			close(p.exited)
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", p.name, err)
	}
	return p, nil
}

// stop asks once, and does not wait long: there is nothing to save. A kube-apiserver whose etcd is gone would not end at all.
func (p *process) stop() {
	for _, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		_ = p.cmd.Process.Signal(s)
		select {
		case <-p.exited:
			return
		case <-time.After(3 * time.Second):
		}
	}
	<-p.exited
}

// ended is an error with the end of what the program said, if it runs no more.
func (p *process) ended() error {
	select {
	case <-p.exited:
	default:
		return nil
	}
	said, err := os.ReadFile(p.log)
	if err != nil {
		return err
	}
	lines := strings.Split(strings.TrimSpace(string(said)), "\n")
	return errors.New(p.name + " has ended: " + strings.Join(lines[max(0, len(lines)-15):], "\n"))
}

package kubelet

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// process is the process of a container.
type process struct {
	cmd    *exec.Cmd
	begun  chan struct{} // closed when the shim has become what it shall be, or has ended
	exited chan struct{} // closed when code and signal are there
	code   int           // 128 plus the signal that ended it
	signal int
}

// run starts a process in a network namespace. The kernel kills it when the test process dies.
func run(n *netns, s *spec, out io.Writer) (*process, error) {
	from, to, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer from.Close()
	begun, begins, err := os.Pipe() // the shim's end is closed by its exec
	if err != nil {
		to.Close()
		return nil, err
	}
	defer begins.Close()
	self, err := os.Executable()
	if err != nil {
		to.Close()
		begun.Close()
		return nil, err
	}
	p := &process{begun: make(chan struct{}), exited: make(chan struct{})}
	p.cmd = exec.CommandContext(context.Background(), self) // ended by its pod, in its turn
	// Whatever follows the name keeps a test binary from running its tests, should its TestMain have forgotten the shim.
	p.cmd.Args = []string{shimName, "-test.run=^$"}
	p.cmd.Env = []string{}
	p.cmd.Stdout, p.cmd.Stderr = out, out
	p.cmd.ExtraFiles = []*os.File{n.handle(), from, begins}
	p.cmd.WaitDelay = time.Second
	p.cmd.SysProcAttr = isolated(s.Join == 0)
	started := make(chan error)
	go func() {
		// The parent whose death ends the child is this thread, so it must live as long as the child.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := beside(s.Join, p.cmd.Start)
		started <- err
		if err == nil {
			p.code, p.signal = result(p.cmd.Wait())
			close(p.exited)
		}
	}()
	if err := <-started; err != nil {
		to.Close()
		begun.Close()
		return nil, err
	}
	go func() {
		defer close(p.begun)
		defer begun.Close()
		_, _ = begun.Read(make([]byte, 1)) // nothing is ever written: its end is the news
	}()
	go func() {
		defer to.Close()
		_ = json.NewEncoder(to).Encode(s) // a shim that does not read it to its end says why itself
	}()
	return p, nil
}

func result(err error) (code, signal int) {
	exit, ok := errors.AsType[*exec.ExitError](err)
	if !ok {
		return 0, 0
	}
	if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal()), int(status.Signal())
	}
	return exit.ExitCode(), 0
}

// kill ends the process and, as it is the first of its process namespace, everything that it has started.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.exited
}

func (p *process) running() bool {
	select {
	case <-p.exited:
		return false
	default:
		return true
	}
}

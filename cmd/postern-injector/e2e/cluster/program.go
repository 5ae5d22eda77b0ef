package cluster

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Program is a program of a test's own, such as the one that is tested. It dies with the test process at the latest.
type Program struct{ process *process }

// StartProgram starts a program in a directory of its own, which its output is kept in. Its environment is exactly the given one.
func StartProgram(dir, path string, environ []string, args ...string) (*Program, error) {
	p, err := launch(dir, path, environ, args...)
	if err != nil {
		return nil, err
	}
	return &Program{p}, nil
}

// Pid is the program's.
func (p *Program) Pid() int { return p.process.cmd.Process.Pid }

// Signal sends one; that the program has ended is no error.
func (p *Program) Signal(s syscall.Signal) { _ = p.process.cmd.Process.Signal(s) }

// Exited is closed when the program has ended.
func (p *Program) Exited() <-chan struct{} { return p.process.exited }

// ExitCode is that of a program that has ended: -1 if a signal did that.
func (p *Program) ExitCode() int { return p.process.cmd.ProcessState.ExitCode() }

// Kill ends it at once, as the kernel does when memory is short.
func (p *Program) Kill() {
	p.Signal(syscall.SIGKILL)
	<-p.process.exited
}

// Said is all of its output so far.
func (p *Program) Said() string {
	text, err := os.ReadFile(p.process.log)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// CPU is the time that the process has worked so far, to a hundredth of a second, where the kernel says it (Linux).
func (p *Program) CPU(t testing.TB) time.Duration {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.Pid()))
	if err != nil {
		if runtime.GOOS == "linux" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	_, rest, _ := strings.Cut(string(text), ") ") // the name may hold anything
	fields := strings.Fields(rest)
	var user, system int64
	if len(fields) < 13 {
		t.Fatalf("/proc/PID/stat says %q", text)
	}
	if _, err := fmt.Sscan(fields[11]+" "+fields[12], &user, &system); err != nil {
		t.Fatal(err)
	}
	return time.Duration(user+system) * 10 * time.Millisecond // USER_HZ is 100 on every platform of Linux that Go has
}

// Memory is the resident memory of the process in bytes, where the kernel says it (Linux).
func (p *Program) Memory(t testing.TB) int64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", p.Pid()))
	if err != nil {
		if runtime.GOOS == "linux" {
			t.Fatal(err) // a process that is gone has no memory to be content with
		}
		t.Skip(err)
	}
	var size, resident int64
	if _, err := fmt.Sscan(string(text), &size, &resident); err != nil {
		t.Fatal(err)
	}
	return resident * int64(os.Getpagesize())
}

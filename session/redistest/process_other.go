//go:build !linux

package redistest

import (
	"os"
	"os/exec"
	"syscall"
)

func dieWithTest(*exec.Cmd) {}

// Freeze stops a child where it is.
func Freeze(child *os.Process) { _ = child.Signal(syscall.SIGSTOP) }

package main

import (
	"os/exec"
	"syscall"
)

// dieWithUs ends a child when this process ends, however it ends.
func dieWithUs(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }

package e2e

import (
	"os/exec"
	"syscall"
)

// dieWithTest ends a child when the test process ends, however it ends (a test time-out runs no cleanup).
func dieWithTest(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}

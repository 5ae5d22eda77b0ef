package redistest

import (
	"errors"
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
)

// dieWithTest ends a child when the test process ends, however it ends (a test time-out runs no cleanup).
func dieWithTest(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}

// Freeze stops a child where it is and returns when all of its threads have stopped, for which the signal alone does not wait.
func Freeze(child *os.Process) {
	if child.Signal(unix.SIGSTOP) != nil {
		return // it has ended
	}
	for errors.Is(unix.Waitid(unix.P_PID, child.Pid, nil, unix.WSTOPPED|unix.WEXITED|unix.WNOWAIT, nil), unix.EINTR) {
	}
}

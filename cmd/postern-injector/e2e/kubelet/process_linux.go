package kubelet

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

func (n *netns) handle() *os.File { return n.file }

// isolated are the attributes of a container's first process, which has its own process and host name namespaces and dies with the test, and of
// those that join it, which die with the first.
func isolated(first bool) *syscall.SysProcAttr {
	if !first {
		return &syscall.SysProcAttr{Setpgid: true} // its parent, seen from its namespace, looks dead: Pdeathsig would kill it at once
	}
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL, Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWUTS}
}

// beside calls start so that the process it starts sees the same processes as this one does. The caller has locked its thread; a thread that cannot
// be brought back must not be used again, and its process cannot be trusted either.
func beside(pid int, start func() error) error {
	if pid == 0 {
		return start()
	}
	there, err := os.Open(fmt.Sprintf("/proc/%d/ns/pid", pid))
	if err != nil {
		return err
	}
	defer there.Close()
	home, err := os.Open("/proc/self/ns/pid")
	if err != nil {
		return err
	}
	defer home.Close()
	if err := unix.Setns(int(there.Fd()), unix.CLONE_NEWPID); err != nil {
		return err
	}
	err = start()
	if back := unix.Setns(int(home.Fd()), unix.CLONE_NEWPID); back != nil {
		panic(errors.Join(errors.New("a thread is lost in the process namespace of a pod"), back))
	}
	return err
}

// sameDevice says whether two directories are on one file system, so that who sees the one sees the other.
func sameDevice(a, b string) bool {
	var first, second unix.Stat_t
	return unix.Stat(a, &first) == nil && unix.Stat(b, &second) == nil && first.Dev == second.Dev
}

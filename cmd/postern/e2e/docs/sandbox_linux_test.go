package docs

import (
	"os"
	"os/exec"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// The runner starts itself once more for each page, in a network and among processes of the page's own: ports are those of the page, and what it
// started ends with it.
const pageVariable, driverVariable = "POSTERN_DOCS_PAGE", "POSTERN_DOCS_DRIVER"

// sandboxed runs this test program for one page and returns what it says.
func sandboxed(t *testing.T, page, driver, programs string) (string, error) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, "-test.run=^TestPages$", "-test.v", "-test.timeout=9m")
	cmd.Env = append(os.Environ(), pageVariable+"="+page, driverVariable+"="+driver, programsVariable+"="+programs)
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWUSER | unix.CLONE_NEWNET | unix.CLONE_NEWPID, Pdeathsig: syscall.SIGKILL,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: os.Getuid(), HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: os.Getgid(), HostID: os.Getgid(), Size: 1}},
		AmbientCaps: []uintptr{unix.CAP_NET_ADMIN},
	}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// loopbackUp switches on the one interface of the page's network.
func loopbackUp() error {
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(s)
	request, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	request.SetUint16(unix.IFF_UP)
	return unix.IoctlIfreq(s, unix.SIOCSIFFLAGS, request)
}

// ownGroup lets a terminal have its programs in one group, as a terminal has.
func ownGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

func interruptGroup(pid int) { _ = syscall.Kill(-pid, syscall.SIGINT) }

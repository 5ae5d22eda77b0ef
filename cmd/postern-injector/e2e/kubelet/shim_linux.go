package kubelet

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// shimName is what the test binary is called as when it is to become a container.
const shimName = "postern-container"

// File descriptors that a shim finds open.
const (
	netnsFD = 3
	specFD  = 4
	begunFD = 5 // closed when the process has become what it shall be
)

// Shim turns a process that was started as a container into one, and returns in every other process. [Suite.Run] calls it.
func Shim() {
	if os.Args[0] != shimName {
		return
	}
	runtime.LockOSThread()
	err := becomeContainer()
	fmt.Fprintln(os.Stderr, "the container cannot be started:", err)
	os.Exit(128)
}

func becomeContainer() error {
	syscall.CloseOnExec(netnsFD)
	syscall.CloseOnExec(specFD)
	syscall.CloseOnExec(begunFD)
	var s spec
	if err := json.NewDecoder(os.NewFile(specFD, "spec")).Decode(&s); err != nil {
		return fmt.Errorf("read what to be: %w", err)
	}
	if err := unix.Setns(netnsFD, unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("enter the network namespace: %w", err)
	}
	enter := s.makeRoot
	if s.Join != 0 {
		enter = s.joinRoot
	}
	if err := enter(); err != nil {
		return err
	}
	if err := os.Chdir(s.Dir); err != nil {
		return err
	}
	if err := s.dropPrivileges(); err != nil {
		return fmt.Errorf("drop privileges: %w", err)
	}
	if s.Check {
		fmt.Println(checked)
		os.Exit(0)
	}
	path, err := s.find(s.Args[0])
	if err != nil {
		return err
	}
	return fmt.Errorf("%s: %w", path, syscall.Exec(path, s.Args, s.Env)) // #nosec G204 -- that is what a container is
}

// joinRoot enters the file system of a running container.
func (s *spec) joinRoot() error {
	root, err := os.Open(fmt.Sprintf("/proc/%d/root", s.Join))
	if err != nil {
		return err
	}
	defer root.Close()
	mounts, err := os.Open(fmt.Sprintf("/proc/%d/ns/mnt", s.Join))
	if err != nil {
		return err
	}
	defer mounts.Close()
	return errors.Join(
		unix.Unshare(unix.CLONE_FS), // a thread whose directory others share may not change its mount namespace
		unix.Setns(int(mounts.Fd()), unix.CLONE_NEWNS),
		unix.Fchdir(int(root.Fd())),
		unix.Chroot("."),
	)
}

// makeRoot makes the container's file system: the image's below, a layer above it that lives as long as the container, volumes on top.
// Nothing of it can be seen outside of the mount namespace that it is made in.
func (s *spec) makeRoot() error {
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("a mount namespace: %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make the mounts private: %w", err)
	}
	if err := unix.Mount("tmpfs", s.Work, "tmpfs", 0, "mode=0755"); err != nil {
		return fmt.Errorf("the writable layer: %w", err)
	}
	root, upper, work := filepath.Join(s.Work, "root"), filepath.Join(s.Work, "upper"), filepath.Join(s.Work, "work")
	for _, dir := range []string{root, upper, work} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return err
		}
	}
	if err := unix.Mount("overlay", root, "overlay", 0, "lowerdir="+s.Lower+",upperdir="+upper+",workdir="+work); err != nil {
		return fmt.Errorf("the layers over %s: %w", s.Lower, err)
	}
	var sources []*os.File
	mounts := append([]mount{{Source: "/dev", Target: "/dev"}, {Source: "/sys", Target: "/sys", ReadOnly: true}}, s.Mounts...)
	for _, m := range mounts {
		f, err := os.OpenFile(m.Source, unix.O_PATH, 0)
		if err != nil {
			return fmt.Errorf("mount %s: %w", m.Target, err)
		}
		defer f.Close()
		sources = append(sources, f)
	}
	// From inside, so that a link in the image leads to where it leads in the container.
	if err := unix.Chroot(root); err != nil {
		return err
	}
	if err := os.MkdirAll("/proc", 0o755); err != nil {
		return err
	}
	if err := unix.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	for i, m := range mounts {
		if err := m.bind(sources[i]); err != nil {
			return fmt.Errorf("mount %s: %w", m.Target, err)
		}
	}
	if !s.ReadOnly {
		return nil
	}
	return unix.Mount("", "/", "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, "")
}

func (m mount) bind(source *os.File) error {
	info, err := source.Stat()
	if err != nil {
		return err
	}
	if info.IsDir() {
		err = os.MkdirAll(m.Target, 0o755)
	} else if err = os.MkdirAll(filepath.Dir(m.Target), 0o755); err == nil {
		var f *os.File
		if f, err = os.OpenFile(m.Target, os.O_CREATE|os.O_RDONLY, 0o644); err == nil {
			f.Close()
		}
	}
	if err != nil {
		return err
	}
	from := fmt.Sprintf("/proc/self/fd/%d", source.Fd())
	if err := unix.Mount(from, m.Target, "", unix.MS_BIND|unix.MS_REC, ""); err != nil || !m.ReadOnly {
		return err
	}
	return unix.Mount("", m.Target, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, "")
}

// dropPrivileges leaves the process with its user and groups and nothing else.
func (s *spec) dropPrivileges() error {
	if s.Hostname != "" {
		if err := unix.Sethostname([]byte(s.Hostname)); err != nil {
			return err
		}
	}
	for c := uintptr(0); c <= 63; c++ {
		if err := unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0); errors.Is(err, unix.EINVAL) {
			break // the kernel has no more
		} else if err != nil {
			return err
		}
	}
	if err := unix.Setgroups(s.Groups); err != nil {
		return err
	}
	if err := unix.Setresgid(s.GID, s.GID, s.GID); err != nil {
		return err
	}
	if err := unix.Setresuid(s.UID, s.UID, s.UID); err != nil {
		return err
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	return unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0) // the change of the user has cleared it
}

// find looks for a program as a shell does, but in the container's PATH.
func (s *spec) find(name string) (string, error) {
	if strings.Contains(name, "/") {
		return name, nil
	}
	for _, e := range s.Env {
		dirs, ok := strings.CutPrefix(e, "PATH=")
		if !ok {
			continue
		}
		for _, dir := range filepath.SplitList(dirs) {
			path := filepath.Join(dir, name)
			if unix.Access(path, unix.X_OK) == nil {
				return path, nil
			}
		}
	}
	return "", fmt.Errorf("%s: %w in $PATH", name, os.ErrNotExist)
}

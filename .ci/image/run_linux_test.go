package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

// runInside starts the program of an image for this machine with nothing around it but the image's own files, as the image's user.
func runInside(t *testing.T, p program, content map[string][]byte, arch string) {
	if arch != runtime.GOARCH {
		t.Skipf("a program for %s does not run on %s", arch, runtime.GOARCH)
	}
	dir := t.TempDir()
	for up := dir; up != filepath.Dir(up); up = filepath.Dir(up) { // the user has to get there; temporary directories are its maker's alone
		if info, err := os.Stat(up); err == nil && info.Mode().Perm()&0o011 != 0o011 {
			if err := os.Chmod(up, info.Mode().Perm()|0o011); err != nil {
				t.Fatal(err)
			}
		}
	}
	writeAll(t, content, dir)
	cmd := exec.CommandContext(t.Context(), "/"+p.Binary(), "version")
	cmd.Dir, cmd.Env = "/", []string{"PATH=/usr/bin"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: dir}
	if os.Getuid() == 0 {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: nonroot, Gid: nonroot}
	} else { // a namespace in which we are that user
		cmd.SysProcAttr.Cloneflags = syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: nonroot, HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: nonroot, HostID: os.Getgid(), Size: 1}}
	}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s version: %v\n%s", p.Name, err, out.String())
	}
	if got := out.String(); !strings.HasPrefix(got, p.Name+" v1.2.3-test.1 commit ") {
		t.Errorf("%s version says %q", p.Name, got)
	}
}

// writeAll writes what a layer holds. No other test forks meanwhile: the child would hold the program open for writing, and nobody could run it (ETXTBSY).
func writeAll(t *testing.T, content map[string][]byte, dir string) {
	t.Helper()
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	for name, data := range content {
		target := filepath.Join(dir, name)
		if strings.HasSuffix(name, "/") {
			if err := os.MkdirAll(target, 0o755); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(target, data, 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

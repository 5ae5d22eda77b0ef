package cluster

import "syscall"

func dieWithTest() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true} // a group of its own: no Ctrl-C before our own orderly end
}

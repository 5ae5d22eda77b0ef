//go:build !linux

package cluster

import "syscall"

func dieWithTest() *syscall.SysProcAttr { return nil }

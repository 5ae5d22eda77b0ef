//go:build !linux

package docs

import (
	"syscall"
	"testing"
)

const pageVariable, driverVariable = "POSTERN_DOCS_PAGE", "POSTERN_DOCS_DRIVER"

func sandboxed(t *testing.T, _, _, _ string) (string, error) {
	t.Skip("pages are run on Linux, which can give each of them a network of its own")
	return "", nil
}

func loopbackUp() error { return nil }

func ownGroup() *syscall.SysProcAttr { return nil }
func interruptGroup(int)             {}

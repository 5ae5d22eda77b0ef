//go:build unix

package doctor

import "golang.org/x/sys/unix"

// nonBlocking keeps the opening of a pipe from waiting for its writer.
const nonBlocking = unix.O_NONBLOCK

// writable says whether this user may make a file in a directory.
func writable(dir string) error { return unix.Access(dir, unix.W_OK|unix.X_OK) }

package redistest

import (
	"context"
	"net"
	"os"
	"strconv"
	"sync/atomic"
	"testing"
)

// Ports are handed out below those of end-to-end tests and below the range that the kernel takes outgoing ports from, so that none is taken
// between its choice and its use; processes that run at once start at different places.
const (
	firstPort = 10000
	portCount = 10000
)

var nextPort = func() *atomic.Uint32 {
	var n atomic.Uint32
	n.Store(uint32(os.Getpid()%portCount) * 97 % portCount) // #nosec G115 -- below portCount
	return &n
}()

// freePort is a TCP port of 127.0.0.1 that nobody listens on, never the same twice in a test process.
func freePort(t testing.TB) string {
	t.Helper()
	for range 200 {
		port := strconv.Itoa(firstPort + int(nextPort.Add(1)%portCount))
		l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", net.JoinHostPort(host, port))
		if err != nil {
			continue
		}
		_ = l.Close()
		return port
	}
	t.Fatal("no free port")
	return ""
}

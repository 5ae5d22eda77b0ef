package e2e

import (
	"testing"

	"postern/session/redistest"
)

// RedisServer is a real redis-server. Package redistest has Sentinel, Cluster and TLS too.
type RedisServer = redistest.Server

// Redis starts a redis-server on a free port, with further arguments of its own.
func Redis(t testing.TB, args ...string) *RedisServer {
	t.Helper()
	return redistest.Start(t, args...)
}

// Fault is what a [FaultyPath] does to connections.
type Fault = redistest.Fault

// FaultyPath is a TCP path to a target, with the faults of the moment.
type FaultyPath = redistest.FaultPath

// FaultProxy opens a path to a host:port.
func FaultProxy(t testing.TB, target string) *FaultyPath {
	t.Helper()
	return redistest.NewFaultPath(t, target)
}

package storetest

import (
	"testing"

	"github.com/redis/go-redis/v9"

	"postern/config"
	"postern/session/redistest"
)

// Redis is a real redis-server of one test, which ends with it.
type Redis struct {
	Client *redis.Client // for looking at what is there

	t      testing.TB
	server *redistest.Server
}

// StartRedis starts redis-server on a free port of loopback. Where there is none the test is skipped, and fails with CI=true.
func StartRedis(t testing.TB) *Redis {
	t.Helper()
	server := redistest.Start(t)
	return &Redis{Client: server.Client(t), t: t, server: server}
}

// Config reaches this server.
func (r *Redis) Config() config.Redis { return ConfigOf(r.server) }

// ConfigOf reaches one server.
func ConfigOf(s *redistest.Server) config.Redis { return config.Redis{URI: config.NewSecret(s.URI())} }

// ConfigOfSentinel reaches whoever is the primary.
func ConfigOfSentinel(s *redistest.Sentinel) config.Redis {
	return config.Redis{SentinelMaster: redistest.Master, SentinelAddresses: s.Addresses()}
}

// ConfigOfCluster reaches every node.
func ConfigOfCluster(c *redistest.Cluster) config.Redis {
	return config.Redis{ClusterAddresses: c.Addresses()}
}

// Address is host:port.
func (r *Redis) Address() string { return r.server.Addr }

// Start starts the server again after Stop, and then empty. It returns when the server answers.
func (r *Redis) Start() {
	r.t.Helper()
	r.server.Start(r.t)
}

// Stop kills the server: connections are refused.
func (r *Redis) Stop() { r.server.Kill(r.t) }

// Hang stops the server from answering while its connections stay open.
func (r *Redis) Hang() { r.server.Freeze() }

// Resume ends Hang.
func (r *Redis) Resume() { r.server.Resume() }

package session_test

import (
	"testing"
	"time"

	"postern/session/redistest"
	"postern/session/storetest"
)

// Sessions are served again soon after a replica has become the primary, also when a sentinel hangs together with the old one.
func TestRedisSentinelFailover(t *testing.T) {
	t.Parallel()
	for name, begin := range map[string]func(*testing.T, *redistest.Sentinel){
		"killed": func(t *testing.T, s *redistest.Sentinel) { s.Nodes[0].Kill(t) },
		"frozen": func(_ *testing.T, s *redistest.Sentinel) { s.Nodes[0].Freeze() },
		"frozen with a sentinel": func(_ *testing.T, s *redistest.Sentinel) {
			s.Nodes[0].Freeze()
			s.Sentinels[2].Freeze()
		},
		"on request": func(t *testing.T, s *redistest.Sentinel) {
			s.Sentinels[0].Command(t, "SENTINEL FAILOVER "+redistest.Master)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := redistest.StartSentinel(t, redistest.SentinelOptions{})
			traffic := newTraffic(t, redisStore(t, storetest.ConfigOfSentinel(s)), storetest.NewKey(t))
			traffic.awaitService(back)
			s.AwaitSynced(t)
			begin(t, s)
			s.AwaitFailover(t, s.Nodes[0])
			traffic.awaitService(2 * back)
			s.Nodes[0].Resume()
			traffic.awaitService(2 * back) // the old primary is back and must not be believed
			traffic.wantPrompt()
		})
	}
}

// The breaker of one node is none of the others.
func TestRedisClusterLosesTheKeysOfADeadNodeAndNoOthers(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, redistest.ClusterOptions{})
	keys := keyOfEachNode(t, c)
	traffic := newTraffic(t, redisStore(t, storetest.ConfigOfCluster(c)), keys...)
	traffic.awaitService(back)
	others := func(outage string) {
		t.Helper()
		traffic.awaitTrouble(keys[1])
		time.Sleep(2 * time.Second) // the others must hold out, also when the nodes agree that one is down
		for _, i := range []int{0, 2} {
			if n := traffic.troubleOf(keys[i]); n > 0 {
				t.Errorf("%s: %d calls for keys of a node that lives were trouble", outage, n)
			}
		}
	}
	c.Nodes[1].Freeze()
	others("frozen")
	c.Nodes[1].Resume()
	traffic.awaitService(2 * back)
	traffic.begin()
	c.Nodes[1].Kill(t)
	others("killed")
	traffic.wantPrompt()
}

func TestRedisClusterFailover(t *testing.T) {
	t.Parallel()
	for name, begin := range map[string]func(*testing.T, *redistest.Server){
		"killed": func(t *testing.T, s *redistest.Server) { s.Kill(t) },
		"frozen": func(_ *testing.T, s *redistest.Server) { s.Freeze() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := redistest.StartCluster(t, redistest.ClusterOptions{Replicas: true})
			keys := keyOfEachNode(t, c)
			traffic := newTraffic(t, redisStore(t, storetest.ConfigOfCluster(c)), keys...)
			traffic.awaitService(back)
			begin(t, c.Nodes[1])
			traffic.awaitTrouble(keys[1])
			traffic.awaitService(2 * back) // with the time that the nodes need to agree
			traffic.wantPrompt()
		})
	}
}

// A slot that moves to another node takes its sessions along: MOVED and ASK are followed.
func TestRedisClusterMovesASlot(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, redistest.ClusterOptions{})
	keys := keyOfEachNode(t, c)
	traffic := newTraffic(t, redisStore(t, storetest.ConfigOfCluster(c)), keys...)
	traffic.awaitService(back)
	c.MoveSlot(t, keys[0], 0, 2)
	traffic.awaitService(back)
	traffic.wantPrompt()
	if n := traffic.troubleOf(keys[0]); n > 0 {
		t.Errorf("%d calls were trouble while the slot moved", n)
	}
}

func keyOfEachNode(t *testing.T, c *redistest.Cluster) (keys []string) {
	t.Helper()
	for i := range c.Nodes {
		for {
			if key := storetest.NewKey(t); c.Owner(t, key) == i {
				keys = append(keys, key)
				break
			}
		}
	}
	return keys
}

package redistest

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// Cluster is a Redis Cluster of three primaries.
type Cluster struct {
	Nodes    []*Server // the primaries at the start
	Replicas []*Server // one of each primary, in the same order; with Replicas only
}

// ClusterOptions shape a [Cluster].
type ClusterOptions struct {
	Authority *Authority // TLS for everything if it is not nil
	Args      []string   // further arguments of the nodes
	Replicas  bool       // a replica for each primary, which takes over about 2 seconds after its primary has gone
}

// slots is how many hash slots there are (Redis Cluster specification, "Key distribution model").
const slots = 16384

// StartCluster returns when every node says that the cluster works.
func StartCluster(t testing.TB, o ClusterOptions) *Cluster {
	t.Helper()
	c := &Cluster{}
	for range 3 {
		c.Nodes = append(c.Nodes, launchNode(t, o))
	}
	if o.Replicas {
		for range 3 {
			c.Replicas = append(c.Replicas, launchNode(t, o))
		}
	}
	first := c.Nodes[0]
	ip, port, _ := net.SplitHostPort(first.Addr)
	for i, node := range c.Nodes {
		node.do(t, []any{"CLUSTER", "SET-CONFIG-EPOCH", i + 1}, []any{"CLUSTER", "ADDSLOTSRANGE", i * slots / 3, (i+1)*slots/3 - 1})
	}
	for _, node := range c.all()[1:] {
		node.do(t, []any{"CLUSTER", "MEET", ip, port, first.argument("--cluster-port")})
	}
	c.await(t, fmt.Sprintf("cluster_known_nodes:%d", len(c.all())))
	for i, replica := range c.Replicas {
		replica.do(t, []any{"CLUSTER", "REPLICATE", c.Nodes[i].clusterID(t)})
	}
	c.await(t, "cluster_state:ok")
	c.await(t, fmt.Sprintf("cluster_slots_ok:%d", slots))
	for _, replica := range c.Replicas {
		eventually(t, "a replica follows its primary", func() error { return replica.reports("replication", "master_link_status:up") })
	}
	return c
}

func launchNode(t testing.TB, o ClusterOptions) *Server {
	t.Helper()
	return launch(t, &Server{authority: o.Authority, args: append([]string{
		"--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf", "--cluster-port", freePort(t), "--cluster-node-timeout", "700",
		"--cluster-require-full-coverage", "no", "--repl-diskless-sync-delay", "0", // a node that is gone takes its own keys away only
	}, o.Args...)})
}

func (c *Cluster) all() []*Server { return append(append([]*Server(nil), c.Nodes...), c.Replicas...) }

// await returns when CLUSTER INFO of every node has the text.
func (c *Cluster) await(t testing.TB, text string) {
	t.Helper()
	for _, node := range c.all() {
		eventually(t, "a node of the cluster says "+text, func() error { return node.clusterSays(text) })
	}
}

func (s *Server) clusterSays(text string) error {
	c := redis.NewClient(s.options())
	defer c.Close()
	info, err := c.ClusterInfo(context.Background()).Result()
	if err != nil {
		return err
	}
	if !strings.Contains(info, text+"\r\n") {
		return fmt.Errorf("it says %s", info)
	}
	return nil
}

func (s *Server) clusterID(t testing.TB) string {
	t.Helper()
	c := redis.NewClient(s.options())
	defer c.Close()
	id, err := c.ClusterMyID(context.Background()).Result()
	must(t, err)
	return id
}

// MoveSlot hands the slot of a key, and the keys in it, from one of Nodes to another, as resharding does.
func (c *Cluster) MoveSlot(t testing.TB, key string, from, to int) {
	t.Helper()
	ctx := context.Background()
	source, target := c.Nodes[from], c.Nodes[to]
	client := source.Client(t)
	slot, err := client.ClusterKeySlot(ctx, key).Result()
	must(t, err)
	target.do(t, []any{"CLUSTER", "SETSLOT", slot, "IMPORTING", source.clusterID(t)})
	source.do(t, []any{"CLUSTER", "SETSLOT", slot, "MIGRATING", target.clusterID(t)})
	ip, port, _ := net.SplitHostPort(target.Addr)
	for {
		keys, err := client.ClusterGetKeysInSlot(ctx, int(slot), 1).Result()
		must(t, err)
		if len(keys) == 0 {
			break
		}
		source.do(t, []any{"MIGRATE", ip, port, keys[0], 0, 1000})
		time.Sleep(50 * time.Millisecond) // so that clients see the slot in two places
	}
	for _, node := range []*Server{target, source, c.Nodes[3-from-to]} {
		node.do(t, []any{"CLUSTER", "SETSLOT", slot, "NODE", target.clusterID(t)})
	}
}

// Addresses are those of all nodes.
func (c *Cluster) Addresses() []string { return addresses(c.all()) }

// Owner is the index in Nodes of the primary that had the key at the start.
func (c *Cluster) Owner(t testing.TB, key string) int {
	t.Helper()
	client := c.Nodes[0].Client(t)
	slot, err := client.ClusterKeySlot(context.Background(), key).Result()
	must(t, err)
	for i := range c.Nodes {
		if int(slot) < (i+1)*slots/3 {
			return i
		}
	}
	return -1
}

package redistest

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
)

// Master is the name of the primary that sentinels watch.
const Master = "sessions"

// Sentinel is a primary with two replicas, and sentinels that make a replica the primary soon after it has gone.
type Sentinel struct {
	Nodes     []*Server // data; the first one is the primary at the start
	Sentinels []*Server
	Links     []*FaultPath // the ways of the replicas to the first primary, in the order of Nodes[1:]; with BreakableLinks only
}

// SentinelOptions shape a [Sentinel].
type SentinelOptions struct {
	Authority *Authority // TLS for everything if it is not nil
	Args      []string   // further arguments of the data nodes

	// BreakableLinks puts a [FaultPath] between each replica and the first primary. There is one sentinel then, that fails over once:
	// three would soon notice that the replicas follow an address that is not the primary's, and mend it.
	BreakableLinks bool
}

// StartSentinel returns when the sentinels know each other and both replicas, and both replicas follow.
func StartSentinel(t testing.TB, o SentinelOptions) *Sentinel {
	t.Helper()
	s := &Sentinel{}
	args := append([]string{"--repl-diskless-sync-delay", "0"}, o.Args...)
	primary := launch(t, &Server{authority: o.Authority, args: args})
	s.Nodes = append(s.Nodes, primary)
	for range 2 {
		upstream := primary.Addr
		if o.BreakableLinks {
			link := NewFaultPath(t, primary.Addr)
			s.Links, upstream = append(s.Links, link), link.Addr
		}
		ip, port, _ := net.SplitHostPort(upstream)
		s.Nodes = append(s.Nodes, launch(t, &Server{authority: o.Authority, args: append([]string{"--replicaof", ip + " " + port}, args...)}))
	}
	sentinels, patience := 3, "2000"
	if o.BreakableLinks {
		sentinels, patience = 1, "60000"
	}
	_, port, _ := net.SplitHostPort(primary.Addr)
	quorum := sentinels/2 + 1
	for i := range sentinels {
		// The third is slower: of three that notice at once each may vote for itself, and the failover then waits for another election.
		watch := []string{
			fmt.Sprintf("sentinel monitor %s %s %s %d", Master, host, port, quorum),
			fmt.Sprintf("sentinel down-after-milliseconds %s %d", Master, 400+i/2*1000),
			fmt.Sprintf("sentinel failover-timeout %s %s", Master, patience),
		}
		if password := primary.argument("--requirepass"); password != "" {
			watch = append(watch, fmt.Sprintf("sentinel auth-pass %s %s", Master, password))
		}
		s.Sentinels = append(s.Sentinels, launch(t, &Server{authority: o.Authority, sentinel: true, args: watch}))
	}
	for _, replica := range s.Nodes[1:] {
		eventually(t, "a replica follows the primary", func() error { return replica.reports("replication", "master_link_status:up") })
	}
	for _, sentinel := range s.Sentinels {
		want := fmt.Sprintf("status=ok,address=%s,slaves=2,sentinels=%d", primary.Addr, sentinels)
		eventually(t, "a sentinel knows everybody", func() error { return sentinel.reports("sentinel", want) })
	}
	return s
}

// sentinelFile is the configuration that a sentinel starts from; it writes to it what it learns.
func (s *Server) sentinelFile(t testing.TB) string {
	t.Helper()
	path := filepath.Join(s.dir, "sentinel.conf")
	if _, err := os.Stat(path); err != nil {
		must(t, os.WriteFile(path, []byte(strings.Join(s.args, "\n")), 0o600))
	}
	return path
}

// reports is nil when a section of INFO has the text.
func (s *Server) reports(section, text string) error {
	c := redis.NewClient(s.options())
	defer c.Close()
	info, err := c.Info(context.Background(), section).Result()
	if err != nil {
		return err
	}
	if !strings.Contains(info, text) {
		return fmt.Errorf("no %q in %s", text, info)
	}
	return nil
}

// Addresses are those of the sentinels.
func (s *Sentinel) Addresses() []string { return addresses(s.Sentinels) }

// AwaitSynced returns when both replicas have everything that the first primary has.
func (s *Sentinel) AwaitSynced(t testing.TB) {
	t.Helper()
	c := s.Nodes[0].Client(t)
	eventually(t, "both replicas have everything", func() error {
		n, err := c.Do(context.Background(), "WAIT", 2, 500).Int()
		if err == nil && n < 2 {
			err = fmt.Errorf("only %d", n)
		}
		return err
	})
}

// Primary is the node that says that it is the primary, of those that answer; nil if there is none now.
func (s *Sentinel) Primary() *Server {
	for _, node := range s.Nodes {
		if node.alive() && node.reports("replication", "role:master") == nil {
			return node
		}
	}
	return nil
}

// AwaitFailover returns the new primary, once one of the other nodes has become it.
func (s *Sentinel) AwaitFailover(t testing.TB, old *Server) (fresh *Server) {
	t.Helper()
	eventually(t, "a replica becomes the primary", func() error {
		for _, node := range s.Nodes {
			if node != old && node.alive() && node.reports("replication", "role:master") == nil {
				fresh = node
				return nil
			}
		}
		return fmt.Errorf("none has")
	})
	return fresh
}

func addresses(servers []*Server) (list []string) {
	for _, s := range servers {
		list = append(list, s.Addr)
	}
	return list
}

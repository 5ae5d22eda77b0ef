package redistest_test

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"postern/session/redistest"
)

func TestAPrimaryThatGoesIsReplaced(t *testing.T) {
	t.Parallel()
	s := redistest.StartSentinel(t, redistest.SentinelOptions{})
	old := s.Primary()
	if old != s.Nodes[0] {
		t.Fatal("the first node is not the primary")
	}
	old.Kill(t)
	began := time.Now()
	fresh := s.AwaitFailover(t, old)
	t.Logf("failover took %v", time.Since(began))
	if err := fresh.Client(t).Set(t.Context(), "k", "v", 0).Err(); err != nil {
		t.Error(err)
	}
}

func TestAReplicaOfTheClusterTakesOver(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, redistest.ClusterOptions{Replicas: true})
	if err := c.Nodes[c.Owner(t, "key")].Client(t).Set(t.Context(), "key", "v", 0).Err(); err != nil {
		t.Fatal(err)
	}
}

func TestEverythingSpeaksTLS(t *testing.T) {
	t.Parallel()
	a := redistest.NewAuthority(t)
	redistest.StartSentinel(t, redistest.SentinelOptions{Authority: a})
	redistest.StartCluster(t, redistest.ClusterOptions{Authority: a})
	if err := redistest.StartTLS(t, a).Client(t).Ping(t.Context()).Err(); err != nil {
		t.Error(err)
	}
}

func TestAFaultPathBreaks(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	path := redistest.NewFaultPath(t, server.Addr)
	conn, err := net.Dial("tcp", path.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ask := func(within time.Duration) error {
		_ = conn.SetDeadline(time.Now().Add(within))
		if _, err := conn.Write([]byte("PING\r\n")); err != nil {
			return err
		}
		_, err := io.ReadFull(conn, make([]byte, len("+PONG\r\n")))
		return err
	}
	const patience = 20 * time.Second
	if err := ask(patience); err != nil {
		t.Fatal(err)
	}
	path.Set(redistest.Fault{BlackHole: true})
	if err := ask(200 * time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("black hole: %v", err)
	}
	path.Set(redistest.Fault{Delay: 50 * time.Millisecond})
	if began := time.Now(); ask(patience) != nil || time.Since(began) < 100*time.Millisecond {
		t.Errorf("delayed: %v", time.Since(began))
	}
	path.Set(redistest.Fault{Refuse: true})
	if err := ask(patience); err == nil {
		t.Error("refused, and it answers")
	}
}

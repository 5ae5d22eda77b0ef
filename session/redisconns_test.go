package session

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"time"
)

// Sentinels may name hosts and not addresses. A further connection to the same primary leaves the others alone; one to another ends them.
func TestConnectionsFollowThePrimaryByName(t *testing.T) {
	t.Parallel()
	addresses := make([]string, 2)
	for i := range addresses {
		listener, err := net.Listen("tcp", "localhost:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = listener.Close() })
		go func() {
			for {
				conn, err := listener.Accept()
				if err != nil {
					return
				}
				go func() {
					defer func() { _ = conn.Close() }()
					_, _ = io.Copy(io.Discard, conn)
				}()
			}
		}()
		_, port, _ := net.SplitHostPort(listener.Addr().String())
		addresses[i] = net.JoinHostPort("localhost", port)
	}
	primary := addresses[0]
	c := &conns{primary: func(context.Context) (string, error) { return primary, nil }, open: map[*conn]bool{}}
	dial := func() net.Conn {
		made, err := c.dial(t.Context(), "tcp", "the primary")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = made.Close() })
		return made
	}
	first, second := dial(), dial()
	if open := len(c.open); open != 2 {
		t.Errorf("%d connections are open, want both", open)
	}
	primary = addresses[1]
	dial()
	for _, old := range []net.Conn{first, second} {
		_ = old.SetReadDeadline(time.Now().Add(time.Second))
		if _, err := old.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) && !errors.Is(err, io.EOF) {
			t.Errorf("a connection to the old primary: %v, want it closed", err)
		}
	}
	if open := len(c.open); open != 1 {
		t.Errorf("%d connections are open, want that of the new primary", open)
	}
}

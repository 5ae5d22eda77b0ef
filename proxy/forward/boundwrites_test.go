package forward

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

// boundPipe is a connection as a listener of [BoundWrites] accepts it, and its other side, of which nothing is taken unless somebody reads.
func boundPipe(t *testing.T, limit time.Duration) (conn net.Conn, inner *countedConn, client net.Conn) {
	t.Helper()
	inner = new(countedConn)
	inner.Conn, client = net.Pipe()
	conn, err := BoundWrites(oneConn{inner}, limit).Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = conn.Close(), client.Close() })
	return conn, inner, client
}

type oneConn struct{ net.Conn }

func (l oneConn) Accept() (net.Conn, error) { return l.Conn, nil }
func (l oneConn) Addr() net.Addr            { return l.LocalAddr() }

// countedConn counts how often its deadline for writes is set.
type countedConn struct {
	net.Conn
	deadlines int
}

func (c *countedConn) SetWriteDeadline(t time.Time) error {
	c.deadlines++
	return c.Conn.SetWriteDeadline(t)
}

// Row 78: what nobody takes is given up, and a pause between two writes is nobody's fault.
func TestRow78WritesAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const limit = time.Minute
		conn, _, client := boundPipe(t, limit)
		for range 3 {
			go func() { _, _ = io.ReadFull(client, make([]byte, 1)) }()
			if _, err := conn.Write([]byte("x")); err != nil {
				t.Fatal(err)
			}
			time.Sleep(2 * limit) // the deadline passes
		}
		began := time.Now()
		if _, err := conn.Write([]byte("x")); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("nobody takes it, and there is %v", err)
		}
		if took := time.Since(began); took < limit || took > limit+limit/4 {
			t.Errorf("given up after %v", took)
		}
	})
}

// The deadline is moved on seldom, also where net/http takes one back after each request, and each write has the whole limit.
func TestDeadlineIsMovedOnSeldom(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const limit, minutes = time.Minute, 5
		conn, inner, client := boundPipe(t, limit)
		go func() { _, _ = io.Copy(io.Discard, client) }()
		for range minutes * 60 { // a request a second
			if _, err := conn.Write([]byte("x")); err != nil {
				t.Fatal(err)
			}
			if err := conn.SetWriteDeadline(time.Time{}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
		}
		if inner.deadlines < 4 || inner.deadlines > 4*minutes {
			t.Errorf("set %d times in %d minutes", inner.deadlines, minutes)
		}
	})
}

// A deadline that others have set counts until they take it back, and a connection that was handed over has none of ours.
func TestDeadlinesOfOthersCount(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const limit = time.Minute
		conn, _, client := boundPipe(t, limit)
		if err := conn.SetWriteDeadline(time.Now().Add(time.Second)); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if _, err := conn.Write([]byte("x")); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(began) != time.Second {
			t.Errorf("theirs: %v after %v", err, time.Since(began))
		}
		if err := conn.SetWriteDeadline(time.Time{}); err != nil {
			t.Fatal(err)
		}
		began = time.Now()
		if _, err := conn.Write([]byte("x")); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(began) < limit {
			t.Errorf("theirs was taken back: %v after %v", err, time.Since(began))
		}

		conn, _, client = boundPipe(t, limit)
		if err := conn.SetDeadline(time.Time{}); err != nil { // as net/http does
			t.Fatal(err)
		}
		go func() {
			time.Sleep(4 * limit)
			_, _ = io.Copy(io.Discard, client)
		}()
		if _, err := conn.Write([]byte("x")); err != nil {
			t.Errorf("handed over: %v", err)
		}
	})
}

// What the connection can do is not lost, and where there is no limit, nothing stands before it.
func TestBoundConnectionClosesOneDirection(t *testing.T) {
	t.Parallel()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	conn, err := BoundWrites(l, time.Minute).Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := closeWrite(conn); err != nil {
		t.Fatal(err)
	}
	if n, err := client.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("%d, %v; want the end", n, err)
	}
	if BoundWrites(l, 0) != l {
		t.Error("bounded without a limit")
	}
}

package forward

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"
)

// boundPipe is a connection as a listener of [BoundWrites] accepts it, and its other side, of which nothing is taken unless somebody reads.
func boundPipe(t *testing.T, limit time.Duration) (conn, client net.Conn) {
	t.Helper()
	conn, client = net.Pipe()
	l := BoundWrites(oneConn{conn}, limit)
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = conn.Close(), client.Close() })
	return conn, client
}

type oneConn struct{ net.Conn }

func (l oneConn) Accept() (net.Conn, error) { return l.Conn, nil }
func (l oneConn) Addr() net.Addr            { return l.LocalAddr() }

// Row 78: what nobody takes is given up, and a pause between two writes is nobody's fault.
func TestRow78WritesAreBounded(t *testing.T) {
	t.Parallel()
	const limit = 100 * time.Millisecond
	conn, client := boundPipe(t, limit)
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
	if took := time.Since(began); took < limit {
		t.Errorf("given up after %v", took)
	}
}

// A deadline that others have set counts until they take it back, and a connection that was handed over has none of ours.
func TestDeadlinesOfOthersCount(t *testing.T) {
	t.Parallel()
	const limit = 50 * time.Millisecond
	conn, client := boundPipe(t, time.Hour)
	if err := conn.SetWriteDeadline(time.Now().Add(-time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write([]byte("x")); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("after theirs: %v", err)
	}
	go func() { _, _ = io.Copy(io.Discard, client) }()
	if err := conn.SetWriteDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write([]byte("x")); err != nil {
		t.Errorf("theirs was taken back: %v", err)
	}

	conn, client = boundPipe(t, limit)
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
}

// Where there is no limit, nothing stands between the server and its connections.
func TestNoLimitBoundsNothing(t *testing.T) {
	t.Parallel()
	conn, _ := boundPipe(t, 0)
	if _, is := conn.(*boundConn); is {
		t.Error("bounded")
	}
}

package forward

import (
	"math"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// BoundWrites bounds how long a connection of l waits for its client to take what is written to it: whoever takes nothing for so long is cut off.
// That is HTTP/1.1's whole answer to such clients, the end of an answer that net/http keeps until its handler has returned included; by HTTP/2
// it is their connection, and [Server.Stall] their streams. limit <= 0 bounds nothing. An upgraded connection is left to itself.
func BoundWrites(l net.Listener, limit time.Duration) net.Listener {
	if limit <= 0 {
		return l
	}
	return boundListener{l, limit}
}

type boundListener struct {
	net.Listener
	limit time.Duration
}

// Accept implements [net.Listener].
func (l boundListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &boundConn{Conn: conn, limit: l.limit}, nil
}

// boundConn keeps a deadline for writes ahead of the time. It is moved on seldom, since that costs more than to look at the clock; one that has
// passed while nobody wrote means nothing.
type boundConn struct {
	net.Conn
	limit time.Duration

	mu    sync.Mutex   // held while the deadline changes
	until atomic.Int64 // when it is, in nanoseconds since the epoch, or one of the constants below
}

// epoch is what deadlines are counted from: somebody may set the clock, but never what has passed since.
var epoch = time.Now()

const (
	none    = 0             // there is no deadline yet
	notOurs = math.MaxInt64 // others have set one, which is kept
)

// Write implements [net.Conn].
func (c *boundConn) Write(p []byte) (int, error) {
	if now := time.Since(epoch); c.isNear(now) {
		if err := c.moveOn(now); err != nil {
			return 0, err
		}
	}
	return c.Conn.Write(p)
}

// isNear says whether the deadline leaves a write less than it may take.
func (c *boundConn) isNear(now time.Duration) bool {
	until := c.until.Load()
	return until != notOurs && (until == none || time.Duration(until)-now < c.limit)
}

func (c *boundConn) moveOn(now time.Duration) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.isNear(now) {
		return nil
	}
	ahead := c.limit + c.limit/4
	c.until.Store(int64(now + ahead))
	return c.Conn.SetWriteDeadline(time.Now().Add(ahead))
}

// SetWriteDeadline implements [net.Conn]: the caller's counts, until it takes it back. net/http takes one back after each request, there being one
// or not: ours stays.
func (c *boundConn) SetWriteDeadline(t time.Time) error {
	if t.IsZero() && c.until.Load() != notOurs {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if t.IsZero() {
		c.until.Store(none)
	} else {
		c.until.Store(notOurs)
	}
	return c.Conn.SetWriteDeadline(t)
}

// SetDeadline implements [net.Conn]. net/http takes back both deadlines of a connection that it hands over.
func (c *boundConn) SetDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.until.Store(notOurs)
	return c.Conn.SetDeadline(t)
}

// CloseWrite ends one direction, where the connection can.
func (c *boundConn) CloseWrite() error { return closeWrite(c.Conn) }

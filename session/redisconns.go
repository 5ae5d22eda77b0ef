package session

import (
	"context"
	"crypto/tls"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// dialTimeout bounds a new connection, with TLS and the question who is the primary.
const dialTimeout = 400 * time.Millisecond

// conns makes the connections to Redis and remembers them, so that those to a server that is gone can be closed all at once. The client
// library finds them out one by one, each by a time-out, and with a pool of them an outage would last long after its end.
type conns struct {
	tls     *tls.Config                                  // nil without
	primary func(context.Context) (addr string, _ error) // asks the sentinels; nil without them

	mu   sync.Mutex
	open map[*conn]bool
}

// conn is one connection.
type conn struct {
	net.Conn
	asked  string // what the library wanted to reach: with Sentinel one name for whoever is the primary
	addr   string // who that was
	closed func(*conn)
	gone   atomic.Bool
}

// dial makes a connection; it has the shape of the library's Dialer.
func (c *conns) dial(ctx context.Context, network, asked string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	addr := asked
	if c.primary != nil {
		var err error
		if addr, err = c.primary(ctx); err != nil {
			return nil, err
		}
		c.drop(func(other *conn) bool { return other.addr != addr }) // by name: sentinels may name hosts
	}
	dialer := net.Dialer{KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 3}}
	raw, err := dialer.DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	made := &conn{Conn: raw, asked: asked, addr: addr, closed: c.forget}
	if c.tls != nil {
		if made.Conn, err = handshakeTLS(ctx, raw, addr, c.tls); err != nil {
			return nil, err
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open[made] = true
	return made, nil
}

func handshakeTLS(ctx context.Context, raw net.Conn, addr string, cfg *tls.Config) (net.Conn, error) {
	if cfg.ServerName == "" {
		host, _, err := net.SplitHostPort(addr)
		if err != nil {
			host = addr
		}
		cfg = cfg.Clone()
		cfg.ServerName = host
	}
	secured := tls.Client(raw, cfg)
	if err := secured.HandshakeContext(ctx); err != nil {
		_ = raw.Close()
		return nil, err
	}
	return secured, nil
}

// drop closes connections; calls that wait on one fail at once.
func (c *conns) drop(which func(*conn) bool) {
	c.mu.Lock()
	var dropped []*conn
	for one := range c.open {
		if which(one) {
			dropped = append(dropped, one)
		}
	}
	c.mu.Unlock()
	for _, one := range dropped {
		one.gone.Store(true)
		_ = one.Close()
	}
}

func (c *conns) dropAsked(asked string) { c.drop(func(one *conn) bool { return one.asked == asked }) }

func (c *conns) forget(one *conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.open, one)
}

// Close implements [net.Conn].
func (c *conn) Close() error {
	c.closed(c)
	if secured, ok := c.Conn.(*tls.Conn); ok && c.gone.Load() {
		return secured.NetConn().Close() // nobody would read the farewell, and writing it takes up to 5 s
	}
	return c.Conn.Close()
}

// SyscallConn is how the library looks whether an idle connection is still good. That of TLS cannot be looked into, but must say that it was
// closed.
func (c *conn) SyscallConn() (syscall.RawConn, error) {
	if c.gone.Load() {
		return nil, net.ErrClosed
	}
	if plain, ok := c.Conn.(syscall.Conn); ok {
		return plain.SyscallConn()
	}
	return opaque{}, nil
}

// opaque lets nobody look, and finds nothing wrong.
type opaque struct{}

func (opaque) Control(func(uintptr)) error    { return nil }
func (opaque) Read(func(uintptr) bool) error  { return nil }
func (opaque) Write(func(uintptr) bool) error { return nil }

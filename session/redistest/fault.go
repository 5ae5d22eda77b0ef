package redistest

import (
	"context"
	"net"
	"sync"
	"testing"
	"time"
)

// Fault is what a [FaultPath] does to connections. The zero value lets everything pass.
type Fault struct {
	Refuse    bool          // new connections are closed at once, with a reset, and open ones too
	BlackHole bool          // bytes vanish in both directions; nothing is closed, so that neither side can notice
	DropAbove int           // chunks longer than this vanish, shorter ones pass; 0 means no limit
	Delay     time.Duration // every chunk comes so much later
}

// FaultPath is a TCP path to a target, with the faults of the moment.
type FaultPath struct {
	Addr string // host:port to connect to instead of the target

	target string

	mu    sync.Mutex
	fault Fault
	conns map[*net.TCPConn]bool // both sides of every open path

	stranded map[*net.TCPConn]bool
}

// NewFaultPath opens a path to a host:port.
func NewFaultPath(t testing.TB, target string) *FaultPath {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		t.Fatal(err)
	}
	f := &FaultPath{Addr: l.Addr().String(), target: target, conns: map[*net.TCPConn]bool{}, stranded: map[*net.TCPConn]bool{}}
	var open sync.WaitGroup
	open.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			open.Go(func() { f.serve(client.(*net.TCPConn)) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		f.Set(Fault{Refuse: true}) // also those that were accepted just now
		open.Wait()
	})
	return f
}

func (f *FaultPath) serve(client *net.TCPConn) {
	if f.now().Refuse {
		reset(client)
		return
	}
	raw, err := (&net.Dialer{Timeout: 5 * time.Second}).DialContext(context.Background(), "tcp", f.target)
	if err != nil {
		reset(client)
		return
	}
	server := raw.(*net.TCPConn)
	if !f.keep(client, server) {
		reset(client)
		reset(server)
		return
	}
	defer f.drop(client, server)
	var both sync.WaitGroup
	both.Go(func() { f.carry(server, client) })
	both.Go(func() { f.carry(client, server) })
	both.Wait()
}

// Set changes the fault, for open connections too.
func (f *FaultPath) Set(fault Fault) {
	f.mu.Lock()
	f.fault = fault
	f.mu.Unlock()
	if fault.Refuse {
		f.Cut()
	}
}

// Heal is Set with no fault. What vanished before stays lost.
func (f *FaultPath) Heal() { f.Set(Fault{}) }

// Strand makes the open connections a black hole for ever, while new ones are as the fault says: what is left of a server that was
// replaced.
func (f *FaultPath) Strand() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for conn := range f.conns {
		f.stranded[conn] = true
	}
}

// Cut resets every open connection; new ones are as the fault says.
func (f *FaultPath) Cut() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for conn := range f.conns {
		reset(conn)
	}
}

// Open is the number of connections that clients hold now.
func (f *FaultPath) Open() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.conns) / 2
}

func (f *FaultPath) now() Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.fault
}

// on is the fault of one connection.
func (f *FaultPath) on(conn *net.TCPConn) Fault {
	fault := f.now()
	f.mu.Lock()
	defer f.mu.Unlock()
	fault.BlackHole = fault.BlackHole || f.stranded[conn]
	return fault
}

// keep is false if the path was closed in the meantime.
func (f *FaultPath) keep(client, server *net.TCPConn) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fault.Refuse {
		return false
	}
	f.conns[client], f.conns[server] = true, true
	return true
}

func (f *FaultPath) drop(client, server *net.TCPConn) {
	client.Close()
	server.Close()
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, conn := range []*net.TCPConn{client, server} {
		delete(f.conns, conn)
		delete(f.stranded, conn)
	}
}

// carry moves chunks until one side ends, and then tells the other.
func (f *FaultPath) carry(to, from *net.TCPConn) {
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		fault := f.on(from)
		if n > 0 && !fault.BlackHole && (fault.DropAbove == 0 || n <= fault.DropAbove) {
			time.Sleep(fault.Delay)
			if _, err := to.Write(buf[:n]); err != nil {
				reset(from)
				return
			}
		}
		if err != nil {
			// An end is a packet like any other: in a black hole it is lost.
			if !f.on(from).BlackHole {
				_ = to.CloseWrite()
			}
			return
		}
	}
}

// reset closes with RST: the other side gets an error, not an end of file.
func reset(conn *net.TCPConn) {
	_ = conn.SetLinger(0)
	conn.Close()
}

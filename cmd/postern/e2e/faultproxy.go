package e2e

import (
	"net"
	"sync"
	"testing"
	"time"
)

// Fault is what a [FaultProxy] does to connections. The zero value lets everything pass.
type Fault struct {
	Refuse    bool          // new connections are closed at once, with a reset, and open ones too
	BlackHole bool          // bytes vanish in both directions; nothing is closed, so that neither side can notice
	DropAbove int           // chunks longer than this vanish, shorter ones pass; 0 means no limit
	Delay     time.Duration // every chunk comes so much later
}

// FaultyPath is a TCP path to a target, with the faults of the moment.
type FaultyPath struct {
	Addr string // host:port to connect to instead of the target

	mu    sync.Mutex
	fault Fault
	conns map[*net.TCPConn]bool // both sides of every open path
}

// FaultProxy opens a path to a host:port.
func FaultProxy(t testing.TB, target string) *FaultyPath {
	t.Helper()
	f := &FaultyPath{conns: map[*net.TCPConn]bool{}}
	f.Addr = listen(t, "127.0.0.1:0", func(conn net.Conn) {
		client := conn.(*net.TCPConn)
		if f.now().Refuse {
			reset(client)
			return
		}
		raw, err := net.DialTimeout("tcp", target, 5*time.Second)
		if err != nil {
			reset(client)
			return
		}
		server := raw.(*net.TCPConn)
		f.keep(client, server)
		defer f.drop(client, server)
		var both sync.WaitGroup
		both.Go(func() { f.carry(server, client) })
		both.Go(func() { f.carry(client, server) })
		both.Wait()
	})
	// Before listen's cleanup, which waits for the connections.
	t.Cleanup(f.Cut)
	return f
}

// Set changes the fault, for open connections too.
func (f *FaultyPath) Set(fault Fault) {
	f.mu.Lock()
	f.fault = fault
	f.mu.Unlock()
	if fault.Refuse {
		f.Cut()
	}
}

// Heal is Set with no fault. What vanished before stays lost.
func (f *FaultyPath) Heal() { f.Set(Fault{}) }

// Cut resets every open connection; new ones are as the fault says.
func (f *FaultyPath) Cut() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for conn := range f.conns {
		reset(conn)
	}
}

// Open is the number of connections that clients hold now.
func (f *FaultyPath) Open() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.conns) / 2
}

func (f *FaultyPath) now() Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.fault
}

func (f *FaultyPath) keep(client, server *net.TCPConn) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.conns[client], f.conns[server] = true, true
}

func (f *FaultyPath) drop(client, server *net.TCPConn) {
	client.Close()
	server.Close()
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.conns, client)
	delete(f.conns, server)
}

// carry moves chunks until one side ends, and then tells the other.
func (f *FaultyPath) carry(to, from *net.TCPConn) {
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		fault := f.now()
		if n > 0 && !fault.BlackHole && (fault.DropAbove == 0 || n <= fault.DropAbove) {
			time.Sleep(fault.Delay)
			if _, err := to.Write(buf[:n]); err != nil {
				reset(from)
				return
			}
		}
		if err != nil {
			// An end is a packet like any other: in a black hole it is lost.
			if !f.now().BlackHole {
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

package cluster

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"
)

// ErrNoRoute is what an egress dialer says of an address that it does not know: the next one is asked, or the connection refused.
var ErrNoRoute = errors.New("no route")

// Egress is the way of the API server into the cluster: an HTTP CONNECT proxy on a Unix socket. It knows the addresses of Services; what it
// does not know it refuses, so that no packet ever leaves for an address that only a real cluster would have.
type Egress struct {
	socket   string
	listener net.Listener
	lookup   func(ctx context.Context, namespace, service string) (string, error) // the Service's cluster address

	mu     sync.Mutex
	routes map[string]string // "service.namespace.svc:port" or "ip:port" → where it is on this machine
	dial   func(ctx context.Context, address string) (net.Conn, error)
}

func newEgress(socket string, lookup func(context.Context, string, string) (string, error)) (*Egress, error) {
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "unix", socket)
	if err != nil {
		return nil, err
	}
	e := &Egress{socket: socket, listener: l, lookup: lookup, routes: map[string]string{}}
	go e.serve()
	return e, nil
}

// Socket is the path of the Unix socket.
func (e *Egress) Socket() string { return e.socket }

// Route sends the connections to a Service ("injector.postern.svc:443", which need not exist yet) or to an address ("10.96.0.50:443") to an
// address of this machine. An empty target forgets the route.
func (e *Egress) Route(from, to string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if to == "" {
		delete(e.routes, from)
		return
	}
	e.routes[from] = to
}

// Dialer is asked for every "ip:port" without a route. It says [ErrNoRoute] of those that it does not know.
func (e *Egress) Dialer(dial func(ctx context.Context, address string) (net.Conn, error)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.dial = dial
}

func (e *Egress) close() {
	e.listener.Close()
	_ = os.Remove(e.socket)
}

func (e *Egress) serve() {
	for {
		client, err := e.listener.Accept()
		if err != nil {
			return
		}
		go e.connect(client)
	}
}

func (e *Egress) connect(client net.Conn) {
	defer client.Close()
	in := bufio.NewReader(client)
	req, err := http.ReadRequest(in)
	if err != nil || req.Method != http.MethodConnect {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	server, err := e.open(ctx, req.Host)
	if err != nil {
		status := http.StatusServiceUnavailable
		if errors.Is(err, ErrNoRoute) {
			status = http.StatusBadGateway
		}
		fmt.Fprintf(client, "HTTP/1.1 %d %s\r\nContent-Length: 0\r\n\r\n", status, http.StatusText(status)) //nolint:errcheck // the refusal is all there is to say
		return
	}
	if _, err := io.WriteString(client, "HTTP/1.1 200 OK\r\n\r\n"); err != nil {
		server.Close()
		return
	}
	Splice(client, in, server)
}

// open dials what stands for an address of the cluster.
func (e *Egress) open(ctx context.Context, address string) (net.Conn, error) {
	e.mu.Lock()
	to, known := e.routes[address]
	services := map[string]string{}
	for from, to := range e.routes {
		services[from] = to
	}
	dial := e.dial
	e.mu.Unlock()
	ip, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("%w to %q", ErrNoRoute, address)
	}
	for from, target := range services {
		host, fromPort, _ := net.SplitHostPort(from)
		name, namespace, _ := strings.Cut(strings.TrimSuffix(host, ".svc"), ".")
		if known || fromPort != port || net.ParseIP(host) != nil {
			continue
		}
		if there, err := e.lookup(ctx, namespace, name); err == nil && there == ip {
			to, known = target, true
		}
	}
	switch {
	case known:
		return (&net.Dialer{}).DialContext(ctx, "tcp", to)
	case dial != nil:
		return dial(ctx, address)
	default:
		return nil, fmt.Errorf("%w to %s", ErrNoRoute, address)
	}
}

// serviceAddress asks the API server for the address of a Service.
func (c *Cluster) serviceAddress(ctx context.Context, namespace, name string) (string, error) {
	var service struct{ Spec struct{ ClusterIP string } }
	err := c.Do(ctx, http.MethodGet, "/api/v1/namespaces/"+namespace+"/services/"+name, nil, &service)
	return service.Spec.ClusterIP, err
}

// Splice copies in both directions until both ends are done, hands on each half's end by itself, and closes both connections. What was read
// from a ahead of time is in aReader.
func Splice(a net.Conn, aReader io.Reader, b net.Conn) {
	defer a.Close()
	defer b.Close()
	var both sync.WaitGroup
	pipe := func(to net.Conn, from io.Reader) {
		_, err := io.Copy(to, from)
		half, ok := to.(interface{ CloseWrite() error })
		if err == nil && ok {
			err = half.CloseWrite()
		}
		if err != nil || !ok { // a reset, or no halves: then nothing of the other direction can be of use
			a.Close()
			b.Close()
		}
	}
	both.Go(func() { pipe(b, aReader) })
	both.Go(func() { pipe(a, b) })
	both.Wait()
}

package e2e

import (
	"context"
	"errors"
	"maps"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/http/httputil"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// ServedBy is the header by which a [Replicas] says who answered: the address of the replica.
const ServedBy = "E2e-Served-By"

// Replicas are several posterns of one configuration behind one address, which hands each request to the next of them. Who refuses
// connections is passed over, as a Service does with a pod that is gone; who hangs is not.
type Replicas struct {
	Addr string // host:port of the one address
	All  []*Replica

	turn atomic.Uint32
}

// Replica is one of them. Its own address is Addr of the process.
type Replica struct {
	*Process
	Store *FaultyPath // its own way to Redis; nil unless one was asked for
}

// StartReplicas runs n posterns, and returns when all are ready. Their common address is what env says as POSTERN_BIND_ADDRESS (or a free
// port), so that what a test prepared for one postern fits several. If store is the host:port of a Redis, each replica reaches it by a path
// of its own that can be broken, as its POSTERN_REDIS_URI.
func StartReplicas(t testing.TB, n int, env map[string]string, store string) *Replicas {
	t.Helper()
	r := &Replicas{Addr: env["POSTERN_BIND_ADDRESS"]}
	if r.Addr == "" {
		r.Addr = "127.0.0.1:" + FreePort(t)
	}
	for range n {
		replica := &Replica{}
		own := maps.Clone(env)
		for _, listener := range []string{"BIND_ADDRESS", "PROBE_BIND_ADDRESS", "METRICS_BIND_ADDRESS", "TOKEN_BIND_ADDRESS"} {
			delete(own, "POSTERN_"+listener)
		}
		if store != "" {
			replica.Store = FaultProxy(t, store)
			own["POSTERN_REDIS_URI"] = "redis://" + replica.Store.Addr
		}
		replica.Process = Launch(t, own)
		replica.stopAtEnd(t)
		r.All = append(r.All, replica)
	}
	for _, replica := range r.All {
		replica.WaitReady(t)
	}
	r.serve(t)
	return r
}

// serve listens on the common address.
func (r *Replicas) serve(t testing.TB) {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", r.Addr)
	if err != nil {
		t.Fatal(err)
	}
	// A connection for each request: that is what makes each go to the next.
	to := &http.Transport{DisableKeepAlives: true, DisableCompression: true, DialContext: r.dialNext}
	server := &http.Server{
		ReadHeaderTimeout: time.Minute,
		Handler: &httputil.ReverseProxy{
			Rewrite: func(p *httputil.ProxyRequest) {
				p.Out.URL.Scheme, p.Out.URL.Host = "http", r.Addr
				for name, values := range p.In.Header {
					if name == "Forwarded" || strings.HasPrefix(name, "X-Forwarded-") { // taken out before, for others to set
						p.Out.Header[name] = values
					}
				}
			},
			Transport:     tellsWho{to},
			FlushInterval: -1,
			ErrorHandler:  func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
		},
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(l) // ends with Close
	}()
	t.Cleanup(func() {
		_ = server.Close()
		<-done
	})
}

// dialNext connects to the next replica that takes connections.
func (r *Replicas) dialNext(ctx context.Context, network, _ string) (net.Conn, error) {
	err := errors.New("there are no replicas")
	for range r.All {
		var conn net.Conn
		next := r.All[int(r.turn.Add(1)-1)%len(r.All)]
		if conn, err = (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, network, next.Addr); err == nil {
			return conn, nil
		}
	}
	return nil, err
}

type tellsWho struct{ http.RoundTripper }

func (to tellsWho) RoundTrip(req *http.Request) (*http.Response, error) {
	var who atomic.Value
	resp, err := to.RoundTripper.RoundTrip(req.WithContext(httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{
		GotConn: func(got httptrace.GotConnInfo) { who.Store(got.Conn.RemoteAddr().String()) },
	})))
	if at, ok := who.Load().(string); ok && err == nil {
		resp.Header.Set(ServedBy, at)
	}
	return resp, err
}

// At is the same browser, with the same cookies, whose requests to the common address all go to one replica. Requests to others, such as
// the provider, go where they would.
func (r *Replicas) At(c *Client, replica int) *Client {
	c.t.Helper()
	to := loopback()
	dial := to.DialContext
	to.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		_, port, _ := net.SplitHostPort(r.Addr)
		if host, asked, err := net.SplitHostPort(addr); err == nil && asked == port && (isLocalhost(host) || host == "127.0.0.1") {
			addr = r.All[replica].Addr
		}
		return dial(ctx, network, addr)
	}
	c.t.Cleanup(to.CloseIdleConnections)
	there, inner := *c, *c.http
	inner.Transport = to
	there.http = &inner
	return &there
}

// Restart starts a replica again that was killed or stopped, as it was, and returns when it is ready.
func (r *Replica) Restart(t testing.TB) {
	t.Helper()
	r.again(t)
	r.stopAtEnd(t)
	r.WaitReady(t)
}

// stopAtEnd comes after each start, because cleanups run backwards and the one of the start kills what still runs.
func (r *Replica) stopAtEnd(t testing.TB) {
	t.Cleanup(func() {
		if !r.ended {
			r.Stop(t)
		}
	})
}

// Stop ends it as [Process.Stop] does, also one that was frozen.
func (r *Replica) Stop(t testing.TB) {
	t.Helper()
	r.signal(syscall.SIGCONT)
	r.Process.Stop(t)
}

package proxy

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync"
	"time"

	"postern/config"
)

const (
	dialTimeout = 5 * time.Second

	// idleTimeout is below the keep-alive of every common app server but gunicorn (Node 5 s, Tomcat 20 s): who closes first must be us,
	// or the next request meets a connection that is being closed.
	idleTimeout = 4 * time.Second

	// idleConns is for one app: Go's default of 2 would dial anew for most requests under load.
	idleConns = 256

	copyBufferSize = 32 << 10
)

// transport carries requests to the app: HTTP/1.1, or HTTP/2 in clear with "upstream-h2c". It never uses a web proxy, and leaves bodies
// and Accept-Encoding alone. A WebSocket handshake goes by HTTP/1.1 in any case.
type transport struct {
	usual, upgrades *http.Transport
}

func newTransport(cfg config.Upstream) transport {
	http1 := newHTTPTransport(cfg)
	if !cfg.H2C {
		return transport{http1, http1}
	}
	h2c := newHTTPTransport(cfg)
	h2c.Protocols = new(http.Protocols)
	h2c.Protocols.SetUnencryptedHTTP2(true)
	return transport{h2c, http1}
}

func newHTTPTransport(cfg config.Upstream) *http.Transport {
	dialer := &net.Dialer{Timeout: dialTimeout}
	dial := dialer.DialContext
	if path, ok := strings.CutPrefix(cfg.Host, "unix:"); ok {
		dial = func(ctx context.Context, _, _ string) (net.Conn, error) { return dialer.DialContext(ctx, "unix", path) }
	}
	return &http.Transport{
		Proxy:                  nil,
		DialContext:            dial,
		DisableCompression:     true,
		MaxIdleConns:           idleConns,
		MaxIdleConnsPerHost:    idleConns,
		IdleConnTimeout:        idleTimeout,
		ResponseHeaderTimeout:  cfg.Timeout,
		ExpectContinueTimeout:  time.Second,
		MaxResponseHeaderBytes: 1 << 20,
	}
}

// RoundTrip implements [http.RoundTripper].
func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if t.usual == t.upgrades || isUpgrade(r) {
		return t.upgrades.RoundTrip(r)
	}
	return t.roundTripH2C(r)
}

// maxAttempts bounds how often one request is sent to an app that speaks HTTP/2.
const maxAttempts = 4

var errAttempts = errors.New("app refused every attempt to open an HTTP/2 stream")

// roundTripH2C ends the retries of net/http, which dials anew for ever and without a pause while the app resets the stream of a request
// without a body with PROTOCOL_ERROR: one request that the app cannot stand would take a core and all ports.
func (t transport) roundTripH2C(r *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(r.Context()) // ends with the client's request at the latest
	attempts := 0
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GetConn: func(string) {
		if attempts++; attempts > maxAttempts {
			cancel(errAttempts)
		}
	}})
	res, err := t.usual.RoundTrip(r.WithContext(ctx))
	if err != nil {
		cancel(err)
	}
	return res, err
}

// upstreamAddress is what stands in the URL's host. For a Unix socket it names the connection pool and nothing else.
func upstreamAddress(cfg config.Upstream) string {
	if strings.HasPrefix(cfg.Host, "unix:") {
		return "app"
	}
	return cfg.Host
}

// buffers keeps copy buffers. It stores pointers to arrays, because a slice put into a pool is an allocation each time.
type buffers struct{ pool sync.Pool }

// Get implements [httputil.BufferPool].
func (b *buffers) Get() []byte {
	if kept, ok := b.pool.Get().(*[copyBufferSize]byte); ok {
		return kept[:]
	}
	return new([copyBufferSize]byte)[:]
}

// Put implements [httputil.BufferPool].
func (b *buffers) Put(buffer []byte) { b.pool.Put((*[copyBufferSize]byte)(buffer)) }

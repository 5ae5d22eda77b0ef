package forward

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync"
	"time"
)

// DialTimeout bounds how long a connection may take, and then a TLS handshake.
const DialTimeout = 5 * time.Second

const (
	// idleTimeout is below the keep-alive of every common app server but gunicorn (Node 5 s, Tomcat 20 s): who closes first must be us,
	// or the next request meets a connection that is being closed.
	idleTimeout = 4 * time.Second

	// idleConns is for one server: Go's default of 2 would dial anew for most requests under load.
	idleConns = 256

	copyBufferSize = 32 << 10
)

// Way is how a server is reached. The zero value is HTTP/1.1 by TCP.
type Way struct {
	Socket   string                                                            // Unix socket to dial, whatever the URL says; "": none
	Dial     func(ctx context.Context, network, addr string) (net.Conn, error) // nil: as net.Dialer does, for at most 5 s
	WebProxy func(*http.Request) (*url.URL, error)                             // nil: none is used
	TLS      *tls.Config                                                       // of https: HTTP/2 too, where the server speaks it; nil: no https
	H2C      bool                                                              // HTTP/2 in clear and nothing else
	Timeout  time.Duration                                                     // to the response headers; 0 means none
}

// transport leaves bodies and Accept-Encoding alone. A WebSocket handshake goes by HTTP/1.1 in any case.
type transport struct {
	usual, upgrades *http.Transport
}

// NewTransport makes what [Forwarder] sends requests by. It does no I/O.
func NewTransport(way Way) http.RoundTripper {
	http1 := newHTTPTransport(way)
	if !way.H2C && way.TLS == nil {
		return transport{http1, http1}
	}
	http2 := newHTTPTransport(way)
	http2.Protocols = new(http.Protocols)
	http2.Protocols.SetUnencryptedHTTP2(way.H2C)
	http2.Protocols.SetHTTP1(way.TLS != nil)
	http2.Protocols.SetHTTP2(way.TLS != nil)
	return transport{http2, http1}
}

func newHTTPTransport(way Way) *http.Transport {
	dial := way.Dial
	dialer := &net.Dialer{Timeout: DialTimeout}
	switch {
	case way.Socket != "":
		dial = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, "unix", way.Socket)
		}
	case dial == nil:
		dial = dialer.DialContext
	}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	return &http.Transport{
		Proxy:                  way.WebProxy,
		DialContext:            dial,
		TLSClientConfig:        way.TLS.Clone(), // net/http writes its protocols into it
		Protocols:              protocols,
		TLSHandshakeTimeout:    DialTimeout,
		DisableCompression:     true,
		MaxIdleConns:           idleConns,
		MaxIdleConnsPerHost:    idleConns,
		IdleConnTimeout:        idleTimeout,
		ResponseHeaderTimeout:  way.Timeout,
		ExpectContinueTimeout:  time.Second,
		MaxResponseHeaderBytes: 1 << 20,
	}
}

// RoundTrip implements [http.RoundTripper].
func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if t.usual == t.upgrades || IsUpgrade(r) {
		return t.upgrades.RoundTrip(r)
	}
	return t.roundTripHTTP2(r)
}

// maxAttempts bounds how often one request is sent to a server that speaks HTTP/2.
const maxAttempts = 4

var errAttempts = errors.New("server refused every attempt to open an HTTP/2 stream")

// roundTripHTTP2 ends the retries of net/http, which dials anew for ever and without a pause while the server resets the stream of a request
// without a body with PROTOCOL_ERROR: one request that the server cannot stand would take a core and all ports.
func (t transport) roundTripHTTP2(r *http.Request) (*http.Response, error) {
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

// buffers keeps copy buffers. It stores pointers to arrays, because a slice put into a pool is an allocation each time.
type buffers struct{ pool sync.Pool }

// Get returns a buffer, for Put.
func (b *buffers) Get() []byte {
	if kept, ok := b.pool.Get().(*[copyBufferSize]byte); ok {
		return kept[:]
	}
	return new([copyBufferSize]byte)[:]
}

// Put takes back what Get returned.
func (b *buffers) Put(buffer []byte) { b.pool.Put((*[copyBufferSize]byte)(buffer)) }

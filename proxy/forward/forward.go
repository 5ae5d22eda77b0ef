package forward

import (
	"net/http"
	"sync"
	"time"
)

// Server is who requests are passed on to.
type Server struct {
	Scheme    string            // "http" or "https"
	Host      string            // host:port; for a Unix socket it names the connection pool and nothing else
	Transport http.RoundTripper // see [NewTransport]
	Withheld  *Names            // headers of clients that it never gets; nil: none
	Absolute  bool              // targets are sent in absolute form: a web proxy wants it of http (RFC 9112 §3.2.2)
	Stall     time.Duration     // longest time for a client to send some of its body, or by HTTP/2 to take a part of its answer; 0: none. See [BoundWrites]
}

// Forwarder passes requests on to one server. It is made once and safe for concurrent use.
type Forwarder struct {
	server    Server
	buffers   *buffers
	exchanges sync.Pool // of *exchange
	clean     func(http.Header)
	streams   streams
	onError   func(w http.ResponseWriter, r *http.Request, err Error)
}

// Outgoing is what the caller of [Forwarder.Serve] decides about one request.
type Outgoing struct {
	Errand        // nil: nothing is changed
	Target string // path and query to send, byte for byte; "": those that came
}

// Errand is what goes with one request to the server and comes back with its answer.
type Errand interface {
	// Prepare changes the headers of the request to the server. It sees out after the hop-by-hop headers are gone, so that no "Connection:
	// X-Postern-User" of a client can remove what it sets (advisories 6 to 9 of peers.md). in is the client's request and must not be changed,
	// nor may the values of a header in place: both requests have the same ones. Path and query are not its business.
	Prepare(out, in *http.Request)

	// Answered sees the server's response and may add to its header.
	Answered(res *http.Response)

	// Opened sees that the exchange is a stream, and may end it at any time from then on. What it returns, unless nil, is called when the stream
	// has ended, with the reason if it was ended by somebody else than client and server. An upgraded connection ends after Serve has returned.
	Opened(s *Stream) (closed func(*Ending))
}

// New does no I/O. clean removes from the headers of an answer, interim ones too, what the server may not say. onError answers for a server
// that did not; it gets the ResponseWriter that Serve was called with, before anything was written to it. Once the head of a response is on its
// way, a failure of the server cuts the connection instead: Serve panics with [http.ErrAbortHandler].
func New(server Server, clean func(http.Header), onError func(http.ResponseWriter, *http.Request, Error)) *Forwarder {
	f := &Forwarder{server: server, buffers: new(buffers), clean: clean, onError: onError}
	f.exchanges.New = func() any {
		return &exchange{Forwarder: f, writes: stall{cut: cutWrite}}
	}
	return f
}

// Serve forwards a request that [CheckTarget] has passed, and the answer back. An upgraded connection goes on by itself when it returns.
func (f *Forwarder) Serve(w http.ResponseWriter, r *http.Request, out Outgoing) {
	x := f.exchanges.Get().(*exchange)
	x.client, x.in, x.Outgoing, x.upgrade = w, r, out, IsUpgrade(r)
	if x.writes.limit = 0; r.ProtoMajor > 1 { // else the connection bounds them
		x.writes.limit = f.server.Stall
	}
	if r.ContentLength != 0 && f.server.Stall > 0 {
		_ = http.NewResponseController(w).SetReadDeadline(time.Time{}) // that of [AwaitBody]
	}
	if r.ContentLength != 0 && r.ProtoMajor == 1 {
		// Else net/http reads the rest of the body away as soon as the server begins to answer. A writer that cannot do it does not have to.
		_ = http.NewResponseController(w).EnableFullDuplex()
	}
	x.run()
	// Nothing looks at the exchange any more: what may outlast it, the body and the waiting for interim answers, is the transport's own. One that
	// panicked is not used again.
	x.client, x.in, x.Outgoing, x.body = nil, nil, Outgoing{}, nil
	f.exchanges.Put(x)
}

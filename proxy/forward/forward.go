package forward

import (
	"io"
	"log"
	"net/http"
	"net/http/httputil"
	"strings"
	"sync"
)

// Server is who requests are passed on to.
type Server struct {
	Scheme    string            // "http" or "https"
	Host      string            // host:port; for a Unix socket it names the connection pool and nothing else
	Transport http.RoundTripper // see [NewTransport]
	Absolute  bool              // targets are sent in absolute form: a web proxy wants it of http (RFC 9112 §3.2.2)
}

// Forwarder passes requests on to one server. It is made once and safe for concurrent use.
type Forwarder struct {
	server    Server
	buffers   *buffers
	exchanges sync.Pool // of *exchange: what they bind together is the same for every request
	quiet     *log.Logger
	clean     func(http.Header)
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
	// X-Postern-User" of a client can remove what it sets (advisories 6 to 9 of peers.md); in is the client's request and must not
	// be changed. Path and query are not its business.
	Prepare(out, in *http.Request)

	// Answered sees the server's response and may add to its header.
	Answered(res *http.Response)
}

// New does no I/O. clean removes from the headers of an answer, interim ones too, what the server may not say. onError answers for a server
// that did not; it gets the ResponseWriter that Serve was called with, before anything was written to it. Once the head of a response is on its
// way, a failure of the server cuts the connection instead: Serve panics with [http.ErrAbortHandler].
func New(server Server, clean func(http.Header), onError func(http.ResponseWriter, *http.Request, Error)) *Forwarder {
	f := &Forwarder{
		server:  server,
		buffers: new(buffers),
		quiet:   log.New(io.Discard, "", 0), // what ReverseProxy logs comes by onError or the panic as well, or is a client that left
		clean:   clean,
		onError: onError,
	}
	f.exchanges.New = func() any { return f.newExchange() }
	return f
}

// Serve forwards a request that [CheckTarget] has passed, and the answer back.
func (f *Forwarder) Serve(w http.ResponseWriter, r *http.Request, out Outgoing) {
	x := f.exchanges.Get().(*exchange)
	x.client, x.in, x.Outgoing, x.upgrade = w, r, out, IsUpgrade(r)
	if r.ContentLength != 0 && r.ProtoMajor == 1 {
		// Else net/http reads the rest of the body away as soon as the server begins to answer. A writer that cannot do it does not have to.
		_ = http.NewResponseController(w).EnableFullDuplex()
	}
	x.proxy.ServeHTTP(x, withoutUpgrade(r))
	// Nothing looks at the exchange any more: what may outlast it, the body, has been given to the transport by itself. One that panicked is
	// not used again.
	x.client, x.in, x.Outgoing, x.body = nil, nil, Outgoing{}, nil
	f.exchanges.Put(x)
}

// exchange is one request to the server and its answer. It stands between ReverseProxy and the client as the ResponseWriter, to see
// interim responses too.
type exchange struct {
	*Forwarder
	Outgoing
	client  http.ResponseWriter
	in      *http.Request
	upgrade bool
	proxy   httputil.ReverseProxy
	body    *watchedBody // nil for a request without a body
}

func (f *Forwarder) newExchange() *exchange {
	x := &exchange{Forwarder: f}
	x.proxy = httputil.ReverseProxy{
		Rewrite:        x.rewrite,
		Transport:      f.server.Transport,
		BufferPool:     f.buffers,
		ModifyResponse: x.modifyResponse,
		ErrorHandler:   x.fail,
		ErrorLog:       f.quiet,
	}
	return x
}

// rewrite makes the request to the server.
func (x *exchange) rewrite(pr *httputil.ProxyRequest) {
	out := pr.Out
	out.URL.Scheme, out.URL.Host = x.server.Scheme, x.server.Host
	target := x.Target
	if target == "" {
		target = RawTarget(x.in)
	}
	sendTarget(out, target)
	if x.server.Absolute && !strings.HasPrefix(target, "//") {
		out.URL.Opaque = "//" + x.server.Host + target // net/http puts the scheme before it
	}
	out.Trailer = nil // nothing of a request comes after its body: a trailer would be a header that was never stripped (S-24)
	if x.Errand != nil {
		x.Prepare(out, x.in)
	}
	if out.Body != nil {
		x.body = &watchedBody{ReadCloser: out.Body}
		out.Body = x.body
	}
}

// sendTarget makes the transport write the target byte for byte as it came: what is sent is what was decided on (peers.md rows 26 and
// 79). URL.Path and RawPath would escape some bytes anew, and ReverseProxy has cleaned the query. Opaque is written as it is, but gets
// a scheme before "//"; CheckTarget has made sure that such a path survives as RawPath.
func sendTarget(out *http.Request, target string) {
	u := out.URL
	if strings.HasPrefix(target, "//") {
		u.RawPath, u.RawQuery, u.ForceQuery = strings.Cut(target, "?")
		return
	}
	u.Opaque, u.RawQuery, u.ForceQuery = target, "", false
}

// modifyResponse checks and cleans what the server answered.
func (x *exchange) modifyResponse(res *http.Response) error {
	if res.StatusCode == http.StatusSwitchingProtocols && !x.upgrade {
		return errUnaskedUpgrade
	}
	x.clean(res.Header)
	if x.Errand != nil {
		x.Answered(res)
	}
	return nil
}

func (x *exchange) fail(_ http.ResponseWriter, _ *http.Request, err error) {
	x.onError(x.client, x.in, x.classify(err))
}

// Header implements [http.ResponseWriter].
func (x *exchange) Header() http.Header { return x.client.Header() }

// Write implements [http.ResponseWriter].
func (x *exchange) Write(p []byte) (int, error) { return x.client.Write(p) }

// WriteHeader implements [http.ResponseWriter]. An interim response (RFC 9110 §15.2) passes here only, not by ModifyResponse.
func (x *exchange) WriteHeader(status int) {
	header := x.client.Header()
	if status < http.StatusOK {
		x.clean(header)
	} else if _, has := header["Content-Type"]; !has {
		header["Content-Type"] = nil // net/http would guess one, and it is the server's to say
	}
	x.client.WriteHeader(status)
}

// Unwrap serves [http.ResponseController], which flushes and hijacks.
func (x *exchange) Unwrap() http.ResponseWriter { return x.client }

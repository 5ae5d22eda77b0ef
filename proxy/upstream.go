package proxy

import (
	"io"
	"log"
	"net/http"
	"net/http/httputil"
	"strings"
	"sync"

	"postern/config"
)

// upstream is the app as Postern reaches it. It is made once and safe for concurrent use.
type upstream struct {
	address   string
	transport http.RoundTripper
	buffers   *buffers
	exchanges sync.Pool // of *exchange: what they bind together is the same for every request
	quiet     *log.Logger
	ownCookie func(name string) bool
	onError   func(w http.ResponseWriter, r *http.Request, err upstreamError)
}

// outgoing is what the caller of [upstream.serve] decides about one request.
type outgoing struct {
	errand // nil: nothing is changed

	// cookieCaller says that the caller is known by a cookie. Shared caches keep answers to cookies, but not those to the Authorization
	// that such callers used to send, so an answer without Cache-Control becomes "private" (S-55).
	cookieCaller bool
}

// errand is what goes with one request to the app and comes back with its answer.
type errand interface {
	// prepare changes the headers of the request to the app. It sees out after the hop-by-hop headers are gone, so that no "Connection:
	// X-Postern-User" of a client can remove what it sets (advisories 6 to 9 of peers.md); in is the client's request and must not
	// be changed. Path, query and Host are not its business.
	prepare(out, in *http.Request)

	// answered sees the app's response and may add to its header.
	answered(res *http.Response)
}

// newUpstream does no I/O. ownCookie says which cookies the app may not set. onError answers for an app that did not; it gets the
// ResponseWriter that serve was called with, before anything was written to it. Once the head of a response is on its way, a failure of the app cuts
// the connection instead: serve panics with [http.ErrAbortHandler].
func newUpstream(cfg config.Upstream, ownCookie func(string) bool, onError func(http.ResponseWriter, *http.Request, upstreamError)) *upstream {
	u := &upstream{
		address:   upstreamAddress(cfg),
		transport: newTransport(cfg),
		buffers:   new(buffers),
		quiet:     log.New(io.Discard, "", 0), // what ReverseProxy logs comes by onError or the panic as well, or is a client that left
		ownCookie: ownCookie,
		onError:   onError,
	}
	u.exchanges.New = func() any { return u.newExchange() }
	return u
}

// serve forwards a request that [checkTarget] has passed, and the answer back.
func (u *upstream) serve(w http.ResponseWriter, r *http.Request, out outgoing) {
	x := u.exchanges.Get().(*exchange)
	x.client, x.in, x.outgoing, x.upgrade = w, r, out, isUpgrade(r)
	if r.ContentLength != 0 && r.ProtoMajor == 1 {
		// Else net/http reads the rest of the body away as soon as the app begins to answer. A writer that cannot do it does not have to.
		_ = http.NewResponseController(w).EnableFullDuplex()
	}
	x.proxy.ServeHTTP(x, withoutUpgrade(r))
	// Nothing looks at the exchange any more: what may outlast it, the body, has been given to the transport by itself. One that panicked is
	// not used again.
	x.client, x.in, x.outgoing, x.body = nil, nil, outgoing{}, nil
	u.exchanges.Put(x)
}

// exchange is one request to the app and its answer. It stands between ReverseProxy and the client as the ResponseWriter, to see
// interim responses too.
type exchange struct {
	*upstream
	outgoing
	client  http.ResponseWriter
	in      *http.Request
	upgrade bool
	proxy   httputil.ReverseProxy
	body    *watchedBody // nil for a request without a body
}

func (u *upstream) newExchange() *exchange {
	x := &exchange{upstream: u}
	x.proxy = httputil.ReverseProxy{
		Rewrite:        x.rewrite,
		Transport:      u.transport,
		BufferPool:     u.buffers,
		ModifyResponse: x.modifyResponse,
		ErrorHandler:   x.fail,
		ErrorLog:       u.quiet,
	}
	return x
}

// private is shared by all responses that get it: ReverseProxy copies values.
var private = []string{"private"}

// rewrite makes the request to the app.
func (x *exchange) rewrite(pr *httputil.ProxyRequest) {
	out := pr.Out
	out.URL.Scheme, out.URL.Host = "http", x.address
	sendTarget(out, rawTarget(x.in))
	out.Trailer = nil // nothing of a request comes after its body: a trailer would be a header that was never stripped (S-24)
	if x.errand != nil {
		x.prepare(out, x.in)
	}
	if out.Body != nil {
		x.body = &watchedBody{ReadCloser: out.Body}
		out.Body = x.body
	}
}

// sendTarget makes the transport write the target byte for byte as it came: what is sent is what was decided on (peers.md rows 26 and
// 79). URL.Path and RawPath would escape some bytes anew, and ReverseProxy has cleaned the query. Opaque is written as it is, but gets
// a scheme before "//"; checkTarget has made sure that such a path survives as RawPath.
func sendTarget(out *http.Request, target string) {
	u := out.URL
	if strings.HasPrefix(target, "//") {
		u.RawPath, u.RawQuery, u.ForceQuery = strings.Cut(target, "?")
		return
	}
	u.Opaque, u.RawQuery, u.ForceQuery = target, "", false
}

// modifyResponse checks and cleans what the app answered.
func (x *exchange) modifyResponse(res *http.Response) error {
	if res.StatusCode == http.StatusSwitchingProtocols && !x.upgrade {
		return errUnaskedUpgrade
	}
	dropOwnSetCookies(res.Header, x.ownCookie)
	if _, set := res.Header["Cache-Control"]; x.cookieCaller && !set {
		res.Header["Cache-Control"] = private
	}
	if x.errand != nil {
		x.answered(res)
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
	if status < http.StatusOK {
		dropOwnSetCookies(x.client.Header(), x.ownCookie)
	}
	x.client.WriteHeader(status)
}

// Unwrap serves [http.ResponseController], which flushes and hijacks.
func (x *exchange) Unwrap() http.ResponseWriter { return x.client }

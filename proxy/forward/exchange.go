package forward

import (
	"context"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
)

// exchange is one request to the server and its answer.
type exchange struct {
	*Forwarder
	Outgoing
	client  http.ResponseWriter
	in      *http.Request
	upgrade bool
	body    *watchedBody // nil for a request without a body
	writes  stall
	stream  *Stream // nil if the exchange is none, or goes on without it
}

func (x *exchange) run() {
	defer x.closed()
	defer x.abandonBody()
	if x.in.ContentLength != 0 && x.in.Body != nil {
		x.watchBody()
	}
	ctx := x.in.Context()
	if isCall(x.in) {
		var cancel context.CancelFunc
		ctx, cancel = x.openCall(ctx)
		defer cancel()
	}
	x.pass(ctx)
	x.concludeBody()
}

// pass sends the request, and passes on the answer.
func (x *exchange) pass(ctx context.Context) {
	before := &interim{exchange: x}
	before.trace.Got1xxResponse = before.pass
	res, err := x.server.Transport.RoundTrip(x.request(httptrace.WithClientTrace(ctx, &before.trace)))
	before.end()
	if err != nil {
		x.fail(err)
		return
	}
	if err := x.inspect(res); err != nil {
		_ = res.Body.Close()
		x.fail(err)
		return
	}
	if res.StatusCode != http.StatusSwitchingProtocols { // of which nothing is left to pass on
		x.answer(res)
	}
}

// request is what the server gets.
func (x *exchange) request(ctx context.Context) *http.Request {
	out := x.in.WithContext(ctx)
	out.Close, out.Body = false, nil // without one the transport may send it again on another connection
	if x.body != nil {
		out.Body = x.body
	}
	out.Trailer = nil // nothing of a request comes after its body: a trailer would be a header that was never stripped (S-24)
	out.Header = requestHeader(x.in.Header, x.server.Withheld, x.upgrade)
	out.URL = new(url.URL)
	*out.URL = *x.in.URL
	out.URL.Scheme, out.URL.Host = x.server.Scheme, x.server.Host
	target := x.Target
	if target == "" {
		target = RawTarget(x.in)
	}
	sendTarget(out, target)
	if x.server.Absolute && !strings.HasPrefix(target, "//") {
		out.URL.Opaque = "//" + x.server.Host + target // net/http puts the scheme before it
	}
	if x.Errand != nil {
		x.Prepare(out, x.in)
	}
	if _, has := out.Header["User-Agent"]; !has {
		out.Header["User-Agent"] = noUserAgent
	}
	if x.body != nil && x.stream != nil { // a call, whose client may have nothing to say
		x.body.reads.limit = 0
	}
	return out
}

// noUserAgent keeps net/http from writing one of its own.
var noUserAgent = []string{""}

// sendTarget makes the transport write the target byte for byte as it came: what is sent is what was decided on (peers.md rows 26 and
// 79). URL.Path and RawPath would escape some bytes anew. Opaque is written as it is, but gets a scheme before "//"; CheckTarget has made sure
// that such a path survives as RawPath.
func sendTarget(out *http.Request, target string) {
	u := out.URL
	if strings.HasPrefix(target, "//") {
		u.RawPath, u.RawQuery, u.ForceQuery = strings.Cut(target, "?")
		return
	}
	u.Opaque, u.RawQuery, u.ForceQuery = target, "", false
}

// inspect checks and cleans what the server answered.
func (x *exchange) inspect(res *http.Response) error {
	switching := res.StatusCode == http.StatusSwitchingProtocols
	if !switching {
		removeNamed(res.Header) // before anything of ours is in it
	}
	x.clean(res.Header)
	delete(res.Trailer, "Set-Cookie") // see addTrailers
	if x.Errand != nil {
		x.Answered(res)
	}
	if switching {
		return x.switchProtocols(res)
	}
	if kind := kindOf(res.Header["Content-Type"]); kind != noStream {
		x.openBody(res, kind)
	}
	return nil
}

func (x *exchange) fail(err error) {
	if why := x.stream.Ended(); why != nil {
		x.answerCall(why)
		return
	}
	x.onError(x.client, x.in, x.classify(err))
}

// answer passes on an answer. One of unknown length, and a stream, passes as it comes.
func (x *exchange) answer(res *http.Response) {
	header := x.client.Header()
	addHeader(header, res.Header)
	announced := announceTrailers(header, res.Trailer)
	if _, has := header["Content-Type"]; !has {
		header["Content-Type"] = nil // net/http would guess one, and it is the server's to say
	}
	x.client.WriteHeader(res.StatusCode)
	// A gRPC call that has ended with its header must do so for the client too: there is nothing to wait for.
	err := x.copyBody(res.Body, res.ContentLength < 0 || res.ContentLength > 0 && x.stream != nil)
	_ = res.Body.Close() // now the trailers are there
	if err != nil {
		panic(http.ErrAbortHandler) // cuts the connection: the client must not take a part for the whole
	}
	if len(res.Trailer) > 0 {
		_ = x.flush() // a short answer would get a Content-Length, and no trailers
		addTrailers(header, res.Trailer, announced)
	}
}

// copyBody returns the error of who did not go on: the server, or the client.
func (x *exchange) copyBody(body io.Reader, flows bool) error {
	if body == http.NoBody {
		return nil
	}
	if flows {
		_ = x.flush() // who waits for an event wants to know that the wait has begun
	}
	buffer := x.buffers.Get()
	defer x.buffers.Put(buffer)
	for {
		n, err := body.Read(buffer)
		if n > 0 {
			if err := x.write(buffer[:n]); err != nil {
				return err
			}
			if flows {
				_ = x.flush()
			}
		}
		switch err {
		case nil:
		case io.EOF:
			return nil
		default:
			return err
		}
	}
}

func (x *exchange) write(p []byte) error {
	x.writes.begin(x.client)
	defer x.writes.end()
	n, err := x.client.Write(p)
	if err == nil && n < len(p) {
		err = io.ErrShortWrite
	}
	return err
}

func (x *exchange) flush() error {
	x.writes.begin(x.client)
	defer x.writes.end()
	return http.NewResponseController(x.client).Flush()
}

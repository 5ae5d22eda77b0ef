package forward

import (
	"io"
	"net/http"
	"sync/atomic"
	"time"
)

// watchedBody is a client's body on its way to the server. It remembers that reading it failed, which the transport reports as if the connection to
// the server had, and it is closed by the handler alone: see [exchange.concludeBody].
type watchedBody struct {
	io.ReadCloser
	client http.ResponseWriter
	reads  stall
	failed atomic.Pointer[error] // read by the handler while the transport's goroutine may still write
	begun  atomic.Bool           // somebody wanted it
	whole  atomic.Bool           // all of it was read
	closed atomic.Bool
	over   bool // the handler has concluded it
}

// watchBody makes the request's body a watched one, for the request to the server.
func (x *exchange) watchBody() {
	x.body = &watchedBody{ReadCloser: x.in.Body, client: x.client, reads: stall{limit: x.server.Stall, cut: cutRead}}
}

// Read implements [io.Reader].
func (b *watchedBody) Read(p []byte) (int, error) {
	if b.closed.Load() {
		return 0, http.ErrBodyReadAfterClose
	}
	b.begun.Store(true)
	b.reads.begin(b.client)
	n, err := b.ReadCloser.Read(p)
	b.reads.end()
	if err == io.EOF {
		b.whole.Store(true)
	}
	if err != nil && err != io.EOF && !b.closed.Load() {
		b.failed.CompareAndSwap(nil, &err)
	}
	return n, err
}

// Close implements [io.Closer] for the transport, which is done with it at a time of its own.
func (b *watchedBody) Close() error {
	b.closed.Store(true)
	return nil
}

// stalled says that the client sent nothing for too long.
func (b *watchedBody) stalled() bool { return b != nil && b.reads.limit > 0 && b.reads.hasExpired() }

func (b *watchedBody) broken() error {
	if b == nil {
		return nil
	}
	if err := b.failed.Load(); err != nil {
		return *err
	}
	return nil
}

// concludeBody sees to it that the next request on the connection begins where this one's body ends. A server may answer before it has read the
// body. The transport may be reading it still, and net/http, once the handler has returned, would break off that read in the middle of the body and
// take what follows for a request. So the answer goes out, and then the rest of the body is read away here; a connection on which that cannot be done
// is not used again.
func (x *exchange) concludeBody() {
	b := x.body
	if b == nil {
		return
	}
	b.over = true
	b.closed.Store(true)
	b.reads.release()
	if b.whole.Load() || x.in.ProtoMajor != 1 {
		_ = b.ReadCloser.Close() // there is nothing to wait for
		return
	}
	control := http.NewResponseController(x.client)
	if b.reads.limit > 0 && !b.stalled() {
		_ = control.SetReadDeadline(time.Now().Add(b.reads.limit))
	}
	switch {
	case hasToken(x.client.Header()["Connection"], "close"), // this was the last request
		!b.begun.Load() && len(x.in.Header["Expect"]) > 0: // and so it was where a client was not told to go on (RFC 9110 §10.1.1)
		return
	}
	_ = x.flush()
	if err := b.ReadCloser.Close(); err != nil {
		panic(http.ErrAbortHandler)
	}
}

// abandonBody is for a handler that panics: nobody may read from the connection when it has.
func (x *exchange) abandonBody() {
	if b := x.body; b != nil && !b.over {
		b.closed.Store(true)
		b.reads.release()
		cutRead(b.client)
		_ = b.ReadCloser.Close()
	}
}

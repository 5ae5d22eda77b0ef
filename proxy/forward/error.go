package forward

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync/atomic"
)

// Error is why there is no answer of the server to pass on. Status is what the client should see: 502 for an app that cannot be
// reached or does not speak HTTP, 504 for one that is too slow, 400 and 413 for a client whose body was broken or too long, and
// [StatusClientGone] for a client that has left, to whom nobody can answer.
type Error struct {
	Status int
	err    error
}

// StatusClientGone is nginx's 499: nobody is left to read an answer, the log still wants one.
const StatusClientGone = 499

// Error is for the log. It holds addresses of the server, and no bytes of the request.
func (e Error) Error() string { return "forward: " + e.err.Error() }

// Unwrap returns the cause.
func (e Error) Unwrap() error { return e.err }

var errUnaskedUpgrade = errors.New("server switched protocols without being asked")

func (x *exchange) classify(err error) Error {
	if x.in.Context().Err() != nil {
		return Error{StatusClientGone, context.Cause(x.in.Context())}
	}
	if broken := x.body.broken(); broken != nil {
		if _, tooLong := errors.AsType[*http.MaxBytesError](broken); tooLong {
			return Error{http.StatusRequestEntityTooLarge, broken}
		}
		return Error{http.StatusBadRequest, broken}
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && (op.Op == "dial" || op.Op == "proxyconnect") {
		return Error{http.StatusBadGateway, err}
	}
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		return Error{http.StatusGatewayTimeout, err}
	}
	return Error{http.StatusBadGateway, err}
}

// watchedBody remembers that reading the client's body failed: the transport reports that as if the connection to the server had.
type watchedBody struct {
	io.ReadCloser
	failed atomic.Pointer[error] // read by the handler while the transport's goroutine may still write
	closed atomic.Bool
}

// Read implements [io.Reader].
func (b *watchedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && err != io.EOF && !b.closed.Load() {
		b.failed.CompareAndSwap(nil, &err)
	}
	return n, err
}

// Close implements [io.Closer]. What is read after it fails on account of the transport and says nothing about the client.
func (b *watchedBody) Close() error {
	b.closed.Store(true)
	return b.ReadCloser.Close()
}

func (b *watchedBody) broken() error {
	if b == nil {
		return nil
	}
	if err := b.failed.Load(); err != nil {
		return *err
	}
	return nil
}

package forward

import (
	"context"
	"errors"
	"net"
	"net/http"
)

// Error is why there is no answer of the server to pass on. Status is what the client should see: 502 for an app that cannot be
// reached or does not speak HTTP, 504 for one that is too slow, 400, 408 and 413 for a client whose body was broken, late or too long, and
// [StatusClientGone] for a client that has left, to whom nobody can answer.
type Error struct {
	Status int
	err    error
}

// StatusClientGone is nginx's 499: nobody is left to read an answer, the log still wants one.
const StatusClientGone = 499

// Error is for the log. It holds addresses of the server, and no bytes of request or answer.
func (e Error) Error() string { return "forward: " + WithoutQuotes(e.err.Error()) }

// Unwrap returns the cause.
func (e Error) Unwrap() error { return e.err }

func (x *exchange) classify(err error) Error {
	if x.body.stalled() { // which by HTTP/1.1 looks like a client that has left
		return Error{http.StatusRequestTimeout, errStalled}
	}
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

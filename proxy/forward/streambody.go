package forward

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"
)

var errEnded = errors.New("forward: stream has ended")

// openCall makes a request that is a gRPC call a stream, and gives it a context that the stream's end cancels.
func (x *exchange) openCall(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	client := x.client
	x.open(true).endBy(func(*Ending) {
		hurry(client)
		cancel()
	})
	return ctx, cancel
}

// openBody makes an answer that flows a stream.
func (x *exchange) openBody(res *http.Response, kind streamKind) {
	body := res.Body
	if x.in.ProtoMajor == 1 {
		kind = cutStream // whatever it calls itself: gRPC has trailers by HTTP/2 only
	}
	if x.stream == nil {
		client := x.client
		x.open(false).endBy(func(*Ending) {
			hurry(client)
			go func() { _ = body.Close() }() // by HTTP/2 it waits for the server
		})
	}
	res.Body = &streamBody{ReadCloser: body, stream: x.stream, answer: res, kind: kind}
}

// hurry bounds what a client that does not read costs.
func hurry(client http.ResponseWriter) {
	_ = http.NewResponseController(client).SetWriteDeadline(time.Now().Add(farewellTime))
}

// streamBody is the body of a stream. After the end it ends a gRPC call by a status of ours. Any other is broken off: without its last
// chunk (RFC 9112 §8), or by RST_STREAM (RFC 9113 §8.1). To end it in order would tell the client that the app had said all that it had to
// say. An EventSource makes no difference: it comes again either way, and gives up when it is then refused.
type streamBody struct {
	io.ReadCloser

	stream *Stream
	answer *http.Response
	kind   streamKind
}

// Read implements [io.Reader].
func (b *streamBody) Read(p []byte) (n int, err error) {
	if b.stream.Ended() == nil {
		if n, err = b.ReadCloser.Read(p); err == nil {
			return n, nil
		}
	}
	why := b.stream.conclude()
	switch {
	case why == nil:
		return n, err
	case b.kind != grpcStream:
		return 0, errEnded
	}
	// Trailers are passed on when the body has ended. Those that the app announced have no values.
	if b.answer.Trailer == nil {
		b.answer.Trailer = http.Header{}
	}
	why.asGRPC(b.answer.Trailer)
	return 0, io.EOF
}

// asGRPC writes the status of a call (gRPC over HTTP/2, "Responses").
func (e *Ending) asGRPC(trailer http.Header) {
	trailer["Grpc-Status"], trailer["Grpc-Message"] = []string{e.GRPC}, []string{e.Text}
}

// answerCall answers a call that was ended before the app said anything: by trailers only.
func (x *exchange) answerCall(why *Ending) {
	header := x.client.Header()
	header["Content-Type"] = []string{"application/grpc"}
	why.asGRPC(header)
	x.client.WriteHeader(http.StatusOK)
}

package forward

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Ending is why a stream ends before one of its sides ends it, and what its client is told.
type Ending struct {
	Reason    string // stable code, for logs and metrics
	Text      string // short, for people; no comma, no line break
	WebSocket uint16 // status code of the Close frame (RFC 6455 §7.4.1)
	GRPC      string // grpc-status
	Stack     []byte // of a panic of ours in a goroutine of the stream's own, which nobody else has noted; else nil
}

// GoingAway is the end of the process. A client that comes again is served by another one.
var GoingAway = &Ending{Reason: "shutdown", Text: "going away", WebSocket: statusGoingAway, GRPC: "14"} // UNAVAILABLE

// ErrShutdown is the cause with which the requests' contexts end when there is no more time for them. Their clients are still there, and can be told.
var ErrShutdown = errors.New("the process is going away")

// Leaving says whether that is why a request's context has ended.
func Leaving(ctx context.Context) bool {
	return ctx.Err() != nil && errors.Is(context.Cause(ctx), ErrShutdown)
}

// Stream is an exchange that may go on for as long as both sides like: an upgraded connection, an event stream, or a gRPC call. Whoever knows
// when it must not go on ends it.
type Stream struct {
	call bool // of gRPC, which most of the time is a short one

	mu   sync.Mutex
	why  *Ending       // the first one
	stop func(*Ending) // does not block; nil before there is anything to stop
	over bool          // both sides are done
	done func(*Ending)
}

// End ends the stream, and returns at once. The first end counts; one that comes late is none.
func (s *Stream) End(why *Ending) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.why != nil || s.over {
		return
	}
	if s.why = why; s.stop != nil {
		s.stop(why)
	}
}

// broke ends the stream for a panic, which is more to be known than any other end. Whoever had it sees to the connections.
func (s *Stream) broke(stack []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.why = &Ending{Reason: "internal_error", Text: "internal error", WebSocket: 1011, GRPC: "13", Stack: stack} // INTERNAL
}

// Ended is why the stream has been ended; nil if it has not.
func (s *Stream) Ended() *Ending {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.why
}

// endBy says how the stream is ended from now on. If it has been ended before, that is now.
func (s *Stream) endBy(stop func(*Ending)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stop = stop; s.why != nil {
		stop(s.why)
	}
}

// conclude says why the stream has been ended, and if it has not, that it never will be: connections are others' afterwards.
func (s *Stream) conclude() *Ending {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over, s.stop = true, nil
	return s.why
}

// open makes the exchange a stream. Whoever sent it on its errand is told, and so is a process that is going away.
func (x *exchange) open(call bool) *Stream {
	s := &Stream{call: call}
	x.stream = s
	x.streams.add(s)
	if x.Errand != nil {
		s.done = x.Opened(s)
	}
	return s
}

// closed is the end of an exchange, and of its stream.
func (x *exchange) closed() {
	if s := x.stream; s != nil {
		x.stream = nil
		x.close(s)
	}
}

// close is the end of a stream, whoever brought it about.
func (f *Forwarder) close(s *Stream) {
	why := s.conclude()
	f.streams.remove(s)
	if s.done != nil {
		s.done(why)
	}
}

// streams are those of a forwarder that are open.
type streams struct {
	mu      sync.Mutex
	open    map[*Stream]struct{}
	leaving bool          // there will be no new ones
	calls   bool          // nor calls
	empty   chan struct{} // closed by the last one to end; nil while nobody waits
}

func (all *streams) add(s *Stream) {
	all.mu.Lock()
	defer all.mu.Unlock()
	if all.open == nil {
		all.open = map[*Stream]struct{}{}
	}
	all.open[s] = struct{}{}
	if all.leaving && (all.calls || !s.call) {
		s.End(GoingAway)
	}
}

func (all *streams) remove(s *Stream) {
	all.mu.Lock()
	defer all.mu.Unlock()
	delete(all.open, s)
	if len(all.open) == 0 && all.empty != nil {
		close(all.empty)
		all.empty = nil
	}
}

// leave ends what is open, and whatever is opened later.
func (all *streams) leave(calls bool) (empty <-chan struct{}) {
	all.mu.Lock()
	defer all.mu.Unlock()
	all.leaving, all.calls = true, calls
	for s := range all.open {
		if calls || !s.call {
			s.End(GoingAway)
		}
	}
	done := make(chan struct{})
	if len(all.open) == 0 {
		close(done)
	} else {
		all.empty = done
	}
	return done
}

// Drain ends the streams that are open or still to be opened, since the process is going away, and returns when there are none left or ctx is
// over. Connections that were upgraded are known to nobody else: [http.Server.Shutdown] does not wait for them. A gRPC call may end by
// itself for half of the time that ctx leaves.
func (f *Forwarder) Drain(ctx context.Context) {
	empty := f.streams.leave(false)
	if deadline, ok := ctx.Deadline(); ok {
		timer := time.NewTimer(time.Until(deadline) / 2)
		defer timer.Stop()
		select {
		case <-empty:
			return
		case <-ctx.Done():
		case <-timer.C:
		}
	}
	select {
	case <-f.streams.leave(true):
	case <-ctx.Done():
	}
}

// streamKind is what an answer is.
type streamKind uint8

const (
	noStream  streamKind = iota
	cutStream            // an event stream, or gRPC-Web, whose trailers are part of the body
	grpcStream
)

// kindOf reads a media type.
func kindOf(contentType []string) streamKind {
	if len(contentType) == 0 {
		return noStream
	}
	media, _, _ := strings.Cut(contentType[0], ";")
	media = strings.TrimRight(media, " \t")
	const grpc = "application/grpc"
	switch {
	case strings.EqualFold(media, "text/event-stream"):
		return cutStream
	case len(media) < len(grpc) || !strings.EqualFold(media[:len(grpc)], grpc):
		return noStream
	case len(media) == len(grpc) || media[len(grpc)] == '+':
		return grpcStream
	}
	return cutStream
}

// isCall says whether a request is a gRPC call. Its stream begins with it and not with its answer, which may come after all that the client
// has to say.
func isCall(r *http.Request) bool {
	return r.ProtoMajor == 2 && kindOf(r.Header["Content-Type"]) == grpcStream
}

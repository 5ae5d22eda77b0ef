package forward

import (
	"errors"
	"net/http"
	"sync"
	"time"
)

// errStalled is for a client that sends nothing of the body that it has announced.
var errStalled = errors.New("client sends nothing of its body")

// longAgo is a deadline that has passed.
var longAgo = time.Unix(1, 0)

// stall bounds how long one read from a client, or one write to it, may take. Deadlines of the connection alone will not do: by HTTP/2 they end a
// stream that nobody waits for, and by HTTP/1.1 they outlast the request.
type stall struct {
	limit time.Duration                    // 0: for ever
	cut   func(client http.ResponseWriter) // makes what is waited for fail

	mu      sync.Mutex
	client  http.ResponseWriter // nil while nobody waits
	until   time.Time
	timer   *time.Timer
	running bool
	over    bool // the handler ends: nobody may touch the client any more
	expired bool
}

func cutRead(client http.ResponseWriter) {
	_ = http.NewResponseController(client).SetReadDeadline(longAgo)
}

func cutWrite(client http.ResponseWriter) {
	_ = http.NewResponseController(client).SetWriteDeadline(longAgo)
}

// begin is before the read or write, and end after it. The timer runs on from one to the next: to stop it each time would cost more than to let it
// find nobody waiting.
func (s *stall) begin(client http.ResponseWriter) {
	if s.limit <= 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return
	}
	s.client, s.until = client, time.Now().Add(s.limit)
	switch {
	case s.timer == nil:
		s.timer = time.AfterFunc(s.limit, s.expire)
	case !s.running:
		s.timer.Reset(s.limit)
	}
	s.running = true
}

func (s *stall) end() {
	if s.limit <= 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.client = nil
}

func (s *stall) expire() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running = false
	if s.client == nil {
		return
	}
	if left := time.Until(s.until); left > 0 {
		s.timer.Reset(left)
		s.running = true
		return
	}
	s.expired = true
	s.cut(s.client)
}

// release is at the end of the handler, after which others use the connection.
func (s *stall) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.client, s.over = nil, true; s.timer != nil {
		s.timer.Stop()
	}
}

func (s *stall) hasExpired() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.expired
}

// AwaitBody bounds how long a client may take to send a body that is not forwarded: net/http reads it away before it answers, for as long as that
// takes. [Forwarder.Serve] sees to its own.
func AwaitBody(w http.ResponseWriter, r *http.Request, limit time.Duration) {
	if r.ContentLength != 0 && limit > 0 {
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(limit)) // a writer of tests cannot
	}
}

package session

import (
	"context"
	"fmt"
	"sync"
)

// tasks is what goes on behind the requests and must be finished before the end. Unlike with a WaitGroup something may begin while it is
// waited for.
type tasks struct {
	mu     sync.Mutex
	n      int
	idle   chan struct{} // closed at n == 0; nil while nobody waits
	closed bool
}

// run does something in a goroutine, and returns false after the end.
func (ts *tasks) run(do func()) bool {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	if ts.closed {
		return false
	}
	ts.n++
	go func() {
		defer ts.done()
		do()
	}()
	return true
}

func (ts *tasks) done() {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	if ts.n--; ts.n == 0 && ts.idle != nil {
		close(ts.idle)
		ts.idle = nil
	}
}

// wait returns when nothing goes on, or with the context's error.
func (ts *tasks) wait(ctx context.Context) error {
	ts.mu.Lock()
	if ts.n == 0 {
		ts.mu.Unlock()
		return nil
	}
	if ts.idle == nil {
		ts.idle = make(chan struct{})
	}
	idle := ts.idle
	ts.mu.Unlock()
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for refreshes: %w", ctx.Err())
	}
}

// close lets nothing more begin.
func (ts *tasks) close() {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	ts.closed = true
}

package session

import (
	"errors"
	"sync"
	"time"
)

const (
	breakAfter  = 3                      // calls in trouble, one after the other
	breakerRest = 500 * time.Millisecond // until the next call may try
)

var errBreakerOpen = errors.New("out of reach a moment ago, waiting for one call to get through")

// breaker makes an outage fast. After some calls in trouble one at a time may try, and the others fail at once instead of waiting each for
// its own time-out.
type breaker struct {
	now func() time.Time

	mu      sync.Mutex
	trouble int
	rest    time.Time // no call before
	probing bool
}

// enter says whether a call may be made, and whether it is the one that tries. Each call that was let in must leave.
func (b *breaker) enter() (probe, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.trouble < breakAfter {
		return false, true
	}
	if b.probing || b.now().Before(b.rest) {
		return false, false
	}
	b.probing = true
	return true, true
}

// outcome is what a call says about the store.
type outcome int

const (
	answered outcome = iota
	silent           // no answer in time, or no connection
	unknown          // the caller went away before anything could be known
)

func (b *breaker) leave(probe bool, o outcome) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if probe {
		b.probing = false
	}
	switch o {
	case answered:
		b.trouble = 0
	case silent:
		if b.trouble++; b.trouble >= breakAfter {
			b.rest = b.now().Add(breakerRest)
		}
	case unknown:
	}
}

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
	answers uint64
}

// entry is a call that was let in.
type entry struct {
	probe   bool   // the one that tries
	answers uint64 // before it began
}

// open says whether only single calls may try.
func (b *breaker) open() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.trouble >= breakAfter
}

// openSince says whether only single calls may try, and the last one that did failed since then.
func (b *breaker) openSince(then time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.trouble >= breakAfter && b.rest.After(then)
}

// enter says whether a call may be made. Each call that was let in must leave.
func (b *breaker) enter() (e entry, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.trouble < breakAfter {
		return entry{answers: b.answers}, true
	}
	if b.probing || b.now().Before(b.rest) {
		return entry{}, false
	}
	b.probing = true
	return entry{probe: true, answers: b.answers}, true
}

// outcome is what a call says about the store.
type outcome int

const (
	answered outcome = iota
	silent           // no answer in time, or no connection
	useless          // an answer that every call would get
	unknown          // the caller went away before anything could be known
)

// leave says whether the store is taken for out of reach now. It is not while it answers others: then a call was only one too many.
func (b *breaker) leave(e entry, o outcome) (open bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if e.probe {
		b.probing = false
	}
	if o == silent && b.answers != e.answers {
		o = unknown
	}
	switch o {
	case answered:
		b.trouble = 0
		b.answers++
	case silent, useless:
		if b.trouble++; b.trouble >= breakAfter {
			b.rest = b.now().Add(breakerRest)
		}
	case unknown:
	}
	return b.trouble >= breakAfter
}

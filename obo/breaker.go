package obo

import (
	"errors"
	"sync"
	"time"

	"postern/oidc"
)

const (
	breakAfter = 3           // calls in trouble with all their attempts, one after the other
	restShort  = time.Second // until the next call may try
)

var errResting = errors.New("out of reach a moment ago, waiting for one call to get through")

// breaker makes an outage of one provider fast. After some calls without any answer one at a time may try, and the others fail at once instead of
// waiting each for its own deadline.
type breaker struct {
	now func() time.Time

	mu      sync.Mutex
	trouble int
	rest    time.Time // no call before
	probing bool
}

// enter says whether this call is the one that tries. Each call that was let in must leave.
func (s *source) enter() (probe bool, err error) {
	b := &s.breaker
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.trouble < breakAfter {
		return false, nil
	}
	if wait := b.rest.Sub(b.now()); b.probing || wait > 0 {
		return false, &oidc.TroubleError{Provider: s.name, Op: "get token", RetryAfter: max(wait, restShort), Err: errResting}
	}
	b.probing = true
	return true, nil
}

// state is 1 while single calls may try, for the metrics. It stays so until one gets through.
func (b *breaker) state() float64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.trouble >= breakAfter {
		return 1
	}
	return 0
}

// leave notes what a call says about the provider: whether anybody is there. A status, even of trouble, is an answer; it may be to one
// request alone, and what somebody sends must not take the provider from everybody else.
func (s *source) leave(probe bool, err error) {
	b := &s.breaker
	b.mu.Lock()
	defer b.mu.Unlock()
	if probe {
		b.probing = false
	}
	t, inTrouble := errors.AsType[*oidc.TroubleError](err)
	switch {
	case errors.Is(err, oidc.ErrCredential), errors.Is(err, oidc.ErrNotReady): // nobody was called
	case !inTrouble || t.Status != 0:
		b.trouble = 0
	default:
		if b.trouble++; b.trouble >= breakAfter {
			b.rest = b.now().Add(restShort)
		}
	}
}

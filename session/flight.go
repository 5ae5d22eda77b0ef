package session

import (
	"sync"
	"time"
)

// purpose says who wants tokens renewed, which decides what "fresh enough" is.
type purpose bool

const (
	automatically purpose = false // a proxied request: when they are due
	onRequest     purpose = true  // the refresh endpoint: when the cooldown is over
)

// flight is one refresh of one session, whoever waits for it. It goes on when they leave.
type flight struct {
	done   chan struct{} // closed when result or err may be read
	result *opened
	err    error

	// Guarded by flights.mu:
	over    bool      // nothing more will be done for it
	retryAt time.Time // after trouble: nobody asks the provider again before
}

// landed says whether result and err are there.
func (f *flight) landed() bool {
	select {
	case <-f.done:
		return true
	default:
		return false
	}
}

// land serves those who wait. A flight lands once; what it brings later is for the store only.
func (f *flight) land(result *opened, err error) {
	if f.landed() {
		return
	}
	f.result, f.err = result, err
	close(f.done)
}

const sweepFlightsAbove = 1024

// flights holds at most one flight per session of this process, and the memory of those that failed.
type flights struct {
	mu    sync.Mutex
	byKey map[string]*flight

	sweepAt int // size of byKey at which to look for what can go
}

// join returns the flight that is under way, or the failed one whose pause is not over. Otherwise it returns a new one, to be flown by the
// caller.
func (fs *flights) join(key string, now time.Time) (f *flight, isNew bool) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if f := fs.byKey[key]; f != nil && (!f.over || now.Before(f.retryAt)) {
		return f, false
	}
	if fs.byKey == nil {
		fs.byKey = map[string]*flight{}
	}
	if len(fs.byKey) >= max(fs.sweepAt, sweepFlightsAbove) {
		for other, old := range fs.byKey {
			if old.over && !now.Before(old.retryAt) {
				delete(fs.byKey, other)
			}
		}
		fs.sweepAt = 2 * len(fs.byKey) // not at every call while nothing can go
	}
	f = &flight{done: make(chan struct{})}
	fs.byKey[key] = f
	return f, true
}

// leave ends a flight. A zero retryAt forgets it.
func (fs *flights) leave(key string, f *flight, retryAt time.Time) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	f.over, f.retryAt = true, retryAt
	if retryAt.IsZero() && fs.byKey[key] == f {
		delete(fs.byKey, key)
	}
}

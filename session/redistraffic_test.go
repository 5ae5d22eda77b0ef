package session_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"postern/session"
	"postern/session/redistest"
	"postern/session/storetest"
)

// traffic reads and writes all the time, and looks at every answer.
type traffic struct {
	t     *testing.T
	store *session.RedisStore
	keys  []string

	stop chan struct{}
	done sync.WaitGroup

	mu      sync.Mutex
	longest time.Duration
	calls   int
	late    int            // of them took longer than a request may wait
	trouble map[string]int // calls that were trouble, by key
	served  map[string]int // since the last look
}

// newTraffic makes a session for each key, and begins.
func newTraffic(t *testing.T, store *session.RedisStore, keys ...string) *traffic {
	t.Helper()
	r := &traffic{t: t, store: store, keys: keys, stop: make(chan struct{}), trouble: map[string]int{}, served: map[string]int{}}
	value, _ := storetest.NewValue(t, 500)
	for _, key := range keys {
		if err := store.Create(t.Context(), key, value, time.Minute); err != nil {
			t.Fatal(err)
		}
	}
	for range 4 {
		for _, key := range keys {
			r.done.Go(func() { r.drive(key) })
		}
	}
	t.Cleanup(r.end)
	return r
}

func (r *traffic) end() {
	select {
	case <-r.stop:
	default:
		close(r.stop)
	}
	r.done.Wait()
}

func (r *traffic) drive(key string) {
	ctx := context.WithoutCancel(r.t.Context()) // the end of a test is no outage
	for n := 0; ; n++ {
		select {
		case <-r.stop:
			return
		case <-time.After(5 * time.Millisecond):
		}
		began := time.Now()
		var err error
		if n%4 == 0 {
			_, err = r.store.Mark(ctx, key+"mark", time.Minute) // the hash tag keeps it beside the session
		} else {
			_, err = r.store.Read(ctx, key)
		}
		r.saw(key, time.Since(began), err)
	}
}

func (r *traffic) saw(key string, took time.Duration, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.longest = max(r.longest, took)
	if r.calls++; took > callLimit {
		r.late++
	}
	switch {
	case err == nil:
		r.served[key]++
	case isTrouble(err):
		r.trouble[key]++
	case errors.Is(err, session.ErrNotFound):
		r.t.Error("a session was not found: trouble was taken for absence")
	default:
		r.t.Errorf("a call ended with %v", err)
	}
}

// begin forgets the trouble so far.
func (r *traffic) begin() {
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.trouble)
}

func (r *traffic) troubleOf(key string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.trouble[key]
}

// awaitTrouble returns when calls for the key are trouble.
func (r *traffic) awaitTrouble(key string) {
	r.t.Helper()
	r.await("no trouble", 5*time.Second, func() bool { return r.trouble[key] > 0 })
}

// awaitService returns when each key is served without trouble in between.
func (r *traffic) awaitService(within time.Duration) {
	r.t.Helper()
	began := time.Now()
	for _, key := range r.keys {
		r.mu.Lock()
		r.served[key] = 0
		before := r.trouble[key]
		r.mu.Unlock()
		r.await("still trouble", within, func() bool {
			if now := r.trouble[key]; now != before {
				before, r.served[key] = now, 0
			}
			return r.served[key] >= 50
		})
	}
	r.t.Logf("served again after %v", time.Since(began))
}

func (r *traffic) await(what string, within time.Duration, is func() bool) {
	r.t.Helper()
	for clock := redistest.StartClock(); ; time.Sleep(10 * time.Millisecond) {
		r.mu.Lock()
		yes := is()
		r.mu.Unlock()
		if yes {
			return
		}
		if clock.Elapsed() > within {
			r.t.Fatalf("%s after %v", what, within)
		}
	}
}

// wantPrompt ends the traffic: calls took no longer than a request may wait, but for a few that the machine had no time for.
func (r *traffic) wantPrompt() {
	r.t.Helper()
	r.end()
	if r.late > r.calls/100 {
		r.t.Errorf("%d of %d calls took longer than %v, one of them %v", r.late, r.calls, callLimit, r.longest)
	}
}

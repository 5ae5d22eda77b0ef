package main

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"postern/config"
)

// answering is a store that answers, or does not yet.
type answering struct{ from time.Time }

func (a answering) Ping(context.Context) error {
	if time.Now().Before(a.from) {
		return errors.New("down")
	}
	return nil
}

// S-09: a replica is not ready while a token that a logout has ended would be taken for a good one, and does not wait for ever to know.
func TestS09ReadinessWaitsUntilItIsKnownWhatHasEnded(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		down, informed time.Duration // until the store answers, and until it has said what ended
		ready          time.Duration
	}{
		"it says so at once":          {0, 0, 0},
		"it says so a little later":   {0, 300 * time.Millisecond, 300 * time.Millisecond},
		"it answers and never says":   {0, time.Hour, informPatience},
		"it is down at first":         {3 * time.Second, 3500 * time.Millisecond, 3500 * time.Millisecond},
		"it does not answer for long": {time.Hour, time.Hour, helperGrace},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s, began := &storeHealth{}, time.Now()
				policy, err := newLivePolicy(&config.Config{}, slog.New(slog.DiscardHandler), slog.New(slog.DiscardHandler), nil)
				if err != nil {
					t.Fatal(err)
				}
				h := &health{store: s, policy: policy, now: time.Now, started: began}
				store, informed := answering{began.Add(test.down)}, make(chan struct{})
				time.AfterFunc(test.informed, func() { close(informed) })
				ctx, cancel := context.WithCancel(t.Context())
				done := make(chan struct{})
				go func() { s.watch(ctx, store, informed); close(done) }()
				for {
					synctest.Wait()
					if _, ready := h.readiness(); ready {
						break
					}
					time.Sleep(100 * time.Millisecond)
				}
				if took := time.Since(began); took != test.ready {
					t.Errorf("ready after %v, want %v", took, test.ready)
				}
				cancel()
				<-done
			})
		})
	}
}

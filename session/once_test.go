package session_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"postern/session"
	"postern/session/storetest"
)

// onceReplica is one of those that share a store, with a ring of these keys.
func onceReplica(t *testing.T, store session.Store, keys ...byte) *session.Manager {
	t.Helper()
	return newWorld(t, worldConfig{store: store, ring: newRing(t, keys...)}).Manager
}

// S-33: what failed may be tried again with the same value, what was done may not, on no replica, until the time is over.
func TestS33AValueIsUsedUpOnlyWhenItIsDone(t *testing.T) {
	t.Parallel()
	server := storetest.StartRedis(t)
	clock := &clock{}
	for name, store := range map[string]func() session.Store{
		"memory": func() session.Store { return session.NewMemoryStore(0, session.Deps{Now: clock.now}) },
		"redis":  func() session.Store { return redisStore(t, server.Config()) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			shared := store()
			one, two := onceReplica(t, shared, 1), onceReplica(t, shared, 2, 1) // in the middle of a change of keys
			done, broken := 0, errors.New("broken")
			try := func(m *session.Manager, value string, result error) (bool, error) {
				return m.OnceDone(t.Context(), "test", value, time.Hour, func(context.Context) error { done++; return result })
			}
			for range 2 {
				if first, err := try(one, "a", broken); first || !errors.Is(err, broken) {
					t.Errorf("failing: %v, %v", first, err)
				}
			}
			if first, err := try(one, "a", nil); !first || err != nil {
				t.Errorf("after the failure: %v, %v", first, err)
			}
			for _, m := range []*session.Manager{one, two, one} {
				if first, err := try(m, "a", nil); first || err != nil {
					t.Errorf("again: %v, %v", first, err)
				}
			}
			if first, err := try(two, "b", nil); !first || err != nil {
				t.Errorf("another value: %v, %v", first, err)
			}
			if first, err := try(one, "b", nil); first || err != nil {
				t.Errorf("another value, at the replica with the old key alone: %v, %v", first, err)
			}
			if done != 4 {
				t.Errorf("done %d times, want 4", done)
			}
		})
	}
}

func TestOfManyAtOnceOneIsFirst(t *testing.T) {
	t.Parallel()
	m := onceReplica(t, session.NewMemoryStore(0, session.Deps{}), 1)
	var firsts atomic.Int32
	var wait sync.WaitGroup
	for range 50 {
		wait.Go(func() {
			first, err := m.OnceDone(t.Context(), "test", "a", time.Hour, func(context.Context) error { return nil })
			if err != nil {
				t.Error(err)
			}
			if first {
				firsts.Add(1)
			}
		})
	}
	wait.Wait()
	if n := firsts.Load(); n != 1 {
		t.Errorf("%d were first", n)
	}
}

// The store is away before, or in between: nothing is said about the value, and nothing is used up.
func TestS33AValueIsNotUsedUpWhileTheStoreIsAway(t *testing.T) {
	t.Parallel()
	server := storetest.StartRedis(t)
	m := onceReplica(t, redisStore(t, server.Config()), 1)
	stop := func(context.Context) error { server.Stop(); return nil }
	never := func(context.Context) error {
		t.Error("done although nobody could know whether it was done before")
		return nil
	}
	trouble := (*session.StoreError)(nil)
	if first, err := m.OnceDone(t.Context(), "test", "a", time.Hour, stop); first || !errors.As(err, &trouble) {
		t.Errorf("lost in between: %v, %v", first, err)
	}
	if first, err := m.OnceDone(t.Context(), "test", "a", time.Hour, never); first || !errors.As(err, &trouble) {
		t.Errorf("lost before: %v, %v", first, err)
	}
}

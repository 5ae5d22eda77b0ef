package session_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"postern/session"
	"postern/session/storetest"
)

func TestAFullMemoryStoreRefusesLoginsAndDropsNobody(t *testing.T) {
	t.Parallel()
	c := &clock{}
	store := session.NewMemoryStore(1<<20, session.Deps{Now: c.now})
	t.Cleanup(func() { _ = store.Close() })
	var kept []string
	var full error
	for full == nil {
		key := storetest.NewKey(t)
		value, _ := storetest.NewValue(t, 3000)
		if full = store.Create(t.Context(), key, value, time.Hour); full == nil {
			kept = append(kept, key)
		}
	}
	if !isTrouble(full) {
		t.Errorf("a full store answers %v, want trouble", full)
	}
	if len(kept) < 300 {
		t.Errorf("only %d sessions of 3 kB fit into 1 MiB", len(kept))
	}
	for _, key := range kept {
		if _, err := store.Read(t.Context(), key); err != nil {
			t.Fatalf("a session was dropped to make room: %v", err)
		}
	}
	c.elapse(time.Hour) // what has expired makes room, without waiting for the sweeper
	value, _ := storetest.NewValue(t, 3000)
	if err := store.Create(t.Context(), storetest.NewKey(t), value, time.Hour); err != nil {
		t.Error(err)
	}
}

func TestMarksCannotFillTheMemoryOfSessions(t *testing.T) {
	t.Parallel()
	c := &clock{}
	store := session.NewMemoryStore(1<<20, session.Deps{Now: c.now})
	t.Cleanup(func() { _ = store.Close() })
	var err error
	for range 100_000 {
		if _, err = store.Mark(t.Context(), storetest.NewKey(t), time.Hour); err != nil {
			break
		}
	}
	if !isTrouble(err) {
		t.Errorf("too many marks: %v, want trouble", err)
	}
	value, _ := storetest.NewValue(t, 3000)
	if err := store.Create(t.Context(), storetest.NewKey(t), value, time.Hour); err != nil {
		t.Errorf("a login found no room beside marks: %v", err)
	}
	c.elapse(time.Hour)
	if first, err := store.Mark(t.Context(), storetest.NewKey(t), time.Hour); !first || err != nil {
		t.Errorf("Mark after the old ones expired = %v, %v", first, err)
	}
}

func TestMemoryStoreSweepsByItselfAndStopsWithClose(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { // which fails if the sweeper outlives the test
		store := session.NewMemoryStore(1<<20, session.Deps{})
		value, _ := storetest.NewValue(t, 3000)
		key := storetest.NewKey(t)
		if err := store.Create(t.Context(), key, value, time.Minute); err != nil {
			t.Fatal(err)
		}
		time.Sleep(3 * time.Minute)
		if _, err := store.Read(t.Context(), key); !errors.Is(err, session.ErrNotFound) {
			t.Errorf("Read = %v", err)
		}
		for range 2 {
			if err := store.Close(); err != nil {
				t.Error(err)
			}
		}
	})
}

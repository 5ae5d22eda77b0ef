package storetest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"postern/session"
)

// sets are the tests of what every store has beside values.
var sets = map[string]func(*testing.T, Harness){
	"a set has its members until their time is over": setMembersEnd,
	"members are taken out one by one":               setMembersAreRemoved,
	"keys are counted by their prefix":               countByPrefix,
}

// shared are the tests of what a [session.Shared] has in addition. Other tests may use the same log.
var shared = map[string]func(*testing.T, Harness, session.Shared){
	"the log is read in order from where one was":   logInOrder,
	"a position that the log does not know is gap":  logGap,
	"what is put aside is kept":                     logAside,
	"waiting ends with the next entry":              logWait,
	"a lock has one owner at a time":                lockOnce,
	"a lock ends by itself, and its owner keeps it": lockEnds,
	"the store has an identity that stays":          identityStays,
}

func setMembersEnd(t *testing.T, h Harness) {
	set := NewKey(t)
	for i, m := range []struct {
		name string
		ttl  time.Duration
	}{{"late", time.Hour}, {"soon", 2 * time.Second}, {"later", 2 * time.Hour}} {
		n, err := h.Store.Add(t.Context(), set, m.name, m.ttl)
		if must(t, err); n != i+1 {
			t.Errorf("Add = %d, want %d", n, i+1)
		}
	}
	wantMembers(t, h, set, "soon", "late", "later")
	h.Elapse(2100 * time.Millisecond)
	wantMembers(t, h, set, "late", "later")
	if n, err := h.Store.Add(t.Context(), set, "late", time.Hour); err != nil || n != 2 {
		t.Errorf("Add of a member that is there = %d, %v, want 2: one has ended", n, err)
	}
}

func setMembersAreRemoved(t *testing.T, h Harness) {
	set := NewKey(t)
	wantMembers(t, h, set)
	for _, name := range []string{"a", "b"} {
		_, err := h.Store.Add(t.Context(), set, name, time.Hour)
		must(t, err)
	}
	for range 2 { // twice is as good as once
		must(t, h.Store.Remove(t.Context(), set, "a"))
		wantMembers(t, h, set, "b")
	}
	must(t, h.Store.Remove(t.Context(), set, "b"))
	wantMembers(t, h, set)
}

func wantMembers(t *testing.T, h Harness, set string, want ...string) {
	t.Helper()
	members, err := h.Store.Members(t.Context(), set)
	must(t, err)
	var got []string
	for _, m := range members {
		got = append(got, m.Name)
	}
	if !slices.Equal(got, want) {
		t.Errorf("members %q, want %q", got, want)
	}
}

func countByPrefix(t *testing.T, h Harness) {
	prefix := strings.TrimRight(NewKey(t), "}")
	value, _ := NewValue(t, 100)
	for _, end := range []string{"1}", "2}", "3}"} {
		must(t, h.Store.Create(t.Context(), prefix+end, value, time.Minute))
	}
	if n, err := h.Store.Count(t.Context(), prefix); err != nil || n != 3 {
		t.Errorf("Count = %d, %v, want 3", n, err)
	}
}

// logUntil reads on from a position until an entry comes, and returns all since.
func logUntil(t *testing.T, s session.Shared, at session.Position, last string) (entries []string, next session.Position) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); {
		found, next, err := s.Tail(t.Context(), at)
		must(t, err)
		for _, entry := range found {
			entries = append(entries, string(entry))
		}
		if at = next; slices.Contains(entries, last) {
			return entries, at
		}
	}
	t.Fatalf("%q does not come", last)
	return nil, at
}

// logEnd is where the log ends now.
func logEnd(t *testing.T, s session.Shared) session.Position {
	t.Helper()
	entries, at, err := s.Tail(t.Context(), session.Position{})
	if errors.Is(err, session.ErrNotFound) { // nothing was ever appended
		must(t, s.Append(t.Context(), NewBytes(t, 16), 0))
		entries, at, err = s.Tail(t.Context(), session.Position{})
	}
	if must(t, err); len(entries) != 0 || at == (session.Position{}) {
		t.Fatalf("the end of the log: %d entries, %v", len(entries), at)
	}
	return at
}

func logInOrder(t *testing.T, _ Harness, s session.Shared) {
	began := logEnd(t, s)
	name := string(NewBytes(t, 16)) // bytes of any kind
	for _, n := range []string{"1", "2", "3"} {
		must(t, s.Append(t.Context(), []byte(name+n), 0))
	}
	var at session.Position
	for range 2 { // reading takes nothing away
		var all []string
		all, at = logUntil(t, s, began, name+"3")
		all = slices.DeleteFunc(all, func(entry string) bool { return !strings.HasPrefix(entry, name) })
		if want := []string{name + "1", name + "2", name + "3"}; !slices.Equal(all, want) {
			t.Errorf("log has %q, want %q", all, want)
		}
	}
	must(t, s.Append(t.Context(), []byte(name+"4"), 0))
	if rest, _ := logUntil(t, s, at, name+"4"); slices.Contains(rest, name+"3") {
		t.Error("an entry comes twice")
	}
}

func logGap(t *testing.T, _ Harness, s session.Shared) {
	at := logEnd(t, s)
	for what, lost := range map[string]session.Position{
		"another log's entry of this id": {ID: at.ID, Entry: "another"},
		"an entry that was trimmed":      {ID: "1-1", Entry: at.Entry},
		"one that is not written yet":    {ID: "99999999999999-0", Entry: at.Entry},
	} {
		entries, _, err := s.Tail(t.Context(), lost)
		if wantError(t, err, session.ErrGap); len(entries) != 0 {
			t.Errorf("%s: entries beside the gap", what)
		}
	}
}

func logAside(t *testing.T, _ Harness, s session.Shared) {
	soon, aside, not := string(NewBytes(t, 16)), string(NewBytes(t, 16)), string(NewBytes(t, 16))
	must(t, s.Append(t.Context(), []byte(soon), time.Minute))
	must(t, s.Append(t.Context(), []byte(aside), time.Hour))
	must(t, s.Append(t.Context(), []byte(not), 0))
	var kept []string
	for offset := 0; ; offset += session.LogPage {
		page, err := s.Kept(t.Context(), offset)
		must(t, err)
		for _, entry := range page {
			kept = append(kept, string(entry))
		}
		if len(page) < session.LogPage {
			break
		}
	}
	if !slices.Contains(kept, aside) || slices.Contains(kept, not) {
		t.Errorf("kept are %q", kept)
	}
	if slices.Index(kept, soon) < slices.Index(kept, aside) { // else the pages move when it goes
		t.Error("what ends soon comes before what ends late")
	}
}

func logWait(t *testing.T, _ Harness, s session.Shared) {
	at := logEnd(t, s)
	woken := make(chan struct{})
	go func() {
		defer close(woken)
		s.Wait(t.Context(), at, 30*time.Second)
	}()
	must(t, s.Append(t.Context(), NewBytes(t, 16), 0))
	select {
	case <-woken:
	case <-time.After(15 * time.Second):
		t.Error("an entry does not wake who waits")
	}
}

func lockOnce(t *testing.T, _ Harness, s session.Shared) {
	key := NewKey(t)
	var owners atomic.Int32
	everybody(t, 20, func(ctx context.Context) error {
		got, err := s.Lock(ctx, key, string(NewBytes(t, 16)), time.Minute)
		if got {
			owners.Add(1)
		}
		return err
	})
	if owners.Load() != 1 {
		t.Errorf("%d owners, want 1", owners.Load())
	}
}

func lockEnds(t *testing.T, h Harness, s session.Shared) {
	key := NewKey(t)
	lock := func(owner string, ttl time.Duration, want bool) {
		t.Helper()
		if got, err := s.Lock(t.Context(), key, owner, ttl); err != nil || got != want {
			t.Errorf("Lock for %s = %v, %v, want %v", owner, got, err, want)
		}
	}
	lock("a", time.Minute, true)
	lock("b", time.Minute, false)
	must(t, s.Unlock(t.Context(), key, "b")) // not b's
	lock("b", time.Minute, false)
	must(t, s.Unlock(t.Context(), key, "a"))
	lock("b", Lifetime, true)
	lock("b", Lifetime, true) // kept
	h.Elapse(Lifetime + 50*time.Millisecond)
	lock("a", time.Minute, true)
}

func identityStays(t *testing.T, _ Harness, s session.Shared) {
	first, err := s.Identity(t.Context())
	must(t, err)
	if second, err := s.Identity(t.Context()); err != nil || second != first {
		t.Errorf("identity %q became %q, %v", first, second, err)
	}
}

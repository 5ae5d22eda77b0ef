package storetest

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"maps"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"postern/session"
)

// Harness is one store under test.
type Harness struct {
	Store session.Store

	// Elapse lets so much time pass for the store: by its clock, or by waiting.
	Elapse func(time.Duration)
}

// Lifetime is a time to live that the suite lets pass as a whole, short enough to be waited for.
const Lifetime = time.Second

// Run runs the suite; harness is called for every test of it.
func Run(t *testing.T, harness func(*testing.T) Harness) {
	t.Helper()
	tests := map[string]func(*testing.T, Harness){
		"what is created is read until its time is over":  createdIsReadUntilItsTimeIsOver,
		"what was never there is not found":               absenceIsNotFound,
		"a replaced value keeps the time of the old one":  replaceKeepsTheTime,
		"only the revision that was read is replaced":     replaceComparesRevisions,
		"of many replacements of one revision one wins":   oneReplacementWins,
		"a deleted session cannot be replaced into being": noResurrection,
		"deleting twice is as good as once":               deleteIsIdempotent,
		"a mark is made once by a hundred at a time":      markOnce,
		"a mark can be made again after its time":         markExpires,
		"large values come back whole":                    largeValues,
		"values are bytes, whatever they are":             anyBytes,
	}
	maps.Copy(tests, sets)
	for name, test := range shared {
		tests[name] = func(t *testing.T, h Harness) {
			s, ok := h.Store.(session.Shared)
			if !ok {
				t.Skip("the store belongs to one process")
			}
			test(t, h, s)
		}
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, harness(t))
		})
	}
}

// NewKey is a key as sessions have them.
func NewKey(t *testing.T) string {
	t.Helper()
	return "postern:session:{" + base64.RawURLEncoding.EncodeToString(NewBytes(t, 32)) + "}"
}

// NewValue is a value of so many bytes, and its revision.
func NewValue(t *testing.T, size int) ([]byte, session.Revision) {
	t.Helper()
	value := NewBytes(t, size)
	return value, session.Revision(value)
}

// NewBytes are random.
func NewBytes(t *testing.T, size int) []byte {
	t.Helper()
	random := make([]byte, size)
	if _, err := rand.Read(random); err != nil {
		t.Fatal(err)
	}
	return random
}

func createdIsReadUntilItsTimeIsOver(t *testing.T, h Harness) {
	key := NewKey(t)
	value, _ := NewValue(t, 100)
	must(t, h.Store.Create(t.Context(), key, value, Lifetime))
	wantValue(t, h, key, value)
	h.Elapse(Lifetime + 50*time.Millisecond)
	wantError(t, read(t, h, key), session.ErrNotFound)
}

func absenceIsNotFound(t *testing.T, h Harness) {
	value, revision := NewValue(t, 100)
	key := NewKey(t)
	wantError(t, read(t, h, key), session.ErrNotFound)
	wantError(t, h.Store.Replace(t.Context(), key, revision, value), session.ErrNotFound)
	wantError(t, read(t, h, key), session.ErrNotFound)
}

func replaceKeepsTheTime(t *testing.T, h Harness) {
	key := NewKey(t)
	first, revision := NewValue(t, 100)
	second, _ := NewValue(t, 200)
	must(t, h.Store.Create(t.Context(), key, first, Lifetime))
	h.Elapse(Lifetime / 4)
	must(t, h.Store.Replace(t.Context(), key, revision, second))
	wantValue(t, h, key, second)
	h.Elapse(3*Lifetime/4 + 50*time.Millisecond)
	wantError(t, read(t, h, key), session.ErrNotFound)
}

func replaceComparesRevisions(t *testing.T, h Harness) {
	key := NewKey(t)
	first, old := NewValue(t, 100)
	second, newer := NewValue(t, 100)
	third, _ := NewValue(t, 100)
	must(t, h.Store.Create(t.Context(), key, first, time.Minute))
	must(t, h.Store.Replace(t.Context(), key, old, second))
	wantError(t, h.Store.Replace(t.Context(), key, old, third), session.ErrConflict)
	wantValue(t, h, key, second)
	must(t, h.Store.Replace(t.Context(), key, newer, third))
	wantValue(t, h, key, third)
}

func oneReplacementWins(t *testing.T, h Harness) {
	key := NewKey(t)
	first, old := NewValue(t, 100)
	must(t, h.Store.Create(t.Context(), key, first, time.Minute))
	var won atomic.Pointer[[]byte]
	var wins atomic.Int32
	everybody(t, 50, func(ctx context.Context) error {
		mine, _ := NewValue(t, 100)
		switch err := h.Store.Replace(ctx, key, old, mine); {
		case err == nil:
			wins.Add(1)
			won.Store(&mine)
		case !errors.Is(err, session.ErrConflict):
			return err
		}
		return nil
	})
	if wins.Load() != 1 {
		t.Fatalf("%d replacements of one revision, want 1", wins.Load())
	}
	wantValue(t, h, key, *won.Load())
}

func noResurrection(t *testing.T, h Harness) {
	key := NewKey(t)
	value, revision := NewValue(t, 100)
	renewed, _ := NewValue(t, 100)
	must(t, h.Store.Create(t.Context(), key, value, time.Minute))
	must(t, read(t, h, key)) // a refresh begins …
	must(t, h.Store.Delete(t.Context(), key))
	wantError(t, h.Store.Replace(t.Context(), key, revision, renewed), session.ErrNotFound) // … and ends after the logout
	wantError(t, read(t, h, key), session.ErrNotFound)
}

func deleteIsIdempotent(t *testing.T, h Harness) {
	key := NewKey(t)
	value, _ := NewValue(t, 100)
	must(t, h.Store.Create(t.Context(), key, value, time.Minute))
	must(t, h.Store.Delete(t.Context(), key))
	must(t, h.Store.Delete(t.Context(), key))
	wantError(t, read(t, h, key), session.ErrNotFound)
}

func markOnce(t *testing.T, h Harness) {
	key := NewKey(t)
	var firsts atomic.Int32
	everybody(t, 100, func(ctx context.Context) error {
		first, err := h.Store.Mark(ctx, key, time.Minute)
		if first {
			firsts.Add(1)
		}
		return err
	})
	if firsts.Load() != 1 {
		t.Fatalf("%d were told to be the first, want 1", firsts.Load())
	}
}

func markExpires(t *testing.T, h Harness) {
	key := NewKey(t)
	for _, want := range []bool{true, false} {
		first, err := h.Store.Mark(t.Context(), key, Lifetime)
		if must(t, err); first != want {
			t.Fatalf("Mark = %v, want %v", first, want)
		}
	}
	h.Elapse(Lifetime + 50*time.Millisecond)
	first, err := h.Store.Mark(t.Context(), key, Lifetime)
	if must(t, err); !first {
		t.Fatal("Mark = false after its time was over")
	}
}

func largeValues(t *testing.T, h Harness) {
	key := NewKey(t)
	value, revision := NewValue(t, 256<<10)
	larger, _ := NewValue(t, 300<<10)
	must(t, h.Store.Create(t.Context(), key, value, time.Minute))
	wantValue(t, h, key, value)
	must(t, h.Store.Replace(t.Context(), key, revision, larger))
	wantValue(t, h, key, larger)
}

func anyBytes(t *testing.T, h Harness) {
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	for _, value := range [][]byte{all, bytes.Repeat([]byte{0}, 64), bytes.Repeat([]byte("\r\n$-1\r\n"), 9)} {
		key := NewKey(t)
		renewed, _ := NewValue(t, 64)
		must(t, h.Store.Create(t.Context(), key, value, time.Minute))
		wantValue(t, h, key, value)
		must(t, h.Store.Replace(t.Context(), key, session.Revision(value), renewed))
		wantValue(t, h, key, renewed)
	}
}

func everybody(t *testing.T, n int, do func(context.Context) error) {
	t.Helper()
	var group sync.WaitGroup
	for range n {
		group.Go(func() {
			if err := do(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
}

func read(t *testing.T, h Harness, key string) error {
	t.Helper()
	value, err := h.Store.Read(t.Context(), key)
	if err != nil && value != nil {
		t.Errorf("Read returned a value beside %v", err)
	}
	return err
}

func wantValue(t *testing.T, h Harness, key string, want []byte) {
	t.Helper()
	got, err := h.Store.Read(t.Context(), key)
	if must(t, err); !bytes.Equal(got, want) {
		t.Fatalf("read %d bytes that are not the %d written", len(got), len(want))
	}
}

func wantError(t *testing.T, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Fatalf("error is %v, want %v", got, want)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

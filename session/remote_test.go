package session_test

import (
	"context"
	"strconv"
	"time"

	"postern/session"
)

// What makes a [remote] a store that is shared: the log and the locks, as Redis has them.

func (r *remote) Append(_ context.Context, entry []byte, aside time.Duration) error {
	if err := r.call("append"); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.log = append(r.log, entry)
	if aside > 0 {
		r.aside = append(r.aside, entry)
	}
	return nil
}

func (r *remote) Tail(_ context.Context, after session.Position) (entries [][]byte, next session.Position, err error) {
	if err := r.call("tail"); err != nil {
		return nil, session.Position{}, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.log) == 0 {
		r.log = append(r.log, []byte{0})
	}
	next = r.position(len(r.log) - 1)
	if after == (session.Position{}) {
		return nil, next, nil
	}
	at, err := strconv.Atoi(after.ID)
	if err != nil || at >= len(r.log) || r.position(at) != after {
		return nil, session.Position{}, session.ErrGap
	}
	return r.log[at+1:], next, nil
}

func (r *remote) position(at int) session.Position {
	return session.Position{ID: strconv.Itoa(at), Entry: string(r.log[at])}
}

func (r *remote) Wait(ctx context.Context, after session.Position, most time.Duration) {
	end := time.After(most)
	for tick := time.NewTicker(time.Millisecond); ; {
		r.mu.Lock()
		at, _ := strconv.Atoi(after.ID)
		news := at+1 < len(r.log)
		r.mu.Unlock()
		if news {
			return
		}
		select {
		case <-tick.C:
		case <-end:
			return
		case <-ctx.Done():
			return
		}
	}
}

func (r *remote) Kept(_ context.Context, offset int) ([][]byte, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	from := min(offset, len(r.aside))
	return r.aside[from:min(from+session.LogPage, len(r.aside))], nil
}

func (r *remote) Identity(context.Context) (string, error) { return "", nil }

func (r *remote) Lock(_ context.Context, key, owner string, _ time.Duration) (bool, error) {
	if err := r.call("lock"); err != nil {
		return false, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if other := r.locks[key]; other != "" && other != owner {
		return false, nil
	}
	r.locks[key] = owner
	return true, nil
}

func (r *remote) Unlock(_ context.Context, key, owner string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.locks[key] == owner {
		delete(r.locks, key)
	}
	return nil
}

// loseLocks lets go of every lock, as when their time is over.
func (r *remote) loseLocks() {
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.locks)
}

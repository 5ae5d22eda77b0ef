package session

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"
)

const (
	listenFor  = 200 * time.Millisecond // the log is read at least so often
	readAtMost = 10 * time.Millisecond  // and not more often
	proofLasts = 700 * time.Millisecond // what was read proves so long that nothing ended unheard (S-07)

	identityEvery = 2 * time.Second
	graveTime     = 5 * time.Minute // an entry is put aside at least so long: longer than ending a session takes
)

// Run hears of what other replicas do, until ctx ends. Without it nothing of a shared store is served from memory.
//
// A replica that cannot read the log does not know that it has missed something, so it is not the absence of an error that counts, but the
// time of the last reading.
func (m *Manager) Run(ctx context.Context) {
	if m.shared == nil {
		<-ctx.Done()
		return
	}
	f := follower{m: m, lost: make(chan struct{}, 1)}
	if !m.cfg.ReadOnly { // and could not write anything
		var restoring sync.WaitGroup
		restoring.Go(func() { m.restore(ctx, f.lost) })
		defer restoring.Wait()
	}
	for ctx.Err() == nil {
		began := time.Since(m.born)
		whole, err := f.read(ctx)
		if err != nil {
			if errors.Is(err, ErrNotFound) { // and of nothing there is nothing to hear
				m.inform()
			}
			f.trouble(ctx, err)
			continue
		}
		if !whole {
			continue
		}
		m.heard.Store(int64(began))
		m.inform()
		f.recovered(ctx)
		f.checkIdentity(ctx)
		m.shared.Wait(ctx, f.at, listenFor)
		select { // not for each of many entries
		case <-time.After(readAtMost - (time.Since(m.born) - began)):
		case <-ctx.Done():
		}
	}
}

// current says whether this process knows of everything that has ended elsewhere, as of a moment ago. The clock is the monotonic one, which
// goes on while the process is stopped.
func (m *Manager) current() bool {
	if m.shared == nil {
		return true
	}
	heard := m.heard.Load()
	return heard > 0 && time.Since(m.born)-time.Duration(heard) <= proofLasts
}

// follower is the reader of the log.
type follower struct {
	m  *Manager
	at Position

	failing  time.Duration // between two attempts; 0 while it works
	identity string
	asked    time.Duration // when the identity was asked for, since the manager was born

	lost chan struct{} // has something in it when the store may have lost ends of sessions
}

// read takes the next page in. whole says that there is no further one.
func (f *follower) read(ctx context.Context) (whole bool, err error) {
	entries, next, err := f.m.shared.Tail(ctx, f.at)
	switch {
	case errors.Is(err, ErrGap):
		f.m.log.WarnContext(ctx, "the store has lost its log: nothing is served from memory until it was read anew", "code", "store_lost_data")
		f.at = Position{}
		f.restore()
		return false, nil
	case errors.Is(err, ErrNotFound) && !f.m.cfg.ReadOnly:
		return false, f.found(ctx)
	case err != nil:
		return false, err
	}
	if f.at == (Position{}) {
		if err := f.begin(ctx); err != nil {
			return false, err
		}
	}
	f.at = next
	for _, entry := range entries {
		f.m.hear(entry)
	}
	return len(entries) < LogPage, nil
}

// found writes the first entry of a log, which tells it from any other.
func (f *follower) found(ctx context.Context) error {
	first := make([]byte, 1+16)
	if _, err := io.ReadFull(f.m.rand, first[1:]); err != nil {
		return fmt.Errorf("begin log: %w", err)
	}
	return f.m.shared.Append(ctx, first, 0)
}

// begin starts from the end of the log, of which the position is known already: whatever was kept in memory is older, and what has ended
// lately was put aside.
func (f *follower) begin(ctx context.Context) error {
	f.m.cache.forgetAll()
	f.m.listeners.ringAll()
	for offset := 0; ; offset += LogPage {
		entries, err := f.m.shared.Kept(ctx, offset)
		if err != nil {
			return err
		}
		for _, entry := range entries {
			f.m.hear(entry)
		}
		if len(entries) < LogPage {
			return nil
		}
	}
}

func (f *follower) trouble(ctx context.Context, err error) {
	if f.failing == 0 && ctx.Err() == nil {
		f.m.log.WarnContext(ctx, "the log of ended sessions cannot be read: every request asks the store", "error", err)
	}
	f.failing = min(max(2*f.failing, listenFor/2), time.Second)
	select {
	case <-ctx.Done():
	case <-time.After(f.failing):
	}
}

func (f *follower) recovered(ctx context.Context) {
	if f.failing > 0 {
		f.m.log.InfoContext(ctx, "the log of ended sessions is read again")
	}
	f.failing = 0
}

// checkIdentity writes ended sessions to the store again when another server has taken the place of the one that acknowledged their end
// (S-08). A store that does not say who it is may not be asked.
func (f *follower) checkIdentity(ctx context.Context) {
	if f.m.cfg.ReadOnly { // and could not write anything
		return
	}
	if now := time.Since(f.m.born); f.asked != 0 && now-f.asked < identityEvery {
		return
	}
	f.asked = time.Since(f.m.born)
	identity, err := f.m.shared.Identity(ctx)
	if err != nil || identity == "" || identity == f.identity {
		return
	}
	if f.identity != "" {
		f.m.log.InfoContext(ctx, "another server has taken over the store")
		f.restore()
	}
	f.identity = identity
}

// hear takes an entry of the log in.
func (m *Manager) hear(entry []byte) {
	e, ok := decodeEvent(entry)
	switch {
	case !ok: // the first of a log, or of a newer version
	case e.kind == eventEnded:
		m.bury(e)
	case e.kind == eventChanged:
		m.endTokens(e)
		m.cache.forgetUnless(e.handle, e.revision)
		m.listeners.ring(e.handle)
	}
}

// bury makes this process forget a session, its access tokens included (S-09), until it would have ended anyway.
func (m *Manager) bury(e event) {
	m.endTokens(e) // also of one that is known: it may name more tokens
	if last := m.now().Add(m.cfg.MaxLifetime + 2*clockSlack); e.ends.After(last) {
		e.ends = last // whoever wrote that: no session lasts longer
	}
	if !m.graves.add(e, m.now()) {
		return
	}
	m.cache.forget(e.handle)
	m.ahead.forget(e.handle)
	m.listeners.ring(e.handle)
}

// endTokens ends the access tokens that an event names.
func (m *Manager) endTokens(e event) {
	if len(e.label) == 0 || m.revocations == nil {
		return
	}
	if l, err := m.ring.openLabel(e.handle, e.label); err == nil {
		for _, t := range l.tokens {
			m.revocations.AddHash(t.hash, t.expiry)
		}
	}
}

// aside is how long the store keeps the entry for replicas that start later.
func (e *event) aside(now time.Time) time.Duration { return max(e.ends.Sub(now), graveTime) }

func laterOf(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

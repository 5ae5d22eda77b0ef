package session

import (
	"context"
	"errors"
	"time"

	"postern/oidc"
	"postern/oidc/meter"
	"postern/oidc/trace"
)

// Use finds the session of a proxied request. Tokens that are due are renewed: in the background while the access token lives, and only
// when it has expired does the request wait. With activity the idle timeout moves (S-30: for a request that is no upgrade).
//
// Errors: [ErrNoSession], [ErrEnded] with its kinds, [ErrInactive]; [*StoreError]; [*oidc.TroubleError] when the access token has expired
// and the provider cannot be asked; the context's own when the caller went away, which harms nobody else's refresh.
func (m *Manager) Use(ctx context.Context, cookieValue string, activity bool) (*Session, error) {
	now := m.now()
	o, err := m.find(ctx, cookieValue, now)
	if err != nil {
		return nil, err
	}
	if activity {
		if o, err = m.touch(ctx, o, now); err != nil {
			return nil, err
		}
		m.ahead.note(m, o)
	}
	s := o.snapshot()
	if m.cfg.ManualRefreshOnly || !s.due(now) {
		if s.expired(now) {
			return nil, ErrTokenExpired
		}
		return s, nil
	}
	f := m.renew(ctx, o, now, automatically)
	if !s.expired(now) && (!f.landed() || trouble(f.err)) {
		return s, nil
	}
	return m.await(ctx, f)
}

// Refresh renews the tokens now, unless they are on cooldown or there is no refresh token; then it returns the session as it is, as it does
// while the old access token lives and the provider is in trouble. It moves the idle timeout. Errors are those of [Manager.Use].
func (m *Manager) Refresh(ctx context.Context, cookieValue string) (*Session, error) {
	o, err := m.look(ctx, cookieValue)
	if err != nil {
		return nil, err
	}
	now := m.now()
	if err := o.state(now); err != nil {
		return nil, err
	}
	if o, err = m.touch(ctx, o, now); err != nil {
		return nil, err
	}
	s := o.snapshot()
	if !s.renewable(now) {
		return s, nil
	}
	renewed, err := m.await(ctx, m.renew(ctx, o, now, onRequest))
	if trouble(err) && !s.expired(now) {
		return s, nil
	}
	return renewed, err
}

// await waits for a refresh, or for the caller to go away.
func (m *Manager) await(ctx context.Context, f *flight) (*Session, error) {
	began := time.Now()
	select {
	case <-f.done:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	meter.Waited(ctx, time.Since(began))
	if f.err != nil {
		return nil, f.err
	}
	return f.result.snapshot(), nil
}

// renewable says whether tokens may be renewed at all now.
func (s *Session) renewable(now time.Time) bool {
	return s.record.endedBy == "" && s.renews && !now.Before(s.cooldownEnd())
}

// due says whether a request makes the tokens be renewed.
func (s *Session) due(now time.Time) bool {
	return s.renewable(now) && (s.expired(now) || !now.Before(s.nextRefresh()))
}

// touch moves the idle timeout to a whole period from now: in memory at once, in the store once in a while, so that an active session costs
// a write a minute and not one a request. The timeout may thus come early by that much where nothing remembers the latest requests: at
// most a minute, and at most a twentieth of the period.
func (m *Manager) touch(ctx context.Context, o *opened, now time.Time) (*opened, error) {
	if !m.cfg.Inactivity {
		return o, nil
	}
	timeout := now.Add(m.cfg.InactivityTimeout).UTC().Round(0)
	o.activity.move(timeout)
	if !m.worthWriting(o, timeout) || !o.activity.writing.CompareAndSwap(false, true) {
		return o, nil
	}
	defer o.activity.writing.Store(false)
	ctx = context.WithoutCancel(ctx) // the store bounds its calls itself
	for range 4 {
		if !o.light {
			r := o.record
			r.timeout = timeout
			written, err := m.write(ctx, o, r)
			if err == nil || !errors.Is(err, ErrConflict) {
				return m.touched(ctx, o, written, err)
			}
		}
		// Memory has not all that is to be written, or it is behind a refresh or another replica's touch: move the timeout of what is there now,
		// and leave everything else as it is.
		whole, err := m.read(ctx, o.ticket, o, true)
		if err != nil {
			return m.touched(ctx, o, nil, err)
		}
		if err := whole.state(now); err != nil {
			return nil, err
		}
		o = whole
		if !m.worthWriting(o, timeout) {
			return o, nil
		}
	}
	return o, nil // somebody else keeps writing, and memory has it
}

// touched sorts what came of writing the timeout. Trouble of the store is no reason to refuse a request whose session was just read.
func (m *Manager) touched(ctx context.Context, before, written *opened, err error) (*opened, error) {
	switch {
	case err == nil:
		return written, nil
	case errors.Is(err, ErrNotFound), errors.Is(err, ErrNoSession):
		m.cache.forget(before.ticket.handle)
		return nil, ErrNoSession
	}
	m.log.WarnContext(ctx, "the idle timeout could not be written", "session", before.ticket.logName, "error", err)
	return before, nil
}

func (m *Manager) worthWriting(o *opened, timeout time.Time) bool {
	every := min(time.Minute, m.cfg.InactivityTimeout/20)
	return timeout.Sub(o.record.timeout) >= every
}

// move moves the timeout later, never earlier.
func (a *activity) move(timeout time.Time) {
	for nano := timeout.UnixNano(); ; {
		old := a.timeout.Load()
		if old >= nano || a.timeout.CompareAndSwap(old, nano) {
			return
		}
	}
}

// write replaces the record of a session, if it still is the one that was opened.
func (m *Manager) write(ctx context.Context, o *opened, r record) (*opened, error) {
	value, err := m.seal(o.ticket, &r)
	if err != nil {
		return nil, err
	}
	next, err := m.newOpened(o.ticket, Revision(value), r, o)
	if err != nil {
		return nil, err
	}
	since := m.cache.generation(o.ticket.handle)
	ctx, span := trace.Start(ctx, "session store replace", trace.Client)
	err = m.store.Replace(ctx, o.ticket.storeKey, o.revision, value)
	endStore(span, err)
	if err != nil {
		return next, err
	}
	m.cache.keepWritten(next, since)
	if m.graves.has(o.ticket.handle) { // whoever ends it has written the log and not deleted the record yet
		m.cache.forget(o.ticket.handle)
		return next, ErrNotFound
	}
	return next, nil
}

// trouble says whether an error is about somebody else than the caller's session.
func trouble(err error) bool {
	if err == nil {
		return false
	}
	_, store := errors.AsType[*StoreError](err)
	_, provider := errors.AsType[*oidc.TroubleError](err)
	return store || provider
}

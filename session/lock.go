package session

import (
	"context"
	"crypto/rand"
	"time"

	"postern/oidc"
	"postern/oidc/trace"
)

const (
	lockTTL   = 5 * time.Second // how long a session stays locked when its holder dies
	lockRenew = lockTTL / 4     // while the provider is slow
	lockPoll  = lockTTL / 10    // of those who wait, if they hear nothing
)

// exclusive has a session alone among all replicas, until release is called, and reads what is there then. Those who wait are told when the
// holder has written. A session on which nothing is needed any more is returned at once.
//
// The lock spares the provider; what is right does not hang on it. A holder that was stopped for longer than its lock lasts replaces a
// record by its revision, and finds it changed.
func (m *Manager) exclusive(ctx context.Context, o *opened, needed func(*opened) bool) (now *opened, release func(), err error) {
	if m.shared == nil {
		now, err = m.readLiving(ctx, o)
		return now, func() {}, err
	}
	news := m.listeners.listen(o.ticket.handle)
	defer m.listeners.leave(o.ticket.handle, news)
	key, owner := storeKey("lock", o.ticket.handle.String()), rand.Text()
	ctx, span := trace.Start(ctx, "session lock", trace.Internal)
	defer func() { span.End(err) }()
	outcome, began := lockTrouble, m.now()
	defer func() { m.metrics.waited(outcome, m.now().Sub(began)) }()
	for {
		got, err := m.shared.Lock(ctx, key, owner, lockTTL)
		if err != nil {
			return nil, nil, waitedTooLong(ctx, m.cfg.Provider, err)
		}
		if got {
			outcome, release = lockGot, m.hold(key, owner)
			if now, err = m.readLiving(ctx, o); err != nil {
				release()
				return nil, nil, err
			}
			return now, release, nil
		}
		select {
		case <-news.rang:
		case <-time.After(lockPoll):
		case <-ctx.Done():
			return nil, nil, waitedTooLong(ctx, m.cfg.Provider, ctx.Err())
		}
		if now, err = m.readLiving(ctx, o); err != nil || !needed(now) {
			if err == nil {
				outcome = lockElsewhere
			}
			return now, func() {}, waitedTooLong(ctx, m.cfg.Provider, err)
		}
	}
}

// readLiving reads the whole record of a session that logs somebody in.
func (m *Manager) readLiving(ctx context.Context, o *opened) (*opened, error) {
	o, err := m.read(ctx, o.ticket, o, true)
	if err == nil {
		err = o.state(m.now())
	}
	return o, err
}

// waitedTooLong makes trouble of the end of the time that a refresh has.
func waitedTooLong(ctx context.Context, provider string, err error) error {
	if err != nil && ctx.Err() != nil {
		return &oidc.TroubleError{Provider: provider, Op: "wait for another replica to renew tokens", Err: err}
	}
	return err
}

// hold keeps a lock until release is called.
func (m *Manager) hold(key, owner string) (release func()) {
	done := make(chan struct{})
	m.tasks.run(func() { // it is part of a task, so there is no end before
		tick := time.NewTicker(lockRenew)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				if got, err := m.shared.Lock(m.background, key, owner, lockTTL); err == nil && !got {
					return // it was lost, to whoever replaces the record first
				}
			case <-done:
				_ = m.shared.Unlock(m.background, key, owner) // it ends by itself
				return
			}
		}
	})
	return func() { close(done) }
}

// announce tells the other replicas that a record was replaced. Who does not hear of it serves the older tokens while they live. Those of a
// session that the provider has ended do not live on (S-09).
func (m *Manager) announce(ctx context.Context, o *opened) {
	e, aside := event{kind: eventChanged, handle: o.ticket.handle, revision: o.revision}, time.Duration(0)
	if o.record.endedBy != "" {
		e.label = m.ring.sealLabel(e.handle, m.labelOf(o.ticket, &o.record))
		aside = max(o.record.expiry.Sub(m.now())+2*clockSlack, graveTime)
		m.endTokens(e)
	}
	m.listeners.ring(e.handle)
	if m.shared == nil {
		return
	}
	if err := m.shared.Append(ctx, e.encode(), aside); err != nil {
		m.log.WarnContext(ctx, "other replicas were not told of new tokens", "session", o.ticket.logName, "error", err)
	}
}

package session

import (
	"bytes"
	"context"
	"errors"
	"time"
)

// End ends the session of a cookie on every replica and returns what it was, for its id token. A cookie that names no session of ours is no
// error: (nil, nil). When the store cannot be asked the session has not ended, and the error is a [*StoreError]; this process then goes on
// trying to end it.
func (m *Manager) End(ctx context.Context, cookieValue string) (*Session, error) {
	print := fingerprintOf(cookieValue)
	t, err := m.tickets.open(cookieValue, print)
	if errors.Is(err, ErrNoSession) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	ctx = context.WithoutCancel(ctx) // the store bounds its calls itself; a logout that was asked for is one, whoever waits for it
	o, err := m.look(ctx, cookieValue)
	if errors.Is(err, ErrNoSession) {
		return nil, nil
	}
	if err == nil {
		_, err = m.end(ctx, t.handle, endedLogout)
	}
	if err != nil {
		if trouble(err) {
			m.wish(t.handle)
		}
		return nil, err
	}
	return o.snapshot(), nil
}

// end ends the session of a handle, and says whether there was one. The entry in the log comes first, so that no replica can have read the record
// after it heard of the end and keep it for a living one (S-07). Once begun it goes on without its caller.
func (m *Manager) end(ctx context.Context, h handle, cause string) (existed bool, err error) {
	ctx = context.WithoutCancel(ctx)
	value, err := m.readEnding(ctx, h)
	if err != nil {
		return false, err
	}
	existed = value != nil
	var e event
	var l label
	for range endLooks {
		e, l = m.endOf(h, value)
		if m.shared != nil {
			if err := m.shared.Append(ctx, e.encode(), e.aside(m.now())); err != nil {
				return false, err
			}
		}
		newest, err := m.readEnding(ctx, h)
		if err != nil {
			return false, err
		}
		if newest == nil || bytes.Equal(newest, value) {
			break
		}
		value = newest // a refresh came between: its access token ends as well (S-09)
	}
	if err := m.store.Delete(ctx, h.storeKey()); err != nil {
		return false, err
	}
	m.bury(e)
	m.delist(ctx, h, l)
	if existed {
		m.metrics.end(cause)
	}
	return existed, nil
}

// endLooks bounds how often a record is looked at that somebody goes on writing; replicas that have heard of its end write no more.
const endLooks = 3

// readEnding is the value of a session, or nil.
func (m *Manager) readEnding(ctx context.Context, h handle) ([]byte, error) {
	value, err := m.store.Read(ctx, h.storeKey())
	if errors.Is(err, ErrNotFound) {
		return nil, nil
	}
	return value, err
}

// endOf is what the log says of the end of a session that the store has like this.
func (m *Manager) endOf(h handle, value []byte) (event, label) {
	e := event{kind: eventEnded, handle: h, ends: m.now().Add(m.cfg.MaxLifetime + clockSlack).Truncate(time.Second), label: labelIn(value)}
	l, err := m.ring.openLabel(h, e.label)
	if err == nil {
		e.ends = l.ends.Add(clockSlack)
	}
	return e, l
}

// labelIn is the sealed label of a value; nil if there is none.
func labelIn(value []byte) []byte {
	if len(value) < RevisionSize {
		return nil
	}
	label, _, _ := splitRecord(value)
	return label
}

// labelOf is the label of a record.
func (m *Manager) labelOf(t *ticket, r *record) *label {
	l := &label{created: r.created, refreshed: r.refreshed, ends: r.ends, tokens: r.superseded}
	if !r.access.Empty() {
		l.tokens = append(l.tokens[:len(l.tokens):len(l.tokens)], r.accessToken())
	}
	l.user, l.sid = setsOf(t.sealedBy, Selector{Subject: subjectOf(r), SID: r.sid})
	copy(l.log[:], t.logName)
	return l
}

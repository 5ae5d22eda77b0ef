package session

import (
	"encoding/binary"
	"sync"
	"time"
)

const (
	maxAhead = 1 << 14

	// aheadSpread is the part of the leeway over which replicas that all plan the same refresh spread.
	aheadSpread = refreshLeeway / 3
)

// ahead is the refreshes that are planned for sessions in use: one before the tokens expire, so that nobody has to wait for it. A session that
// nobody used since its last refresh has none (contract 3.3), nor one of short-lived tokens: the provider would hear from it for ever.
type ahead struct {
	mu     sync.Mutex
	timers map[handle]*time.Timer
	closed bool
}

// note plans the next refresh of a session that was just used.
func (a *ahead) note(m *Manager, o *opened) {
	if o.activity.planned.Load() || m.cfg.ManualRefreshOnly || !o.session.renews || o.record.expiry.Sub(o.record.refreshed) <= 2*refreshCooldown {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	old := a.timers[o.ticket.handle]
	if a.closed || old == nil && len(a.timers) >= maxAhead || !o.activity.planned.CompareAndSwap(false, true) {
		return
	}
	if old != nil {
		old.Stop()
	}
	if a.timers == nil {
		a.timers = map[handle]*time.Timer{}
	}
	// A different moment for each session and on each replica.
	spread := time.Duration((binary.BigEndian.Uint64(o.ticket.handle[:]) ^ uint64(m.born.UnixNano())) % uint64(aheadSpread))
	wait := o.session.nextRefresh().Sub(m.now()) + spread
	t, used := o.ticket, o.activity // and not the tokens: how many sessions are in memory is for the cache to say
	a.timers[t.handle] = time.AfterFunc(wait, func() { a.begin(m, t, used) })
}

// begin carries a plan out. After close there is nobody to wait for it.
func (a *ahead) begin(m *Manager, t *ticket, used *activity) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.timers, t.handle)
	if !a.closed {
		m.tasks.run(func() {
			used.planned.Store(false)
			a.fire(m, t)
		})
	}
}

func (a *ahead) fire(m *Manager, t *ticket) {
	newest, err := m.read(m.background, t, m.cache.get(t.cookie), false)
	if now := m.now(); err == nil && newest.state(now) == nil && newest.session.due(now) {
		m.renew(m.background, newest, now, automatically)
	}
}

// forget drops the plan for a session.
func (a *ahead) forget(h handle) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if timer := a.timers[h]; timer != nil {
		timer.Stop()
		delete(a.timers, h)
	}
}

// close drops every plan.
func (a *ahead) close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.closed = true
	for h, timer := range a.timers {
		timer.Stop()
		delete(a.timers, h)
	}
}

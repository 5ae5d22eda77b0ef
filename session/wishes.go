package session

import (
	"context"
	"sync"
	"time"
)

const (
	maxWishes = 1 << 14
	wishEvery = time.Second
)

// wishes are the sessions that were to be ended while the store could not be asked, each until it would have ended anyway.
type wishes struct {
	mu    sync.Mutex
	until map[handle]time.Time
}

// wish goes on trying to end a session. Until that has worked the session is not ended, and nobody is told that it is.
func (m *Manager) wish(h handle) {
	m.cache.forget(h)
	w := &m.wishes
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.until) >= maxWishes {
		return
	}
	if w.until == nil {
		w.until = map[handle]time.Time{}
	}
	idle := len(w.until) == 0
	w.until[h] = m.now().Add(m.cfg.MaxLifetime)
	if idle {
		go m.carryOut(m.background)
	}
}

// carryOut tries until no wish is left.
func (m *Manager) carryOut(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(wishEvery):
		}
		for _, h := range m.wishes.list() {
			if _, err := m.end(ctx, h, endedLogout); err == nil {
				m.log.InfoContext(ctx, "a session that was to be ended while the store was down has ended")
				m.wishes.done(h)
			} else if m.wishes.over(h, m.now()) {
				m.wishes.done(h)
			} else {
				break // the others would fail as well
			}
		}
		if m.wishes.none() {
			return
		}
	}
}

func (w *wishes) list() (all []handle) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for h := range w.until {
		all = append(all, h)
	}
	return all
}

func (w *wishes) done(h handle) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.until, h)
}

func (w *wishes) over(h handle, now time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return !now.Before(w.until[h])
}

func (w *wishes) none() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.until) == 0
}

package session

import (
	"context"
	"errors"
	"sync"
	"time"
)

const (
	watchRest   = time.Second // between two looks at one session
	watchBudget = 2 * time.Second

	watchWonderwall = 5 * time.Second // between two looks at a session of a wonderwall SSO server
)

// Watch calls over once, in its own goroutine, when a session that a stream belongs to is over: logged out here or elsewhere, ended by the
// provider, past its end, or idle for too long. A refresh is not an end, and trouble with the store is none either. The caller calls stop
// when the stream has ended by itself; over is then not called any more, and a second stop does nothing.
func (m *Manager) Watch(s *Session, over func(reason error)) (stop func()) {
	ctx, cancel := context.WithCancel(m.background)
	t, first := s.ticket, m.untilOver(s) // and not the session, whose tokens would be held as long as the stream is open
	news := m.listeners.listen(t.handle)
	go func() {
		defer m.listeners.leave(t.handle, news)
		if reason := m.watch(ctx, t, first, news); reason != nil && ctx.Err() == nil {
			over(reason)
		}
	}()
	return sync.OnceFunc(cancel)
}

// watch returns why a session is over, or nil when ctx has ended. It looks after first, and when there is news.
func (m *Manager) watch(ctx context.Context, t *ticket, first time.Duration, news *listener) error {
	look := time.NewTimer(first)
	defer look.Stop()
	for {
		if m.graves.has(t.handle) { // also when it ended before anybody listened
			return ErrEnded
		}
		select {
		case <-ctx.Done():
			return nil
		case <-news.rang:
		case <-look.C:
		}
		newest, err := m.glance(ctx, t)
		switch {
		case err == nil:
			look.Reset(m.untilOver(newest))
		case errors.Is(err, ErrNoSession), errors.Is(err, ErrEnded), errors.Is(err, ErrInactive):
			return err
		default:
			look.Reset(watchRest)
		}
	}
}

// glance is the session as the store has it now.
func (m *Manager) glance(ctx context.Context, t *ticket) (*Session, error) {
	ctx, cancel := context.WithTimeout(ctx, watchBudget)
	defer cancel()
	o, err := m.read(ctx, t, m.cache.get(t.cookie), false)
	if err != nil {
		return nil, err
	}
	return o.snapshot(), o.state(m.now())
}

// untilOver is when a session that nobody uses is over, seen from now.
func (m *Manager) untilOver(s *Session) time.Duration {
	over := s.record.ends
	if !s.timeout.IsZero() && s.timeout.Before(over) {
		over = s.timeout
	}
	rest := max(over.Sub(m.now())+time.Millisecond, watchRest)
	if s.ticket.wonderwall { // whose server tells nobody of logouts
		return min(rest, watchWonderwall)
	}
	return rest
}

package session

import (
	"context"
	"errors"
	"time"
)

// OnceDone does something for a value unless it was done before for this purpose, on any replica, within the time. Unlike with [Manager.Once] the
// value is used up only when it is done: what failed can be tried again with the same one (S-33). So what is done must bear being done twice at a
// time, and first is then true for one of the two.
func (m *Manager) OnceDone(
	ctx context.Context, purpose, value string, ttl time.Duration, do func(context.Context) error,
) (first bool, err error) {
	for _, hash := range m.ring.hashAll("once "+purpose, value) {
		switch _, err := m.store.Read(ctx, storeKey("once", hash)); {
		case err == nil:
			return false, nil
		case !errors.Is(err, ErrNotFound):
			return false, err
		}
	}
	if err := do(ctx); err != nil {
		return false, err
	}
	return m.Once(ctx, purpose, value, ttl)
}

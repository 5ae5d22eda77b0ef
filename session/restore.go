package session

import (
	"context"
	"slices"
	"time"
)

const restoreRest = time.Second // after trouble

// restore has everything that has ended written to the store again (S-08).
func (f *follower) restore() {
	select {
	case f.lost <- struct{}{}:
	default: // is going to be
	}
}

// restore writes everything that has ended to the store again whenever the store may have lost it: one after the other, until all are
// there. Meanwhile every replica that has heard refuses the records that come back.
func (m *Manager) restore(ctx context.Context, lost <-chan struct{}) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-lost:
		}
		for left := m.graves.all(m.now()); len(left) > 0; {
			left = slices.DeleteFunc(left, func(e event) bool { return m.endAgain(ctx, e) == nil })
			select {
			case <-ctx.Done():
				return
			case <-time.After(restoreRest):
			}
		}
	}
}

func (m *Manager) endAgain(ctx context.Context, e event) error {
	if err := m.shared.Append(ctx, e.encode(), e.aside(m.now())); err != nil {
		return err
	}
	return m.store.Delete(ctx, e.handle.storeKey())
}

package session

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

const (
	sidLeftFor  = 10 * time.Minute // S-33; a code lives shorter
	userLeftFor = time.Hour        // as long as a login may take
)

// errSelector says that a selector does not name exactly one thing.
var errSelector = errors.New("select sessions by either subject or sid")

// leave remembers that somebody was logged out, for logins that are under way.
func (m *Manager) leave(ctx context.Context, of Selector) error {
	purpose, name, ttl := "left sid", of.SID, sidLeftFor
	if of.SID == "" {
		purpose, name, ttl = "left user", of.Subject, userLeftFor
	}
	if (of.SID == "") == (of.Subject == "") {
		return errSelector
	}
	now := binary.BigEndian.AppendUint64(nil, uint64(m.now().UnixMicro()))
	for _, hash := range m.ring.hashAll(purpose, name) {
		if err := m.store.Create(ctx, storeKey("left", hash), now, ttl); err != nil {
			return fmt.Errorf("remember logout: %w", err)
		}
	}
	return nil
}

// overtaken returns [ErrOvertaken] for a login whose session of the provider has ended meanwhile, or whose person was logged out everywhere
// since it began (S-33).
func (m *Manager) overtaken(ctx context.Context, r *record, started time.Time) error {
	if r.sid != "" {
		_, left, err := m.lastLeft(ctx, "left sid", r.sid)
		if err != nil {
			return err
		}
		if left {
			return ErrOvertaken
		}
	}
	if started.IsZero() {
		return nil
	}
	at, left, err := m.lastLeft(ctx, "left user", subjectOf(r))
	if err != nil {
		return err
	}
	if left && !started.Truncate(time.Microsecond).After(at) {
		return ErrOvertaken
	}
	return nil
}

func (m *Manager) lastLeft(ctx context.Context, purpose, name string) (at time.Time, left bool, err error) {
	for _, hash := range m.ring.hashAll(purpose, name) {
		value, err := m.store.Read(ctx, storeKey("left", hash))
		if errors.Is(err, ErrNotFound) {
			continue
		}
		if err == nil && len(value) != 8 {
			err = &StoreError{Op: "read logout", Err: errMalformed}
		}
		if err != nil {
			return time.Time{}, false, err
		}
		at, left = laterOf(at, time.UnixMicro(int64(binary.BigEndian.Uint64(value)))), true
	}
	return at, left, nil
}

package session

import (
	"sync/atomic"
	"time"

	"postern/oidc"
)

// Session is what was known about one login at one moment. It never changes; whoever wants to know more recent things asks the [Manager].
type Session struct {
	record    *record
	identity  *oidc.Identity
	hashedID  string
	timeout   time.Time // idle timeout, including what has not been written to the store yet; zero for none
	autoRenew bool
}

// Identity is who is logged in: the newest id token, and what of the access token counts (S-18).
func (s *Session) Identity() *oidc.Identity { return s.identity }

// Tokens are the newest tokens. Those of a session that the provider ended are gone, but for the id token.
func (s *Session) Tokens() oidc.Tokens {
	return oidc.Tokens{Access: s.record.access, Refresh: s.record.refresh, ID: s.record.id, Expiry: s.record.expiry}
}

// HashedID names the session in logs: 22 characters, the same on every replica, and no handle on anything.
func (s *Session) HashedID() string { return s.hashedID }

// SID is the provider's name for its session, as given to [Manager.Create].
func (s *Session) SID() string { return s.record.sid }

// opened is a record in the clear, and what it takes to find and replace it. It does not change, but for the activity that it shares with
// earlier and later states of the same session in this process.
type opened struct {
	ticket   *ticket
	revision Revision
	record   record
	activity *activity
	session  *Session // as the record has it
}

// activity is how far the idle timeout has moved since it was last written to the store.
type activity struct {
	timeout atomic.Int64 // nanoseconds since 1970
	writing atomic.Bool
}

// snapshot is the session with the idle timeout as it is now.
func (o *opened) snapshot() *Session {
	moved := o.activity.timeout.Load()
	if o.record.timeout.IsZero() || moved <= o.record.timeout.UnixNano() {
		return o.session
	}
	s := *o.session
	s.timeout = time.Unix(0, moved).UTC()
	return &s
}

// state says why this session does not log anybody in; nil if it does.
func (o *opened) state(now time.Time) error {
	switch {
	case o.record.endedBy != "":
		return &EndedError{Code: o.record.endedBy, Claims: o.record.challenge}
	case !now.Before(o.record.ends):
		return ErrEnded
	case o.idle(now):
		return ErrInactive
	}
	return nil
}

func (o *opened) idle(now time.Time) bool {
	if o.record.timeout.IsZero() {
		return false
	}
	return now.UnixNano() > max(o.record.timeout.UnixNano(), o.activity.timeout.Load())
}

// weight is roughly what keeping the session in memory takes, in bytes: the texts, and what the identity and the headers repeat of them.
func (o *opened) weight() uint32 {
	r := &o.record
	tokens := len(r.access.Raw()) + len(r.refresh.Raw()) + len(r.id.Raw())
	return uint32(2048 + tokens + 3*len(r.claims) + 2*len(r.granted))
}

package session

import (
	"strings"
	"sync/atomic"
	"time"

	"postern/oidc"
)

// Session is what was known about one login at one moment. It never changes; whoever wants to know more recent things asks the [Manager].
type Session struct {
	ticket    *ticket
	record    *record
	identity  *oidc.Identity
	hashedID  string
	timeout   time.Time // idle timeout, including what has not been written to the store yet; zero for none
	autoRenew bool
	renews    bool // there is a refresh token
}

// Identity is who is logged in: the newest id token, and what of the access token counts (S-18).
func (s *Session) Identity() *oidc.Identity { return s.identity }

// Tokens are the newest tokens. Those of a session that the provider ended are gone, but for the id token. [Manager.Use] may bring the access
// token alone; see [ManagerConfig.KeepIDToken].
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
	session  *Session  // as the record has it
	read     time.Time // when the store was asked
	light    bool      // the refresh token, and mostly the id token, are in the store only
}

// lighten is the state as memory keeps it: without what no request for the app needs, which is a good part of a record. Tokens are copied,
// as they are parts of the whole.
func (o *opened) lighten(keepID bool) *opened {
	if o.light {
		return o
	}
	l, s := *o, *o.session
	r := &l.record
	l.light, l.session, s.record = true, &s, r
	r.access, r.refresh = oidc.NewToken(strings.Clone(r.access.Raw())), oidc.Token{}
	if r.id = (oidc.Token{}); keepID {
		r.id = oidc.NewToken(strings.Clone(o.record.id.Raw()))
	}
	return &l
}

// activity is how far the idle timeout has moved since it was last written to the store, and what else requests have left in this process.
type activity struct {
	timeout atomic.Int64 // nanoseconds since 1970
	writing atomic.Bool
	planned atomic.Bool // the next refresh is; see ahead
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
	return uint32(1536 + tokens + 2*len(r.claims) + 2*len(r.granted))
}

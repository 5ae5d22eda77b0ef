package session

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// Selector names sessions by whose they are. Exactly one field is set.
type Selector struct {
	Subject string // the person, as the id token's "sub" has it
	SID     string // the provider's name for its session (OIDC Front-Channel Logout 1.0 §3)
}

// Listed is what an operator may see of a session: no name, no claim, no token.
type Listed struct {
	HashedID  string    // what logs call it
	Created   time.Time // of the login
	Ends      time.Time // when it ends at the latest
	Refreshed time.Time // when its tokens were issued
}

const (
	maxSessions = 50 // of one person; with one more the oldest ends (S-56)
	endAtOnce   = 8
)

// EndAll ends every session of a selector on every replica, and returns how many there were. A login of theirs that was under way makes no
// session. With a [*StoreError] some may be left, and the same call can be made again.
func (m *Manager) EndAll(ctx context.Context, of Selector) (ended int, err error) {
	if err := m.leave(ctx, of); err != nil { // first, so that a login either sees it, or is in the set that is read next
		return 0, err
	}
	handles, err := m.members(ctx, of)
	if err != nil {
		return 0, err
	}
	var n atomic.Int64
	var mu sync.Mutex
	var failed error
	var group sync.WaitGroup
	slots := make(chan struct{}, endAtOnce)
	for _, h := range handles {
		slots <- struct{}{}
		group.Go(func() {
			defer func() { <-slots }()
			existed, err := m.end(ctx, h, endedAll)
			if existed && err == nil {
				n.Add(1)
			}
			mu.Lock()
			defer mu.Unlock()
			failed = errors.Join(failed, err)
		})
	}
	group.Wait()
	return int(n.Load()), failed
}

// List is the sessions of a selector.
func (m *Manager) List(ctx context.Context, of Selector) ([]Listed, error) {
	handles, err := m.members(ctx, of)
	if err != nil {
		return nil, err
	}
	var all []Listed
	for _, h := range handles {
		value, err := m.store.Read(ctx, h.storeKey())
		if errors.Is(err, ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if l, err := m.ring.openLabel(h, labelIn(value)); err == nil && !m.graves.has(h) {
			all = append(all, Listed{HashedID: string(l.log[:]), Created: l.created, Ends: l.ends, Refreshed: l.refreshed})
		}
	}
	return all, nil
}

// Count is the number of sessions in the store. It walks over all keys, so it is for operators and not for requests.
func (m *Manager) Count(ctx context.Context) (int, error) {
	return m.store.Count(ctx, "postern:session:")
}

// setsOf names the sets that hold the sessions of a person, and of a session of the provider; zero for one that is not known. The key is that
// of the ticket, which does not change while keys are rotated.
func setsOf(k *key, of Selector) (user, sid handle) {
	if of.Subject != "" {
		user = k.mac("user", of.Subject)
	}
	if of.SID != "" {
		sid = k.mac("sid", of.SID)
	}
	return user, sid
}

func subjectOf(r *record) string {
	var claims struct {
		Subject string `json:"sub"`
	}
	_ = json.Unmarshal([]byte(r.claims), &claims) // oidc has verified them
	return claims.Subject
}

// set is where a set is kept.
func (h handle) set() string { return storeKey("sessions", h.String()) }

// enlist puts a session into the sets that a logout everywhere looks at. Of too many sessions of one person the oldest end.
func (m *Manager) enlist(ctx context.Context, t *ticket, r *record) error {
	user, sid := setsOf(t.sealedBy, Selector{Subject: subjectOf(r), SID: r.sid})
	ttl := m.cfg.MaxLifetime + clockSlack
	if sid != (handle{}) {
		if _, err := m.store.Add(ctx, sid.set(), t.handle.String(), ttl); err != nil {
			return err
		}
	}
	if user == (handle{}) {
		return nil
	}
	n, err := m.store.Add(ctx, user.set(), t.handle.String(), ttl)
	if err != nil || n <= maxSessions {
		return err
	}
	members, err := m.store.Members(ctx, user.set())
	if err != nil {
		return err
	}
	for _, oldest := range members[:max(0, len(members)-maxSessions)] {
		if h, ok := parseHandle(oldest.Name); ok && h != t.handle {
			existed, err := m.end(ctx, h, endedTooMany)
			if err != nil {
				return err
			}
			if existed {
				m.auditTooMany(ctx, r)
			}
		}
	}
	return nil
}

// delist takes an ended session out of its sets. What stays there in trouble ends with the set.
func (m *Manager) delist(ctx context.Context, h handle, l label) {
	for _, set := range [...]handle{l.user, l.sid} {
		if set != (handle{}) {
			if err := m.store.Remove(ctx, set.set(), h.String()); err != nil {
				m.log.WarnContext(ctx, "an ended session stays in the list of its person", "session", string(l.log[:]), "error", err)
			}
		}
	}
}

// members is the handles of a selector's sessions, under every key of the ring.
func (m *Manager) members(ctx context.Context, of Selector) (handles []handle, err error) {
	for _, k := range m.ring.current.Load().keys {
		set, sid := setsOf(k, of)
		if of.SID != "" {
			set = sid
		}
		found, err := m.store.Members(ctx, set.set())
		if err != nil {
			return nil, err
		}
		for _, member := range found {
			if h, ok := parseHandle(member.Name); ok {
				handles = append(handles, h)
			}
		}
	}
	return handles, nil
}

func parseHandle(text string) (h handle, ok bool) {
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || len(raw) != len(h) {
		return handle{}, false
	}
	return handle(raw), true
}

package session

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"postern/config"
	"postern/oidc"
)

// Refresher renews tokens (RFC 6749 §6). [*oidc.Client] is one.
type Refresher interface {
	Refresh(ctx context.Context, old oidc.Grant) (oidc.Grant, error)
}

// ManagerConfig is how sessions behave.
type ManagerConfig struct {
	config.Session
	CookieName string // name of the session cookie; a ticket opens under this name only
	Provider   string // X-Postern-Provider of the login client; a session of another provider is none

	ManualRefreshOnly bool  // tokens are renewed by /oauth2/session/refresh only (SSO)
	CacheBytes        int64 // bound of the sessions in memory; 0 means 32 MiB
}

// Manager makes, finds, renews and ends sessions. It is safe for concurrent use. Close it when the last request is answered.
type Manager struct {
	cfg       ManagerConfig
	log       *slog.Logger
	now       func() time.Time
	rand      io.Reader
	ring      *KeyRing
	tickets   tickets
	store     Store
	refresher Refresher
	metrics   *refreshMetrics

	cache   *cache
	unknown unknowns

	background context.Context // of what must not end with a request
	stop       context.CancelFunc
	flights    flights
	running    sync.WaitGroup
}

// NewManager does no I/O.
func NewManager(cfg ManagerConfig, ring *KeyRing, store Store, r Refresher, d Deps) *Manager {
	d = d.withDefaults()
	m := &Manager{
		cfg: cfg, log: d.Log, now: d.Now, rand: d.Rand, ring: ring, store: store, refresher: r,
		tickets: newTickets(ring, cfg.CookieName, cfg.MaxLifetime),
		metrics: newRefreshMetrics(d.Registerer),
		cache:   newCache(cfg.CacheTTL, cfg.CacheBytes),
	}
	m.background, m.stop = context.WithCancel(context.Background())
	return m
}

// Close waits for refreshes under way, so that no rotated token is lost, but no longer than ctx lives.
func (m *Manager) Close(ctx context.Context) error {
	done := make(chan struct{})
	go func() {
		m.running.Wait()
		close(done)
	}()
	var err error
	select {
	case <-done:
	case <-ctx.Done():
		err = fmt.Errorf("wait for refreshes: %w", ctx.Err())
	}
	m.stop()
	m.cache.close()
	return err
}

// Create makes a session of a verified login, under a new id (advisory GO-2024-2637), and returns the value for the session cookie. sid is
// the provider's name for its session, or empty.
func (m *Manager) Create(ctx context.Context, g oidc.Grant, sid string) (s *Session, cookieValue string, err error) {
	t, cookieValue, err := m.tickets.issue(m.rand)
	if err != nil {
		return nil, "", err
	}
	now := m.time()
	r := record{
		created: now, ends: now.Add(m.cfg.MaxLifetime), refreshed: now, expiry: g.Tokens.Expiry.UTC().Round(0),
		access: g.Tokens.Access, refresh: g.Tokens.Refresh, id: g.Tokens.ID,
		provider: m.cfg.Provider, claims: g.Identity.ClaimsJSON(), granted: g.Identity.GrantedJSON(), sid: sid,
	}
	if r.expiry.IsZero() {
		r.expiry = r.ends // a token endpoint that names no expiry (RFC 6749 §5.1)
	}
	if m.cfg.Inactivity {
		r.timeout = now.Add(m.cfg.InactivityTimeout)
	}
	value, err := sealRecord(t, &r)
	if err != nil {
		return nil, "", fmt.Errorf("seal session: %w", err)
	}
	o, err := m.newOpened(t, Revision(value), r, nil)
	if err != nil {
		return nil, "", err
	}
	since := m.cache.generation(t.cookie)
	if err := m.store.Create(ctx, t.storeKey, value, m.cfg.MaxLifetime+clockSlack); err != nil {
		return nil, "", err
	}
	m.cache.keepWritten(o, since)
	return o.session, cookieValue, nil
}

// Get finds the session of a cookie. It never renews anything and moves no timeout. With [ErrInactive] the session comes along, for its
// metadata and nothing else; with every other error it is nil.
func (m *Manager) Get(ctx context.Context, cookieValue string) (*Session, error) {
	o, err := m.find(ctx, cookieValue)
	if err != nil {
		return nil, err
	}
	if err := o.state(m.now()); err != nil {
		if errors.Is(err, ErrInactive) {
			return o.snapshot(), err
		}
		return nil, err
	}
	return o.snapshot(), nil
}

// End deletes the session and returns what it was, for its id token. A cookie that names no session of ours is no error: (nil, nil). When
// the store cannot be asked nothing has ended, and the error is a [*StoreError].
func (m *Manager) End(ctx context.Context, cookieValue string) (*Session, error) {
	o, err := m.find(ctx, cookieValue)
	if errors.Is(err, ErrNoSession) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if err := m.store.Delete(ctx, o.ticket.storeKey); err != nil {
		return nil, err
	}
	m.cache.forget(o.ticket.cookie)
	return o.snapshot(), nil
}

// Once returns true the first time that a value is brought for a purpose, on any replica, until the time is over (S-23). It marks under
// every key of the ring, so that the answer does not change while keys are rotated.
func (m *Manager) Once(ctx context.Context, purpose, value string, ttl time.Duration) (bool, error) {
	once := true
	for _, hash := range m.ring.hashAll("once "+purpose, value) {
		first, err := m.store.Mark(ctx, storeKey("once", hash), ttl)
		if err != nil {
			return false, err
		}
		once = once && first
	}
	return once, nil
}

// find returns the session of a cookie in whatever state it is, from memory where that cannot be behind, else from the store.
func (m *Manager) find(ctx context.Context, cookieValue string) (*opened, error) {
	print := fingerprintOf(cookieValue)
	kept := m.cache.get(print)
	if kept != nil && !m.ring.has(kept.ticket.sealedBy) { // the key was dropped from the ring, and the cookie with it
		m.cache.forget(print)
		return nil, ErrNoSession
	}
	if kept != nil && m.store.Local() {
		return kept, nil
	}
	if m.unknown.has(print, m.now()) {
		return nil, ErrNoSession
	}
	var t *ticket
	if kept != nil {
		t = kept.ticket
	} else {
		var err error
		if t, err = m.tickets.open(cookieValue, print); err != nil {
			return nil, err
		}
	}
	return m.read(ctx, t, kept)
}

// read asks the store. What is kept from before saves opening the record again if it has not changed.
func (m *Manager) read(ctx context.Context, t *ticket, kept *opened) (*opened, error) {
	since := m.cache.generation(t.cookie)
	value, err := m.store.Read(ctx, t.storeKey)
	if errors.Is(err, ErrNotFound) {
		m.cache.forget(t.cookie)
		m.unknown.add(t.cookie, m.now())
		return nil, ErrNoSession
	}
	if err != nil {
		return nil, err
	}
	if kept != nil && len(value) > RevisionSize && Revision(value) == kept.revision {
		return kept, nil
	}
	r, revision, err := openRecord(t, value)
	if errors.Is(err, errForeign) {
		// Not deleted and not logged with alarm: whose session it is, this ticket does not prove.
		m.log.WarnContext(ctx, "a session record does not open with the ticket that names it", "session", t.logName, "error", err)
		m.unknown.add(t.cookie, m.now())
		return nil, ErrNoSession
	}
	if err != nil {
		return nil, &StoreError{Op: "open session", Err: err}
	}
	o, err := m.newOpened(t, revision, r, kept)
	if err != nil {
		return nil, err
	}
	m.cache.keepRead(o, since)
	return o, nil
}

// newOpened prepares a record for use. kept is an earlier state of the same session in this process, or nil.
func (m *Manager) newOpened(t *ticket, at Revision, r record, kept *opened) (*opened, error) {
	if r.provider != m.cfg.Provider {
		return nil, ErrNoSession // the login provider was exchanged since
	}
	o := &opened{ticket: t, revision: at, record: r, activity: &activity{}}
	var identity *oidc.Identity
	if kept != nil {
		o.activity = kept.activity
		if string(kept.record.claims) == string(r.claims) && string(kept.record.granted) == string(r.granted) {
			identity = kept.session.identity
		}
	}
	if identity == nil {
		var err error
		if identity, err = oidc.RestoreIdentity(r.provider, r.claims, r.granted); err != nil {
			return nil, fmt.Errorf("restore identity: %w", err)
		}
	}
	o.session = &Session{
		record: &o.record, identity: identity, hashedID: t.logName, timeout: r.timeout, autoRenew: !m.cfg.ManualRefreshOnly,
	}
	return o, nil
}

// time is now as a record keeps it: without the monotonic clock, in UTC.
func (m *Manager) time() time.Time { return m.now().UTC().Round(0) }

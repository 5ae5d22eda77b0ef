package session

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"postern/config"
	"postern/oidc"
	"postern/oidc/trace"
)

// Refresher renews tokens (RFC 6749 §6). [*oidc.Client] is one.
type Refresher interface {
	Refresh(ctx context.Context, old oidc.Grant) (oidc.Grant, error)
}

// ManagerConfig is how sessions behave.
type ManagerConfig struct {
	config.Session
	CookieName string // name of the session cookie; a ticket opens under this name only
	Provider   string // X-Postern-Provider of the login client; a session of another provider is none. As SSO proxy it may be empty: any

	ManualRefreshOnly bool  // tokens are renewed by /oauth2/session/refresh only (SSO)
	ReadsWonderwall   bool  // sessions of a wonderwall SSO server count too (S-49)
	ReadOnly          bool  // the store may be read and not written (SSO proxy)
	CacheBytes        int64 // bound of the sessions in memory; 0 means 32 MiB
	KeepIDToken       bool  // [Manager.Use] brings the id token too
}

// Manager makes, finds, renews and ends sessions. It is safe for concurrent use. Run it, and close it when the last request is answered.
type Manager struct {
	cfg         ManagerConfig
	log         *slog.Logger
	audit       *slog.Logger
	now         func() time.Time
	rand        io.Reader
	ring        *KeyRing
	tickets     tickets
	store       Store
	shared      Shared // the store, if other replicas use it too
	refresher   Refresher
	revocations *oidc.Revocations
	metrics     *managerMetrics

	cache   *cache
	unknown unknowns

	born      time.Time    // with the monotonic clock
	heard     atomic.Int64 // how long after that the last reading of the log began, that brought everything; 0 for never
	informed  chan struct{}
	inform    func() // closes it, once
	graves    graves
	listeners listeners
	wishes    wishes
	ahead     ahead

	background context.Context // of what must not end with a request
	stop       context.CancelFunc
	flights    flights
	tasks      tasks
}

// NewManager does no I/O.
func NewManager(cfg ManagerConfig, ring *KeyRing, store Store, r Refresher, d Deps) *Manager {
	d = d.withDefaults()
	m := &Manager{
		cfg: cfg, log: d.Log, audit: d.Audit, now: d.Now, rand: d.Rand, ring: ring, store: store, refresher: r, revocations: d.Revocations,
		tickets: newTickets(ring, cfg.CookieName, cfg.MaxLifetime),
		cache:   newCache(cfg.CacheTTL+cfg.OutageGrace, cfg.CacheBytes, cfg.KeepIDToken),
		born:    time.Now(),
	}
	if cfg.CacheTTL <= 0 {
		m.cache = nil
	}
	m.metrics = newManagerMetrics(d.Registerer, m.cache)
	m.informed = make(chan struct{})
	m.inform = sync.OnceFunc(func() { close(m.informed) })
	if m.shared, _ = store.(Shared); m.shared == nil {
		m.inform() // nobody else ends anything
	}
	m.background, m.stop = context.WithCancel(context.Background())
	return m
}

// Informed is closed when [Manager.Run] has heard of everything that ended before it began: until then a token that a logout has ended would be
// taken for a good one (S-09).
func (m *Manager) Informed() <-chan struct{} { return m.informed }

// Close waits for refreshes under way, so that no rotated token is lost, but no longer than ctx lives.
func (m *Manager) Close(ctx context.Context) error {
	m.ahead.close()
	err := m.tasks.wait(ctx)
	m.tasks.close()
	m.stop()
	m.cache.close()
	return err
}

// Login is what is known of a login beside the provider's answer.
type Login struct {
	SID     string    // the provider's name for its session, or empty
	Started time.Time // when the browser was sent to the provider; zero if that is not known
}

// Create makes a session of a verified login, under a new id (advisory GO-2024-2637), and returns the value for the session cookie. The error
// is [ErrOvertaken] for a login that a logout has overtaken.
func (m *Manager) Create(ctx context.Context, g oidc.Grant, login Login) (s *Session, cookieValue string, err error) {
	t, cookieValue, err := m.tickets.issue(m.rand)
	if err != nil {
		return nil, "", err
	}
	now := m.time()
	r := record{
		created: now, ends: now.Add(m.cfg.MaxLifetime), refreshed: now, expiry: g.Tokens.Expiry.UTC().Round(0),
		access: g.Tokens.Access, refresh: g.Tokens.Refresh, id: g.Tokens.ID,
		provider: m.cfg.Provider, claims: g.Identity.ClaimsJSON(), granted: g.Identity.GrantedJSON(), sid: login.SID,
	}
	if r.expiry.IsZero() {
		r.expiry = r.ends // a token endpoint that names no expiry (RFC 6749 §5.1)
	}
	if m.cfg.Inactivity {
		r.timeout = now.Add(m.cfg.InactivityTimeout)
	}
	value, err := m.seal(t, &r)
	if err != nil {
		return nil, "", err
	}
	o, err := m.newOpened(t, Revision(value), r, nil)
	if err != nil {
		return nil, "", err
	}
	since := m.cache.generation(t.handle)
	if err := m.enlist(ctx, t, &r); err != nil { // before the record, so that none is out of reach of a logout everywhere
		return nil, "", err
	}
	creating, span := trace.Start(ctx, "session store create", trace.Client)
	err = m.store.Create(creating, t.storeKey, value, m.cfg.MaxLifetime+clockSlack)
	endStore(span, err)
	if err != nil {
		return nil, "", err
	}
	if err := m.overtaken(ctx, &r, login.Started); err != nil {
		return nil, "", errors.Join(err, m.undo(ctx, t.handle))
	}
	m.cache.keepWritten(o, since)
	m.metrics.created.Inc()
	return o.session, cookieValue, nil
}

// undo ends a session that nobody has got a cookie for yet.
func (m *Manager) undo(ctx context.Context, h handle) error {
	_, err := m.end(context.WithoutCancel(ctx), h, endedOvertaken)
	return err
}

// seal makes the value that the store keeps.
func (m *Manager) seal(t *ticket, r *record) ([]byte, error) {
	value, err := sealRecord(t, r, m.ring.sealLabel(t.handle, m.labelOf(t, r)))
	if err != nil {
		return nil, fmt.Errorf("seal session: %w", err)
	}
	return value, nil
}

// Get finds the session of a cookie as the store has it. It never renews anything and moves no timeout. With [ErrInactive] the session comes
// along, for its metadata and nothing else; with every other error it is nil.
func (m *Manager) Get(ctx context.Context, cookieValue string) (*Session, error) {
	o, err := m.look(ctx, cookieValue)
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

// Once returns true the first time that a value is brought for a purpose, on any replica, until the time is over (S-23). It marks under
// every key of the ring, so that the answer does not change while keys are rotated.
func (m *Manager) Once(ctx context.Context, purpose, value string, ttl time.Duration) (bool, error) {
	once := true
	for _, hash := range m.ring.hashAll("once "+purpose, value) {
		marking, span := trace.Start(ctx, "session store mark", trace.Client)
		first, err := m.store.Mark(marking, storeKey("once", hash), ttl)
		endStore(span, err)
		if err != nil {
			return false, err
		}
		once = once && first
	}
	return once, nil
}

// find returns a session that logs somebody in: from memory where that cannot be behind, else from the store. That it does not log anybody in
// is only ever the store's word, since other replicas may have moved its end.
func (m *Manager) find(ctx context.Context, cookieValue string, now time.Time) (*opened, error) {
	print := fingerprintOf(cookieValue)
	current := m.current() // before the look: what is heard after it may be of the end of what was seen (S-07)
	kept, err := m.recall(print)
	if err != nil {
		return nil, err
	}
	if kept != nil && current && m.fresh(kept, now) && kept.state(now) == nil {
		m.metrics.cache.Hit()
		return kept, nil
	}
	m.metrics.cache.Miss()
	o, err := m.lookUp(ctx, cookieValue, print, kept, false)
	if err != nil {
		if trouble(err) && kept != nil && m.bridged() && kept.state(now) == nil {
			return kept, nil
		}
		return nil, err
	}
	return o, o.state(now)
}

// look returns the session of a cookie in whatever state it is, whole and as the store has it.
func (m *Manager) look(ctx context.Context, cookieValue string) (*opened, error) {
	print := fingerprintOf(cookieValue)
	kept, err := m.recall(print)
	if err != nil {
		return nil, err
	}
	return m.lookUp(ctx, cookieValue, print, kept, true)
}

// recall is what memory has of a cookie, or nil.
func (m *Manager) recall(print fingerprint) (*opened, error) {
	kept := m.cache.get(print)
	if kept != nil && !m.ring.has(kept.ticket.sealedBy) { // the key was dropped from the ring, and the cookie with it
		m.cache.forget(kept.ticket.handle)
		return nil, ErrNoSession
	}
	return kept, nil
}

// fresh says whether a session was read from the store less than the cache's time ago.
func (m *Manager) fresh(o *opened, now time.Time) bool { return now.Before(o.read.Add(m.cfg.CacheTTL)) }

// bridged says whether sessions may be served from memory although the store is down: for a time that the operator chose.
func (m *Manager) bridged() bool {
	heard := m.heard.Load()
	return m.cfg.OutageGrace > 0 && heard > 0 && time.Since(m.born)-time.Duration(heard) <= proofLasts+m.cfg.OutageGrace
}

func (m *Manager) lookUp(ctx context.Context, cookieValue string, print fingerprint, kept *opened, whole bool) (*opened, error) {
	if m.unknown.has(print, m.now()) {
		return nil, ErrNoSession
	}
	if kept != nil {
		return m.read(ctx, kept.ticket, kept, whole)
	}
	t, err := m.tickets.open(cookieValue, print)
	if errors.Is(err, ErrNoSession) && m.cfg.ReadsWonderwall {
		t, err = openWonderwallCookie(m.ring, cookieValue, print)
	}
	if err != nil {
		return nil, err
	}
	return m.read(ctx, t, nil, whole)
}

// read asks the store. What is kept from before saves opening the record again if it has not changed, unless the whole record is wanted.
func (m *Manager) read(ctx context.Context, t *ticket, kept *opened, whole bool) (*opened, error) {
	since, began := m.cache.generation(t.handle), m.now()
	if m.graves.has(t.handle) {
		return nil, ErrNoSession
	}
	reading, span := trace.Start(ctx, "session store read", trace.Client)
	value, err := m.store.Read(reading, t.storeKey)
	endStore(span, err)
	if errors.Is(err, ErrNotFound) {
		m.cache.forget(t.handle)
		m.unknown.add(t.cookie, m.now())
		return nil, ErrNoSession
	}
	if err != nil {
		return nil, err
	}
	if m.graves.has(t.handle) { // it is about to be deleted, or the store has brought it back
		return nil, ErrNoSession
	}
	o := kept
	if kept == nil || kept.light && whole || len(value) <= RevisionSize || Revision(value) != kept.revision {
		if o, err = m.open(ctx, t, value, kept); err != nil {
			return nil, err
		}
		o.read = began
	}
	if t.wonderwall { // nobody here would hear of its end
		return o, nil
	}
	return m.cache.keepRead(o, since, began), nil
}

// open opens what the store has.
func (m *Manager) open(ctx context.Context, t *ticket, value []byte, kept *opened) (*opened, error) {
	if t.wonderwall {
		return m.openWonderwall(ctx, t, value)
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
	return m.newOpened(t, revision, r, kept)
}

// newOpened prepares a record for use. kept is an earlier state of the same session in this process, or nil.
func (m *Manager) newOpened(t *ticket, at Revision, r record, kept *opened) (*opened, error) {
	if r.provider != m.cfg.Provider && m.cfg.Provider != "" {
		return nil, ErrNoSession // the login provider was exchanged since
	}
	o := &opened{ticket: t, revision: at, record: r, activity: &activity{}, read: m.now()}
	var identity *oidc.Identity
	if kept != nil {
		o.activity = kept.activity
		if !kept.record.refreshed.Equal(r.refreshed) {
			o.activity.planned.Store(false) // that was the refresh; for the next one a request has to come
		}
		if kept.record.claims == r.claims && kept.record.granted == r.granted {
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
		ticket: t, record: &o.record, identity: identity, hashedID: t.logName, timeout: r.timeout,
		autoRenew: !m.cfg.ManualRefreshOnly, renews: !r.refresh.Empty(),
	}
	return o, nil
}

// time is now as a record keeps it: without the monotonic clock, in UTC.
func (m *Manager) time() time.Time { return m.now().UTC().Round(0) }

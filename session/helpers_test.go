package session_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"postern/config"
	"postern/oidc"
	"postern/session"
)

const cookieName = "__Host-postern.session"

// person is the claims of an id token.
type person struct {
	Subject string   `json:"sub"`
	Name    string   `json:"name,omitempty"`
	Groups  []string `json:"groups,omitempty"`
	SID     string   `json:"sid,omitempty"`
}

var kari = person{Subject: "kari-01017012345", Name: "Kari Nordmann", Groups: []string{"staff"}, SID: "sid-of-kari"}

// grantFor is what a login of this person brings; n tells grants apart.
func grantFor(t testing.TB, p person, n int, expiry time.Time) oidc.Grant {
	t.Helper()
	claims, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	identity, err := oidc.RestoreIdentity(oidc.OpenID, string(claims), "")
	if err != nil {
		t.Fatal(err)
	}
	encode := base64.RawURLEncoding.EncodeToString
	return oidc.Grant{Identity: identity, Tokens: oidc.Tokens{
		Access:  oidc.NewToken(fmt.Sprintf("access-%d", n)),
		Refresh: oidc.NewToken(fmt.Sprintf("refresh-%d", n)),
		ID:      oidc.NewToken(encode([]byte(`{"alg":"RS256"}`)) + "." + encode(claims) + "." + encode([]byte("signature"))),
		Expiry:  expiry,
	}}
}

// provider is a token endpoint that rotates refresh tokens and takes a used one for stolen, as the strict ones do.
type provider struct {
	t    testing.TB
	now  func() time.Time
	life time.Duration // of an access token

	mu      sync.Mutex
	person  person
	grants  int
	replays int
	answer  func(ctx context.Context, n int) error // may refuse or wait; nil always grants
	shape   func(*oidc.Grant)                      // may change the answer
}

func (p *provider) login() oidc.Grant { return grantFor(p.t, p.person, 0, p.now().Add(p.life)) }

func (p *provider) Refresh(ctx context.Context, old oidc.Grant) (oidc.Grant, error) {
	p.mu.Lock()
	replayed := old.Tokens.Refresh.Raw() != fmt.Sprintf("refresh-%d", p.grants)
	p.grants++
	n, answer, shape, who := p.grants, p.answer, p.shape, p.person
	if replayed {
		p.replays++
	}
	p.mu.Unlock()
	if replayed {
		return oidc.Grant{}, &oidc.RefusalError{Provider: "openid", Op: "renew tokens", Status: 400, Code: "invalid_grant"}
	}
	if answer != nil {
		if err := answer(ctx, n); err != nil {
			p.mu.Lock()
			p.grants-- // the refresh token was not used up
			p.mu.Unlock()
			return oidc.Grant{}, err
		}
	}
	g := grantFor(p.t, who, n, p.now().Add(p.life))
	if shape != nil {
		shape(&g)
	}
	return g, nil
}

// invalidGrant is the answer of a provider that has ended the session.
func invalidGrant(context.Context, int) error {
	return &oidc.RefusalError{Provider: "openid", Code: "invalid_grant", Status: 400}
}

func (p *provider) change(do func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	do()
}

func (p *provider) counts() (grants, replays int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.grants, p.replays
}

// world is one replica with its provider.
type world struct {
	*session.Manager
	t        testing.TB
	provider *provider
	store    session.Store
	ring     *session.KeyRing
	cfg      session.ManagerConfig
	now      func() time.Time
}

// worldConfig shapes a world; every zero field has a default.
type worldConfig struct {
	store   session.Store
	ring    *session.KeyRing
	now     func() time.Time
	session func(*session.ManagerConfig)
	deps    session.Deps
}

func newWorld(t testing.TB, wc worldConfig) *world {
	t.Helper()
	if wc.now == nil {
		wc.now = time.Now
	}
	if wc.ring == nil {
		wc.ring = newRing(t, 1)
	}
	if wc.store == nil {
		store := session.NewMemoryStore(0, session.Deps{Now: wc.now})
		t.Cleanup(func() { _ = store.Close() })
		wc.store = store
	}
	cfg := session.ManagerConfig{
		Session:    config.Session{MaxLifetime: 10 * time.Hour, InactivityTimeout: 30 * time.Minute, CacheTTL: 30 * time.Second},
		CookieName: cookieName, Provider: oidc.OpenID,
	}
	if wc.session != nil {
		wc.session(&cfg)
	}
	w := &world{t: t, store: wc.store, ring: wc.ring, cfg: cfg, now: wc.now}
	w.provider = &provider{t: t, now: wc.now, life: time.Hour, person: kari}
	wc.deps.Now = wc.now
	w.Manager = session.NewManager(cfg, wc.ring, wc.store, w.provider, wc.deps)
	t.Cleanup(func() {
		if err := w.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return w
}

// login makes a session and returns its cookie.
func (w *world) login() string {
	w.t.Helper()
	_, cookie, err := w.Create(context.Background(), w.provider.login(), session.Login{SID: kari.SID})
	if err != nil {
		w.t.Fatal(err)
	}
	return cookie
}

// use is a proxied request; it returns the access token that the app would see.
func (w *world) use(cookie string) (access string, err error) {
	s, err := w.Use(context.Background(), cookie, true)
	if err != nil {
		return "", err
	}
	return s.Tokens().Access.Raw(), nil
}

func (w *world) wantAccess(cookie, want string) {
	w.t.Helper()
	if got, err := w.use(cookie); err != nil || got != want {
		w.t.Fatalf("the app gets %q, %v; want %q", got, err, want)
	}
}

// newRing makes a ring of keys that are known by their numbers.
func newRing(t testing.TB, numbers ...byte) *session.KeyRing {
	t.Helper()
	ring, err := session.NewKeyRing(keys(numbers...))
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

func keys(numbers ...byte) []config.Secret {
	var list []config.Secret
	for _, n := range numbers {
		secret := make([]byte, 32)
		for i := range secret {
			secret[i] = n
		}
		list = append(list, config.NewSecret(base64.StdEncoding.EncodeToString(secret)))
	}
	return list
}

// remote is a store that other replicas write to as well.
type remote struct {
	*session.MemoryStore
	log   [][]byte
	aside [][]byte // of those, what is kept for replicas that start later
	locks map[string]string

	mu    sync.Mutex
	calls int
	fail  func(op string) error // may return trouble, or do something in between
}

func (r *remote) call(op string) error {
	r.mu.Lock()
	r.calls++
	fail := r.fail
	r.mu.Unlock()
	if fail != nil {
		return fail(op)
	}
	return nil
}

func (r *remote) change(fail func(op string) error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fail = fail
}

func (r *remote) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.calls
}

func (r *remote) Create(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	if err := r.call("create"); err != nil {
		return err
	}
	return r.MemoryStore.Create(ctx, key, value, ttl)
}

func (r *remote) Read(ctx context.Context, key string) ([]byte, error) {
	if err := r.call("read"); err != nil {
		return nil, err
	}
	return r.MemoryStore.Read(ctx, key)
}

func (r *remote) Replace(ctx context.Context, key string, old session.Revision, value []byte) error {
	if err := r.call("replace"); err != nil {
		return err
	}
	return r.MemoryStore.Replace(ctx, key, old, value)
}

func (r *remote) Delete(ctx context.Context, key string) error {
	if err := r.call("delete"); err != nil {
		return err
	}
	return r.MemoryStore.Delete(ctx, key)
}

func (r *remote) Mark(ctx context.Context, key string, ttl time.Duration) (bool, error) {
	if err := r.call("mark"); err != nil {
		return false, err
	}
	return r.MemoryStore.Mark(ctx, key, ttl)
}

func newRemote(t testing.TB, now func() time.Time) *remote {
	t.Helper()
	store := session.NewMemoryStore(0, session.Deps{Now: now})
	t.Cleanup(func() { _ = store.Close() })
	return &remote{MemoryStore: store, locks: map[string]string{}}
}

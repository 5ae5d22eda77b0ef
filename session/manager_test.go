package session_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"postern/oidc"
	"postern/session"
)

func TestASessionIsFoundByItsCookieAndByNothingElse(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldConfig{})
	created, cookie, err := w.Create(t.Context(), w.provider.login(), session.Login{SID: kari.SID})
	if err != nil {
		t.Fatal(err)
	}
	if len(cookie) > session.TicketCookie {
		t.Errorf("the cookie has %d bytes, want at most %d", len(cookie), session.TicketCookie)
	}
	found, err := w.Get(t.Context(), cookie)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []*session.Session{created, found} {
		if s.Identity().Subject() != kari.Subject || s.Tokens().Access.Raw() != "access-0" || s.SID() != kari.SID || len(s.HashedID()) != 22 {
			t.Errorf("the session is %q with %d characters of name", s.Identity().Subject(), len(s.HashedID()))
		}
	}
	if created.HashedID() != found.HashedID() {
		t.Error("the name in logs is not stable")
	}
	other := newWorld(t, worldConfig{store: w.store, ring: newRing(t, 2)})
	elsewhere := newWorld(t, worldConfig{store: w.store, session: func(c *session.ManagerConfig) { c.CookieName = "other" }})
	exchanged := newWorld(t, worldConfig{store: w.store, session: func(c *session.ManagerConfig) { c.Provider = oidc.EntraID }})
	for name, get := range map[string]func() (*session.Session, error){
		"no cookie":                   func() (*session.Session, error) { return w.Get(t.Context(), "") },
		"cut":                         func() (*session.Session, error) { return w.Get(t.Context(), cookie[:len(cookie)-4]) },
		"oversized":                   func() (*session.Session, error) { return w.Get(t.Context(), strings.Repeat(cookie, 30)) },
		"under a key not in the ring": func() (*session.Session, error) { return other.Get(t.Context(), cookie) },
		"under another cookie name":   func() (*session.Session, error) { return elsewhere.Get(t.Context(), cookie) },
		"of another login provider":   func() (*session.Session, error) { return exchanged.Get(t.Context(), cookie) },
	} {
		if s, err := get(); s != nil || !errors.Is(err, session.ErrNoSession) {
			t.Errorf("%s: %v, %v; want no session", name, s, err)
		}
	}
}

// Presence of a cookie is never validity (CVE-2022-29226), and a login never takes over an id that was there before (GO-2024-2637).
func TestAdvisoryGO2024_2637EveryLoginHasANewID(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldConfig{})
	ids := map[string]bool{}
	for range 1000 { // and so is the randomness of ids (advisory CVE-2024-21495)
		ids[w.IDOf(w.login())] = true
	}
	if len(ids) != 1000 {
		t.Errorf("1000 logins have %d ids", len(ids))
	}
	first, second := w.login(), w.login() // two browsers of one person, with one sid at the provider
	if _, err := w.End(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	w.wantAccess(second, "access-0")
}

func TestAdvisoryCVE2024_21492CookieFromBeforeLogoutIsNoSessionOnAnyReplica(t *testing.T) {
	t.Parallel()
	for name, store := range map[string]session.Store{"memory": nil, "shared": newRemote(t, time.Now)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, worldConfig{store: store})
			replicas := []*world{w}
			if store != nil {
				replicas = append(replicas, newWorld(t, worldConfig{store: store}))
			}
			cookie := w.login()
			for _, r := range replicas {
				r.wantAccess(cookie, "access-0")
			}
			ended, err := w.End(t.Context(), cookie)
			if err != nil || ended.Tokens().ID.Empty() || ended.Identity().Subject() != kari.Subject {
				t.Fatalf("End = %v, %v; want what the session was", ended, err)
			}
			for _, r := range replicas {
				if s, err := r.Use(t.Context(), cookie, true); s != nil || !errors.Is(err, session.ErrNoSession) {
					t.Errorf("the old cookie: %v, %v", s, err)
				}
			}
			if again, err := w.End(t.Context(), cookie); again != nil || err != nil {
				t.Errorf("ending it again: %v, %v", again, err)
			}
		})
	}
}

func TestEndIsQuietAboutCookiesOfNobody(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldConfig{})
	for _, cookie := range []string{"", "nonsense", strings.Repeat("x", 10_000)} {
		if s, err := w.End(t.Context(), cookie); s != nil || err != nil {
			t.Errorf("End(%.10q) = %v, %v", cookie, s, err)
		}
	}
}

func TestStoreTroubleIsNeverAbsence(t *testing.T) {
	t.Parallel()
	store := newRemote(t, time.Now)
	w := newWorld(t, worldConfig{store: store})
	cookie := w.login()
	store.change(func(op string) error { return &session.StoreError{Op: op, Err: errors.New("down")} })
	for name, call := range map[string]func() (*session.Session, error){
		"get":     func() (*session.Session, error) { return w.Get(t.Context(), cookie) },
		"use":     func() (*session.Session, error) { return w.Use(t.Context(), cookie, true) },
		"refresh": func() (*session.Session, error) { return w.Refresh(t.Context(), cookie) },
		"end":     func() (*session.Session, error) { return w.End(t.Context(), cookie) },
		"create": func() (*session.Session, error) {
			s, _, err := w.Create(t.Context(), w.provider.login(), session.Login{})
			return s, err
		},
	} {
		if s, err := call(); s != nil || !isTrouble(err) || errors.Is(err, session.ErrNoSession) {
			t.Errorf("%s: %v, %v; want trouble", name, s, err)
		}
	}
	if first, err := w.Once(t.Context(), "state", "x", time.Hour); first || !isTrouble(err) {
		t.Errorf("once: %v, %v; want trouble", first, err)
	}
	if s, err := w.Get(t.Context(), "nonsense"); s != nil || !errors.Is(err, session.ErrNoSession) {
		t.Errorf("a cookie that does not open needs no store: %v, %v", s, err)
	}
	store.change(nil)
	w.wantAccess(cookie, "access-0")
}

// A logout that could not be carried out has ended nothing, in memory neither.
func TestALogoutInAnOutageIsNotPretended(t *testing.T) {
	t.Parallel()
	store := newRemote(t, time.Now)
	w := newWorld(t, worldConfig{store: store})
	cookie := w.login()
	store.change(func(op string) error {
		if op == "delete" {
			return &session.StoreError{Op: op, Err: errors.New("down")}
		}
		return nil
	})
	if s, err := w.End(t.Context(), cookie); s != nil || !isTrouble(err) {
		t.Errorf("End = %v, %v; want trouble", s, err)
	}
	store.change(nil)
	w.wantAccess(cookie, "access-0")
	if _, err := w.End(t.Context(), cookie); err != nil {
		t.Error(err)
	}
}

func TestTheLifetimeEndsWhateverHappens(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worldConfig{session: func(c *session.ManagerConfig) { c.MaxLifetime = 2 * time.Hour }})
		cookie := w.login()
		for range 7 {
			time.Sleep(17 * time.Minute)
			if _, err := w.use(cookie); err != nil {
				t.Fatal(err)
			}
			w.Settle()
		}
		time.Sleep(time.Minute)
		if _, err := w.use(cookie); !errors.Is(err, session.ErrEnded) {
			t.Errorf("at its end: %v", err)
		}
		time.Sleep(2 * session.ClockSlack)
		if _, err := w.use(cookie); !errors.Is(err, session.ErrNoSession) {
			t.Errorf("after its end: %v", err)
		}
	})
}

func TestS23OnceIsOnceOnEveryReplicaAndAcrossRotation(t *testing.T) {
	t.Parallel()
	store := newRemote(t, time.Now)
	before := newWorld(t, worldConfig{store: store, ring: newRing(t, 1)})
	during := newWorld(t, worldConfig{store: store, ring: newRing(t, 2, 1)})
	after := newWorld(t, worldConfig{store: store, ring: newRing(t, 2)})
	for name, test := range map[string][]*world{
		"the same":          {before, before},
		"while keys change": {before, during},
		"and back":          {during, before},
		"and on":            {during, after},
	} {
		for i, w := range test {
			first, err := w.Once(t.Context(), "state", name, time.Hour)
			if err != nil || first != (i == 0) {
				t.Errorf("%s: call %d = %v, %v", name, i+1, first, err)
			}
		}
	}
	if first, err := before.Once(t.Context(), "jti", "the same", time.Hour); !first || err != nil {
		t.Errorf("a value of another purpose: %v, %v", first, err)
	}
}

func TestS39SessionsSurviveRotationAndEndWithTheirKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldConfig{ring: newRing(t, 1)})
	old := w.login()
	w.wantAccess(old, "access-0")
	rotate := func(numbers ...byte) {
		if err := w.ring.Replace(keys(numbers...)); err != nil {
			t.Fatal(err)
		}
	}
	rotate(1, 2)
	w.wantAccess(old, "access-0")
	rotate(2, 1)
	fresh := w.login()
	w.wantAccess(old, "access-0")
	w.wantAccess(fresh, "access-0")
	elsewhere := newWorld(t, worldConfig{store: w.store, ring: newRing(t, 2, 1)})
	elsewhere.wantAccess(old, "access-0") // warm or cold
	rotate(2)
	if _, err := w.use(old); !errors.Is(err, session.ErrNoSession) {
		t.Errorf("a cookie whose key was dropped is served from memory: %v", err)
	}
	w.wantAccess(fresh, "access-0")
}

// Somebody who has the key ring and the id of a warm session, but never saw its data key.
func TestS06AForeignTicketFindsNothingAndDisplacesNobody(t *testing.T) {
	t.Parallel()
	for name, store := range map[string]session.Store{"memory": nil, "shared": newRemote(t, time.Now)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, worldConfig{store: store})
			cookie := w.login()
			w.wantAccess(cookie, "access-0")
			forged := w.ForgeTicket(cookie)
			for range 3 {
				if s, err := w.Use(t.Context(), forged, true); s != nil || !errors.Is(err, session.ErrNoSession) {
					t.Fatalf("the forged ticket: %v, %v; want no session", s, err)
				}
				if s, err := w.End(t.Context(), forged); s != nil || err != nil {
					t.Fatalf("a logout with it: %v, %v", s, err)
				}
				if w.Remembered() != 1 {
					t.Fatal("the owner's entry was displaced")
				}
				w.wantAccess(cookie, "access-0")
			}
			cold := newWorld(t, worldConfig{store: w.store})
			if s, err := cold.Use(t.Context(), forged, true); s != nil || !errors.Is(err, session.ErrNoSession) {
				t.Errorf("cold: %v, %v", s, err)
			}
			if key := w.StoreKeyOf(cookie); strings.Contains(key, w.IDOf(cookie)) {
				t.Error("the store key holds the id")
			}
		})
	}
}

func TestSwappedAndDamagedRecordsAreNeverAnotherPersons(t *testing.T) {
	t.Parallel()
	store := newRemote(t, time.Now)
	w := newWorld(t, worldConfig{store: store})
	ola := person{Subject: "ola"}
	hers := w.login()
	w.provider.change(func() { w.provider.person = ola })
	his := w.login()
	values := map[string][]byte{}
	for _, cookie := range []string{hers, his} {
		value, err := store.Read(t.Context(), w.StoreKeyOf(cookie))
		if err != nil {
			t.Fatal(err)
		}
		values[cookie] = value
	}
	put := func(cookie string, value []byte) *world {
		key := w.StoreKeyOf(cookie)
		if err := errors.Join(store.Delete(t.Context(), key), store.Create(t.Context(), key, value, time.Hour)); err != nil {
			t.Fatal(err)
		}
		return newWorld(t, worldConfig{store: store})
	}
	for _, replica := range []*world{w, put(hers, values[his])} { // one that has hers in memory, one that has nothing
		put(hers, values[his])
		if s, err := replica.Get(t.Context(), hers); s != nil || !isTrouble(err) {
			t.Errorf("the record of another session: %v, %v; want trouble", s, err)
		}
	}
	damaged := slices.Clone(values[hers])
	damaged[len(damaged)-1] ^= 1
	if s, err := put(hers, damaged).Get(t.Context(), hers); s != nil || !errors.Is(err, session.ErrNoSession) {
		t.Errorf("a damaged record: %v, %v; want no session", s, err)
	}
	newer := slices.Clone(values[hers])
	newer[0]++
	if s, err := put(hers, newer).Get(t.Context(), hers); s != nil || !isTrouble(err) {
		t.Errorf("a record of a newer version: %v, %v; want trouble", s, err)
	}
	put(hers, values[hers]).wantAccess(hers, "access-0")
}

func TestS47CookiesThatDoNotOpenCostNoStoreCall(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := newRemote(t, time.Now)
		w := newWorld(t, worldConfig{store: store})
		cookie := w.login()
		other := newWorld(t, worldConfig{store: store, ring: newRing(t, 2)})
		foreign := other.login()
		before := store.count()
		for i := range 2000 {
			for _, value := range []string{strings.Repeat("A", 4*(i%80)), cookie[:4*(i%40)], foreign, cookie + "AAAA"} {
				if _, err := w.Get(t.Context(), value); !errors.Is(err, session.ErrNoSession) {
					t.Fatal(err)
				}
			}
		}
		if calls := store.count() - before; calls != 0 {
			t.Errorf("%d store calls", calls)
		}
		if err := store.MemoryStore.Delete(t.Context(), w.StoreKeyOf(cookie)); err != nil { // evicted, or ended where nobody heard of it
			t.Fatal(err)
		}
		before = store.count()
		for range 100 { // not found: remembered for a second
			if _, err := w.Get(t.Context(), cookie); !errors.Is(err, session.ErrNoSession) {
				t.Fatal(err)
			}
		}
		if calls := store.count() - before; calls != 1 {
			t.Errorf("%d store calls for a ticket that is not there, want 1", calls)
		}
		time.Sleep(time.Second)
		if _, err := w.Get(t.Context(), cookie); !errors.Is(err, session.ErrNoSession) || store.count()-before != 2 {
			t.Errorf("after a second: %v, %d calls", err, store.count()-before)
		}
	})
}

// Memory of a store that others write to is not served, until a replica can prove what it has heard (S-07); it only saves opening records.
func TestOnlyAStoreOfThisProcessIsServedFromMemory(t *testing.T) {
	t.Parallel()
	store := newRemote(t, time.Now)
	w := newWorld(t, worldConfig{store: store})
	cookie := w.login()
	before := store.count()
	first, err1 := w.Get(t.Context(), cookie)
	second, err2 := w.Get(t.Context(), cookie)
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	if calls := store.count() - before; calls != 2 {
		t.Errorf("%d store calls for 2 requests", calls)
	}
	if first.Identity() != second.Identity() {
		t.Error("an unchanged record was opened again")
	}
	for _, ttl := range []time.Duration{0, time.Minute} {
		local := newWorld(t, worldConfig{session: func(c *session.ManagerConfig) { c.CacheTTL = ttl }})
		cookie := local.login()
		local.wantAccess(cookie, "access-0")
		if _, err := local.End(context.Background(), cookie); err != nil {
			t.Fatal(err)
		}
		if _, err := local.use(cookie); !errors.Is(err, session.ErrNoSession) {
			t.Errorf("cache-ttl %v: %v", ttl, err)
		}
	}
}

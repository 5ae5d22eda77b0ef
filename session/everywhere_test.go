package session_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"postern/session"
)

func (w *world) loginAs(p person, started time.Time) (string, error) {
	w.provider.change(func() { w.provider.person = p })
	defer w.provider.change(func() { w.provider.person = kari })
	_, cookie, err := w.Create(w.t.Context(), w.provider.login(), session.Login{SID: p.SID, Started: started})
	return cookie, err
}

func (w *world) mustLogin(p person) string {
	w.t.Helper()
	cookie, err := w.loginAs(p, time.Now())
	if err != nil {
		w.t.Fatal(err)
	}
	return cookie
}

// Sessions end by person or by the provider's session, on every replica, under every key of the ring, and nobody else's.
func TestEndAll(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store, ring := newRemote(t, time.Now), newRing(t, 1)
		w := newWorld(t, worldConfig{store: store, ring: ring})
		ola := person{Subject: "ola", SID: "sid-of-ola"}
		first, second := w.mustLogin(person{Subject: "kari", SID: "one"}), w.mustLogin(person{Subject: "kari", SID: "two"})
		if err := ring.Replace(keys(2, 1)); err != nil {
			t.Fatal(err)
		}
		third, others := w.mustLogin(person{Subject: "kari", SID: "three"}), w.mustLogin(ola)
		listed, err := w.List(t.Context(), session.Selector{Subject: "kari"})
		if err != nil || len(listed) != 3 {
			t.Fatalf("listed %v, %v", listed, err)
		}
		for _, l := range listed {
			if len(l.HashedID) != 22 || l.Ends.Sub(l.Created) != 10*time.Hour || !l.Refreshed.Equal(l.Created) {
				t.Errorf("listed %+v", l)
			}
		}
		if n, err := w.Count(t.Context()); n != 4 || err != nil {
			t.Errorf("Count = %d, %v", n, err)
		}
		if n, err := w.EndAll(t.Context(), session.Selector{SID: "one"}); n != 1 || err != nil {
			t.Errorf("by sid: %d, %v", n, err)
		}
		w.wantNobody(first)
		w.wantAccess(second, "access-0")
		if n, err := w.EndAll(t.Context(), session.Selector{Subject: "kari"}); n != 2 || err != nil {
			t.Errorf("by subject: %d, %v", n, err)
		}
		w.wantNobody(second)
		w.wantNobody(third)
		w.wantAccess(others, "access-0")
		for _, nothing := range []session.Selector{{Subject: "nobody"}, {SID: "none"}} {
			if n, err := w.EndAll(t.Context(), nothing); n != 0 || err != nil {
				t.Errorf("%+v: %d, %v", nothing, n, err)
			}
		}
		for _, bad := range []session.Selector{{}, {Subject: "ola", SID: "sid-of-ola"}} {
			if n, err := w.EndAll(t.Context(), bad); n != 0 || err == nil {
				t.Errorf("%+v: %d, %v", bad, n, err)
			}
		}
		w.wantAccess(others, "access-0")
		store.change(down)
		if _, err := w.EndAll(t.Context(), session.Selector{Subject: "ola"}); !isStoreTrouble(err) {
			t.Errorf("error is %v, want trouble", err)
		}
	})
}

// S-33: a login that a logout has overtaken makes no session.
func TestS33ALogoutOvertakesALogin(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worldConfig{store: newRemote(t, time.Now)})
		who := person{Subject: "kari", SID: "sid-1"}
		began := time.Now()
		time.Sleep(time.Second)
		if _, err := w.EndAll(t.Context(), session.Selector{SID: who.SID}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.loginAs(who, time.Now().Add(time.Minute)); !errors.Is(err, session.ErrOvertaken) {
			t.Errorf("with the sid that has ended: %v", err)
		}
		if n, err := w.Count(t.Context()); n != 0 || err != nil {
			t.Errorf("%d sessions are left, %v", n, err)
		}
		again := person{Subject: "kari", SID: "sid-2"}
		if _, err := w.loginAs(again, began); err != nil {
			t.Errorf("another session of the provider: %v", err)
		}
		if _, err := w.EndAll(t.Context(), session.Selector{Subject: "kari"}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.loginAs(person{Subject: "kari", SID: "sid-3"}, began); !errors.Is(err, session.ErrOvertaken) {
			t.Errorf("begun before the logout: %v", err)
		}
		time.Sleep(time.Millisecond)
		if _, err := w.loginAs(person{Subject: "kari", SID: "sid-4"}, time.Now()); err != nil {
			t.Errorf("begun after the logout: %v", err)
		}
	})
}

// S-56: of more than 50 sessions of one person the oldest ends; two browsers of one person are two sessions.
func TestS56SessionsOfAPersonAreCapped(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worldConfig{store: newRemote(t, time.Now)})
		other := w.mustLogin(person{Subject: "ola"})
		var all []string
		for range 52 {
			all = append(all, w.mustLogin(person{Subject: "kari", SID: "the same for all"}))
			time.Sleep(time.Second)
		}
		for i, cookie := range all {
			if i < 2 {
				w.wantNobody(cookie)
			} else {
				w.wantAccess(cookie, "access-0")
			}
		}
		w.wantAccess(other, "access-0")
	})
}

// A logout while the store is down says so, and is carried out when the store is back.
func TestALogoutInAnOutageIsCarriedOutLater(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := newRemote(t, time.Now)
		w := newWorld(t, worldConfig{store: store})
		cookie, other := w.login(), w.login()
		store.change(down)
		if _, err := w.End(t.Context(), cookie); !isStoreTrouble(err) {
			t.Fatalf("error is %v, want trouble", err)
		}
		time.Sleep(time.Minute)
		if _, err := w.use(cookie); !isStoreTrouble(err) {
			t.Errorf("in the outage: %v, want trouble and not a logout", err)
		}
		store.change(nil)
		time.Sleep(1100 * time.Millisecond)
		w.wantNobody(cookie)
		w.wantAccess(other, "access-0")
	})
}

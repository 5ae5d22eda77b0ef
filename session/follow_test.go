package session_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"postern/oidc"
	"postern/session"
)

// replica is a world that follows the log of its store.
func replica(t *testing.T, store *remote, shape func(*session.ManagerConfig)) *world {
	t.Helper()
	return newWorld(t, worldConfig{store: store, session: shape}).follows()
}

// tally counts the calls of a store by operation.
func (r *remote) tally() (counts func() map[string]int) {
	var mu sync.Mutex
	all := map[string]int{}
	r.change(func(op string) error {
		mu.Lock()
		defer mu.Unlock()
		all[op]++
		return nil
	})
	return func() map[string]int {
		mu.Lock()
		defer mu.Unlock()
		now := map[string]int{}
		for op, n := range all {
			now[op] = n
		}
		return now
	}
}

func down(string) error { return &session.StoreError{Op: "test", Err: errors.New("down")} }

func (w *world) wantNobody(cookie string) {
	w.t.Helper()
	if access, err := w.use(cookie); !errors.Is(err, session.ErrNoSession) {
		w.t.Fatalf("the app gets %q, %v; want no session", access, err)
	}
}

// Within the proof a session costs the store nothing; the first sight of it costs one reading.
func TestS07MemoryIsServedOnProof(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := newRemote(t, time.Now)
		one, two := replica(t, store, nil), replica(t, store, nil)
		time.Sleep(time.Second)
		cookie := one.login()
		counts := store.tally()
		for range 100 {
			one.wantAccess(cookie, "access-0")
			two.wantAccess(cookie, "access-0")
			time.Sleep(100 * time.Millisecond)
		}
		if got := counts()["read"]; got != 1 {
			t.Errorf("%d readings for 200 requests on two replicas, one of which saw the login: want 1", got)
		}
		if got := counts()["tail"]; got < 80 || got > 120 {
			t.Errorf("the log was read %d times in 10 s by two replicas", got)
		}
		time.Sleep(30 * time.Second) // session.cache-ttl
		one.wantAccess(cookie, "access-0")
		if got := counts()["read"]; got != 2 {
			t.Errorf("%d readings, want another one after the time of the cache", got)
		}
	})
}

// A replica that cannot read the log asks the store for each request after 700 ms, and is in trouble when it cannot.
func TestS07WithoutProofNothingIsServedFromMemory(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := newRemote(t, time.Now)
		w := replica(t, store, nil)
		cookie := w.login()
		time.Sleep(time.Second)
		reads := 0
		store.change(func(op string) error {
			switch op {
			case "tail":
				return down(op)
			case "read":
				reads++
			}
			return nil
		})
		time.Sleep(710 * time.Millisecond)
		for range 10 {
			w.wantAccess(cookie, "access-0")
		}
		if reads != 10 {
			t.Errorf("%d readings for 10 requests without a proof", reads)
		}
		store.change(down)
		if _, err := w.use(cookie); !isStoreTrouble(err) {
			t.Errorf("error is %v, want trouble", err)
		}
		store.change(nil)
		time.Sleep(2 * time.Second)
		counts := store.tally()
		w.wantAccess(cookie, "access-0")
		w.wantAccess(cookie, "access-0")
		if got := counts()["read"]; got > 1 {
			t.Errorf("%d readings after the log is read again", got)
		}
	})
}

func isStoreTrouble(err error) bool {
	_, ok := errors.AsType[*session.StoreError](err)
	return ok
}

// The end of a session is heard at once, and the record is refused even where the store still has it.
func TestS07EndsAreHeard(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := newRemote(t, time.Now)
		one, two := replica(t, store, nil), replica(t, store, nil)
		cookie, other := one.login(), one.login()
		two.wantAccess(cookie, "access-0")
		time.Sleep(time.Second)
		key := one.StoreKeyOf(cookie)
		record, err := store.MemoryStore.Read(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := one.End(t.Context(), cookie); err != nil {
			t.Fatal(err)
		}
		one.wantNobody(cookie)
		time.Sleep(250 * time.Millisecond)
		two.wantNobody(cookie)
		// S-08: a failover brings the record back.
		if err := store.MemoryStore.Create(t.Context(), key, record, time.Hour); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		one.wantNobody(cookie)
		two.wantNobody(cookie)
		two.wantAccess(other, "access-0")
	})
}

// A log that lost the position empties the memory, and what has ended is written again.
func TestS08AGapEmptiesMemoryAndRestoresEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := newRemote(t, time.Now)
		w := replica(t, store, nil)
		cookie, ended := w.login(), w.login()
		w.wantAccess(cookie, "access-0")
		record, err := store.MemoryStore.Read(t.Context(), w.StoreKeyOf(ended))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.End(t.Context(), ended); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		counts := store.tally()
		store.mu.Lock()
		store.log = nil // as after a failover to a server that never had it
		store.mu.Unlock()
		if err := store.MemoryStore.Create(t.Context(), w.StoreKeyOf(ended), record, time.Hour); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		w.wantAccess(cookie, "access-0")
		if got := counts()["read"]; got < 1 {
			t.Error("memory was served after a gap")
		}
		if _, err := store.MemoryStore.Read(t.Context(), w.StoreKeyOf(ended)); !errors.Is(err, session.ErrNotFound) {
			t.Errorf("what had ended is there again: %v", err)
		}
		fresh := replica(t, store, nil) // hears of it by the log
		time.Sleep(time.Second)
		fresh.wantNobody(ended)
	})
}

// hearing is two replicas, and the access tokens of which the second knows that they have ended.
func hearing(t *testing.T) (one, two *world, heard *oidc.Revocations) {
	t.Helper()
	store := newRemote(t, time.Now)
	heard = oidc.NewRevocations(time.Now)
	one = replica(t, store, nil)
	two = newWorld(t, worldConfig{store: store, deps: session.Deps{Revocations: heard}}).follows()
	return one, two, heard
}

// S-09: every replica refuses the access tokens of an ended session, those before a refresh included.
func TestS09EndsReachTheTokensOfASession(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		one, _, heard := hearing(t)
		one.provider.life = 4 * time.Minute
		cookie := one.login()
		time.Sleep(time.Minute + time.Second)
		if s, err := one.Refresh(t.Context(), cookie); err != nil || s.Tokens().Access.Raw() != "access-1" {
			t.Fatal(s, err)
		}
		if heard.Has("access-0") || heard.Has("access-1") {
			t.Error("a token was ended by a refresh")
		}
		if _, err := one.EndAll(t.Context(), session.Selector{SID: kari.SID}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(250 * time.Millisecond)
		for _, token := range []string{"access-0", "access-1"} {
			if !heard.Has(token) {
				t.Errorf("%s is not known to have ended", token)
			}
		}
	})
}

// S-09: a replica that has just begun knows what had ended before it, once it says that it is informed.
func TestS09AReplicaIsInformedBeforeItBegins(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store, heard := newRemote(t, time.Now), oidc.NewRevocations(time.Now)
		one := replica(t, store, nil)
		one.login()
		if _, err := one.EndAll(t.Context(), session.Selector{SID: kari.SID}); err != nil {
			t.Fatal(err)
		}
		late := newWorld(t, worldConfig{store: store, deps: session.Deps{Revocations: heard}})
		select {
		case <-late.Informed():
			t.Error("it has heard of nothing yet")
		default:
		}
		late.follows()
		<-late.Informed()
		if !heard.Has("access-0") {
			t.Error("the token of a session that had ended is taken for a good one")
		}
	})
}

// Where nobody else uses the store there is nothing to hear, and a store without a log has nothing to say to one that only reads.
func TestInformedWithoutALog(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		<-newWorld(t, worldConfig{}).Informed()
		store := newRemote(t, time.Now)
		store.change(func(op string) error {
			if op == "tail" {
				return session.ErrNotFound
			}
			return nil
		})
		<-replica(t, store, func(c *session.ManagerConfig) { c.ReadOnly = true }).Informed()
	})
}

// S-09: so does the provider's own end, when it refuses to renew the tokens.
func TestS09TheProvidersEndReachesTheAccessToken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		one, two, heard := hearing(t)
		cookie := one.login()
		one.provider.answer = invalidGrant
		time.Sleep(time.Hour - 20*time.Second)
		one.wantAccess(cookie, "access-0") // which lives
		time.Sleep(time.Second)
		if _, err := two.use(cookie); !errors.Is(err, session.ErrEnded) {
			t.Errorf("the session: %v, want the provider's end", err)
		}
		if !heard.Has("access-0") {
			t.Error("the access token lives on")
		}
	})
}

// In an outage that the operator chose to bridge, memory is served, but for what was logged out here.
func TestOutageGrace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := newRemote(t, time.Now)
		w := replica(t, store, func(c *session.ManagerConfig) { c.OutageGrace = time.Minute })
		time.Sleep(time.Second)
		cookie, left := w.login(), w.login()
		store.change(down)
		time.Sleep(50 * time.Second)
		w.wantAccess(cookie, "access-0")
		if _, err := w.End(t.Context(), left); !isStoreTrouble(err) {
			t.Errorf("a logout in an outage: %v, want trouble", err)
		}
		if _, err := w.use(left); !isStoreTrouble(err) {
			t.Errorf("a session that is to end: %v, want trouble", err)
		}
		time.Sleep(15 * time.Second)
		if _, err := w.use(cookie); !isStoreTrouble(err) {
			t.Errorf("after the grace: %v, want trouble", err)
		}
		store.change(nil)
		time.Sleep(3 * time.Second)
		w.wantAccess(cookie, "access-0")
		w.wantNobody(left) // the wish was carried out
	})
}

// Two replicas at expiry: one grant, and who lost the race gets the winner's tokens.
func TestOneGrantOverReplicas(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := newRemote(t, time.Now)
		one, two := replica(t, store, nil), replica(t, store, nil)
		two.provider = nil
		grants := 0
		one.provider.answer = func(context.Context, int) error {
			grants++
			time.Sleep(8 * time.Second) // longer than a lock lasts that nobody renews
			return nil
		}
		cookie := one.login()
		time.Sleep(time.Hour + time.Second)
		var group sync.WaitGroup
		for i := range 40 {
			group.Go(func() {
				w := []*world{one, two}[i%2]
				if i%2 == 1 {
					time.Sleep(time.Millisecond)
				}
				w.wantAccess(cookie, "access-1")
			})
		}
		group.Wait()
		if grants != 1 {
			t.Errorf("%d grants, want 1", grants)
		}
	})
}

// The provider ends a session while a stream of it is open, also where nobody else uses the store.
func TestWatchHearsOfTheProvidersEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worldConfig{})
		cookie := w.login()
		s, err := w.Use(t.Context(), cookie, true)
		if err != nil {
			t.Fatal(err)
		}
		over := make(chan error, 1)
		defer w.Watch(s, func(reason error) { over <- reason })()
		w.provider.answer = invalidGrant
		time.Sleep(time.Minute)
		if _, err := w.Refresh(t.Context(), cookie); !errors.Is(err, session.ErrEnded) {
			t.Fatalf("error is %v, want the provider's end", err)
		}
		synctest.Wait()
		select {
		case reason := <-over:
			if !errors.Is(reason, session.ErrEnded) {
				t.Errorf("over for %v", reason)
			}
		default:
			t.Error("the stream was not told")
		}
	})
}

func TestWatch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := newRemote(t, time.Now)
		brief := func(c *session.ManagerConfig) { c.Inactivity, c.InactivityTimeout = true, 2*time.Minute }
		one, two := replica(t, store, brief), replica(t, store, brief)
		var mu sync.Mutex
		var over []string
		watch := func(name, cookie string) (stop func()) {
			s, err := two.Use(t.Context(), cookie, true)
			if err != nil {
				t.Fatal(err)
			}
			return two.Watch(s, func(reason error) {
				mu.Lock()
				defer mu.Unlock()
				over = append(over, fmt.Sprint(name, " ", errors.Is(reason, session.ErrInactive)))
			})
		}
		want := func(names ...string) {
			t.Helper()
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			if !slices.Equal(over, names) {
				t.Errorf("over are %q, want %q", over, names)
			}
		}
		left, idle, busy, stopped := one.login(), one.login(), one.login(), one.login()
		defer watch("left", left)()
		defer watch("idle", idle)()
		defer watch("busy", busy)()
		watch("stopped", stopped)()
		if _, err := one.End(t.Context(), left); err != nil {
			t.Fatal(err)
		}
		if _, err := one.End(t.Context(), stopped); err != nil {
			t.Fatal(err)
		}
		time.Sleep(250 * time.Millisecond)
		want("left false")
		for range 8 {
			time.Sleep(30 * time.Second)
			if _, err := one.use(busy); err != nil {
				t.Fatal(err)
			}
		}
		want("left false", "idle true")
		time.Sleep(2*time.Minute + time.Second)
		want("left false", "idle true", "busy true")
	})
}

package session_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"postern/session"
)

func inactivity(c *session.ManagerConfig) { c.Inactivity = true }

func TestS30OnlyRequestsAndRefreshesMoveTheIdleTimeout(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		poll   func(w *world, cookie string) error
		active bool
	}{
		"a proxied request":    {func(w *world, c string) error { _, err := w.Use(context.Background(), c, true); return err }, true},
		"the refresh endpoint": {func(w *world, c string) error { _, err := w.Refresh(context.Background(), c); return err }, true},
		"metadata":             {func(w *world, c string) error { _, err := w.Get(context.Background(), c); return err }, false},
		"an upgrade":           {func(w *world, c string) error { _, err := w.Use(context.Background(), c, false); return err }, false},
	} {
		for store, remote := range map[string]bool{"memory": false, "shared": true} {
			t.Run(name+", "+store, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					wc := worldConfig{session: inactivity}
					if remote {
						wc.store = newRemote(t, time.Now)
					}
					w := newWorld(t, wc)
					cookie := w.login()
					var err error
					for elapsed := time.Duration(0); elapsed < 3*time.Hour && err == nil; elapsed += 10 * time.Second {
						time.Sleep(10 * time.Second)
						err = test.poll(w, cookie)
						w.Settle() // background refreshes, which move nothing, happen as well
					}
					if test.active != (err == nil) || !test.active && !errors.Is(err, session.ErrInactive) {
						t.Errorf("after 3 hours of polling: %v", err)
					}
				})
			})
		}
	}
}

func TestAnInactiveSessionCannotBeUsedOrRefreshedButIsShown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worldConfig{session: inactivity})
		cookie := w.login()
		time.Sleep(30 * time.Minute)
		if _, err := w.Get(t.Context(), cookie); err != nil {
			t.Fatalf("at its timeout: %v", err)
		}
		time.Sleep(time.Nanosecond)
		if s, err := w.Use(t.Context(), cookie, true); s != nil || !errors.Is(err, session.ErrInactive) {
			t.Errorf("Use = %v, %v", s, err)
		}
		if s, err := w.Refresh(t.Context(), cookie); s != nil || !errors.Is(err, session.ErrInactive) {
			t.Errorf("Refresh = %v, %v", s, err)
		}
		s, err := w.Get(t.Context(), cookie)
		if s == nil || !errors.Is(err, session.ErrInactive) || s.Metadata(time.Now()).Session.Active {
			t.Errorf("Get = %v, %v; want it shown as inactive", s, err)
		}
	})
}

func TestTheIdleTimeoutIsWrittenOnceInAWhile(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := newRemote(t, time.Now)
		w := newWorld(t, worldConfig{store: store, session: inactivity})
		w.provider.life = 24 * time.Hour
		cookie := w.login()
		writes := 0
		store.change(func(op string) error {
			if op == "replace" {
				writes++
			}
			return nil
		})
		for range 600 {
			time.Sleep(time.Second)
			w.wantAccess(cookie, "access-0")
		}
		if writes < 9 || writes > 11 {
			t.Errorf("%d writes in 10 minutes of a request a second, want one a minute", writes)
		}
		s, err := w.Get(t.Context(), cookie)
		if err != nil || s.Metadata(time.Now()).Session.TimeoutInSeconds != 1800 {
			t.Errorf("in memory the timeout has not moved at once: %v", err)
		}
		other := newWorld(t, worldConfig{store: store, session: inactivity})
		seen, err := other.Get(t.Context(), cookie)
		if err != nil || seen.Metadata(time.Now()).Session.TimeoutInSeconds < 1800-60 {
			t.Errorf("another replica is more than a minute behind: %v", err)
		}
		store.change(func(op string) error {
			if op == "replace" {
				return &session.StoreError{Op: op, Err: errors.New("read-only")}
			}
			return nil
		})
		time.Sleep(2 * time.Minute)
		w.wantAccess(cookie, "access-0") // the session was read, so the request is served
	})
}

// Whatever requests, refreshes and other replicas' touches come in between, the newest refresh token is the one that is kept.
func TestTouchesNeverLoseARotatedRefreshToken(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		c := &clock{}
		store := newRemote(t, c.now)
		noCache := rapid.Bool().Draw(rt, "no cache")
		configure := func(cfg *session.ManagerConfig) {
			cfg.Inactivity = true
			if noCache {
				cfg.CacheTTL = 0
			}
		}
		w := newWorld(t, worldConfig{store: store, now: c.now, session: configure})
		toucher := newWorld(t, worldConfig{store: store, now: c.now, session: func(cfg *session.ManagerConfig) {
			configure(cfg)
			cfg.ManualRefreshOnly = true
		}})
		cookie := w.login()
		between := rapid.SliceOfN(rapid.Bool(), 64, 64).Draw(rt, "touch in between")
		var writes atomic.Int32
		var busy atomic.Bool
		store.change(func(op string) error { // between a read and a write of w, another replica moves the timeout
			if op == "replace" && between[int(writes.Add(1))%len(between)] && busy.CompareAndSwap(false, true) {
				c.elapse(2 * time.Minute)
				_, _ = toucher.Use(context.Background(), cookie, true) // its outcome is not what is tested
				busy.Store(false)
			}
			return nil
		})
		for range rapid.IntRange(1, 12).Draw(rt, "steps") {
			c.elapse(time.Duration(rapid.IntRange(0, 25).Draw(rt, "minutes")) * time.Minute)
			var err error
			step := rapid.SampledFrom([]string{"use", "refresh", "touch", "get"}).Draw(rt, "step")
			switch step {
			case "use":
				_, err = w.use(cookie)
			case "refresh":
				_, err = w.Refresh(context.Background(), cookie)
			case "touch":
				_, err = toucher.Use(context.Background(), cookie, true)
			case "get":
				_, err = w.Get(context.Background(), cookie)
			}
			w.Settle()
			if errors.Is(err, session.ErrInactive) {
				break
			}
			if err != nil && (step != "touch" || !errors.Is(err, session.ErrTokenExpired)) { // the toucher renews nothing
				rt.Fatal(err)
			}
		}
		grants, replays := w.provider.counts()
		if replays != 0 {
			rt.Fatalf("an old refresh token was used %d times in %d grants", replays, grants)
		}
	})
}

// For the race detector, and for the same promise with real concurrency.
func TestConcurrentUseTouchRefreshAndLogout(t *testing.T) {
	t.Parallel()
	c := &clock{}
	for _, store := range []session.Store{nil, newRemote(t, c.now)} {
		w := newWorld(t, worldConfig{store: store, now: c.now, session: inactivity})
		cookie := w.login()
		var group sync.WaitGroup
		for range 4 {
			if _, err := w.Use(t.Context(), cookie, true); err != nil {
				t.Fatal(err)
			}
			// Less than the idle timeout together: all of it may pass while one write to the store is under way.
			for worker := range 8 {
				group.Go(func() {
					for range 50 {
						c.elapse(4 * time.Second)
						var err error
						switch worker % 4 {
						case 0, 1:
							_, err = w.Use(t.Context(), cookie, true)
						case 2:
							_, err = w.Refresh(t.Context(), cookie)
						case 3:
							_, err = w.Get(t.Context(), cookie)
						}
						if err != nil {
							t.Error(err)
							return
						}
					}
				})
			}
			group.Wait()
			w.Settle()
		}
		if grants, replays := w.provider.counts(); grants < 2 || replays != 0 {
			t.Errorf("%d grants, %d replays", grants, replays)
		}
		for range 8 {
			group.Go(func() { _, _ = w.use(cookie) }) // found or not, depending on who is first
		}
		if _, err := w.End(t.Context(), cookie); err != nil {
			t.Error(err)
		}
		group.Wait()
		w.Settle()
		if _, err := w.use(cookie); !errors.Is(err, session.ErrNoSession) {
			t.Errorf("after the logout: %v", err)
		}
	}
}

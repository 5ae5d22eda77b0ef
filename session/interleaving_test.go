package session_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"postern/oidc"
	"postern/session"
)

// follows runs a replica until the test ends.
func (w *world) follows() *world {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.Run(ctx)
	}()
	w.t.Cleanup(func() { cancel(); <-done })
	return w
}

// Another replica has put the end into the log and is about to delete the record when this one, which has heard of it, writes new tokens.
func TestS07WhatIsWrittenBetweenTheEndAndItsDeletionIsNotKept(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := newRemote(t, time.Now)
		elsewhere, here := newWorld(t, worldConfig{store: store}), newWorld(t, worldConfig{store: store})
		cookie := elsewhere.login()
		time.Sleep(time.Hour)
		elsewhere.follows()
		here.follows()
		time.Sleep(time.Second)
		release := make(chan struct{})
		store.change(func(op string) error {
			if op == "delete" {
				<-release
			}
			return nil
		})
		ended := make(chan error, 1)
		here.provider.answer = func(context.Context, int) error {
			go func() {
				_, err := elsewhere.End(t.Context(), cookie)
				ended <- err
			}()
			time.Sleep(time.Second) // everybody has heard
			return nil
		}
		if access, err := here.use(cookie); !errors.Is(err, session.ErrNoSession) {
			t.Errorf("who waited for the tokens gets %q, %v", access, err)
		}
		here.Settle()
		close(release)
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if access, err := here.use(cookie); !errors.Is(err, session.ErrNoSession) {
			t.Errorf("a second after the logout was answered the app gets %q, %v", access, err)
		}
	})
}

func TestS09ALogoutAfterTheProvidersRefusalStillEndsTheAccessToken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		revocations := oidc.NewRevocations(time.Now)
		w := newWorld(t, worldConfig{deps: session.Deps{Revocations: revocations}})
		cookie := w.login()
		w.provider.answer = invalidGrant
		time.Sleep(10 * time.Minute) // the access token lives for an hour
		if _, err := w.Refresh(t.Context(), cookie); !errors.Is(err, session.ErrEnded) {
			t.Fatal(err)
		}
		if _, err := w.End(t.Context(), cookie); err != nil {
			t.Fatal(err)
		}
		if !revocations.Has("access-0") {
			t.Error("the access token outlives the session")
		}
	})
}

// A grant that is cut off may have used up the refresh token, so none is begun with what waiting for another replica has left of the time.
func TestAGrantHasItsWholeTimeHoweverLongTheLockTook(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := newRemote(t, time.Now)
		one := newWorld(t, worldConfig{store: store})
		two := newWorld(t, worldConfig{store: store})
		cookie := one.login()
		one.provider.answer = func(context.Context, int) error {
			time.Sleep(13 * time.Second)
			return &oidc.TroubleError{Provider: "openid", Op: "renew tokens", Err: errors.New("down")}
		}
		two.provider.answer = func(ctx context.Context, _ int) error {
			select {
			case <-time.After(5 * time.Second):
				return nil
			case <-ctx.Done():
				return &oidc.TroubleError{Provider: "openid", Op: "renew tokens", Err: ctx.Err()}
			}
		}
		time.Sleep(time.Hour)
		var group sync.WaitGroup
		group.Go(func() { _, _ = one.use(cookie) })
		synctest.Wait()
		two.wantAccess(cookie, "access-1")
		group.Wait()
	})
}

// leaving is a store whose caller goes away when the log has the entry, and which heeds that.
type leaving struct {
	*remote
	leave func()
}

func (l *leaving) Append(ctx context.Context, entry []byte, aside time.Duration) error {
	defer l.leave()
	return l.remote.Append(ctx, entry, aside)
}

func (l *leaving) Delete(ctx context.Context, key string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return l.remote.Delete(ctx, key)
}

// Its entry is in the log: whoever closes the tab at that moment must not leave the record behind.
func TestALogoutOnceBegunGoesOnWithoutItsClient(t *testing.T) {
	t.Parallel()
	store := newRemote(t, time.Now)
	w := newWorld(t, worldConfig{store: store})
	cookie := w.login()
	ctx, leave := context.WithCancel(t.Context())
	patient := &leaving{remote: store, leave: leave}
	w = newWorld(t, worldConfig{store: patient})
	_, _ = w.End(ctx, cookie)
	if _, err := store.MemoryStore.Read(t.Context(), w.StoreKeyOf(cookie)); !errors.Is(err, session.ErrNotFound) {
		t.Errorf("the record of a session whose end is in the log: %v", err)
	}
}

func TestS33ALogoutInTheSameMillisecondOvertakesALogin(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worldConfig{})
		started := time.Now().Add(100 * time.Microsecond)
		time.Sleep(200 * time.Microsecond)
		if _, err := w.EndAll(t.Context(), session.Selector{Subject: kari.Subject}); err != nil {
			t.Fatal(err)
		}
		_, _, err := w.Create(t.Context(), w.provider.login(), session.Login{Started: started})
		if !errors.Is(err, session.ErrOvertaken) {
			t.Errorf("a login from before the logout: %v", err)
		}
	})
}

// loseLog is the store after a failover to a server that has nothing of it.
func (r *remote) loseLog() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.log = [][]byte{{0, 1}}
}

func TestS08WhatTheStoreHasLostIsWrittenAgainUntilThatWorks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := newRemote(t, time.Now)
		w := newWorld(t, worldConfig{store: store}).follows()
		cookie := w.login()
		key := w.StoreKeyOf(cookie)
		value, err := store.MemoryStore.Read(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.End(t.Context(), cookie); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if err := store.MemoryStore.Create(t.Context(), key, value, time.Hour); err != nil {
			t.Fatal(err)
		}
		failures := 2
		store.change(func(op string) error {
			if op == "append" && failures > 0 {
				failures--
				return &session.StoreError{Op: op, Err: errors.New("not a primary yet")}
			}
			return nil
		})
		store.loseLog()
		time.Sleep(5 * time.Second)
		if _, err := store.MemoryStore.Read(t.Context(), key); !errors.Is(err, session.ErrNotFound) {
			t.Errorf("the record that came back: %v", err)
		}
	})
}

// A refresh that lands while its session is being ended brings an access token that the first look at the record did not show.
func TestS09TokensThatAreRenewedWhileTheSessionEndsEndToo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store, revocations := newRemote(t, time.Now), oidc.NewRevocations(time.Now)
		elsewhere := newWorld(t, worldConfig{store: store})
		here := newWorld(t, worldConfig{store: store, deps: session.Deps{Revocations: revocations}})
		cookie := elsewhere.login()
		time.Sleep(time.Hour)
		here.follows()
		time.Sleep(time.Second)
		var renewed sync.Once
		store.change(func(op string) error {
			if op == "append" {
				renewed.Do(func() {
					store.change(nil)
					here.wantAccess(cookie, "access-1")
				})
			}
			return nil
		})
		if _, err := elsewhere.End(t.Context(), cookie); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if !revocations.Has("access-1") {
			t.Error("the renewed access token outlives the session")
		}
	})
}

func TestCloseWaitsForAPlannedRefreshThatHasBegun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := newRemote(t, time.Now)
		w := newWorld(t, worldConfig{store: store})
		cookie := w.login()
		w.wantAccess(cookie, "access-0")
		begun := make(chan struct{})
		store.change(func(op string) error {
			if op == "read" {
				store.change(nil)
				close(begun)
				time.Sleep(500 * time.Millisecond)
			}
			return nil
		})
		<-begun // nobody asks any more
		if err := w.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if grants, _ := w.provider.counts(); grants != 1 {
			t.Errorf("%d grants when Close returned, want the one that was begun", grants)
		}
	})
}

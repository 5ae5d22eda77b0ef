package session_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"postern/oidc"
	"postern/session"
)

var errDown = &oidc.TroubleError{Provider: "openid", Op: "renew tokens", Err: errors.New("connection refused")}

func TestAHundredRequestsAtExpiryMakeOneGrant(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worldConfig{})
		cookie := w.login()
		w.provider.answer = func(context.Context, int) error { time.Sleep(3 * time.Second); return nil }
		time.Sleep(time.Hour + time.Second)
		var group sync.WaitGroup
		for range 100 {
			group.Go(func() { w.wantAccess(cookie, "access-1") })
		}
		group.Wait()
		if grants, _ := w.provider.counts(); grants != 1 {
			t.Errorf("%d grants, want 1", grants)
		}
	})
}

func TestWhileTheTokenLivesNobodyWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worldConfig{})
		cookie := w.login()
		w.provider.answer = func(context.Context, int) error { time.Sleep(10 * time.Second); return nil }
		time.Sleep(time.Hour - 20*time.Second)
		began := time.Now()
		for range 5 {
			w.wantAccess(cookie, "access-0")
		}
		if waited := time.Since(began); waited != 0 {
			t.Errorf("requests waited %v", waited)
		}
		w.Settle()
		w.wantAccess(cookie, "access-1")
		if grants, _ := w.provider.counts(); grants != 1 {
			t.Errorf("%d grants, want 1", grants)
		}
	})
}

func TestNothingIsRenewedWithoutARequestNorByAskingForMetadata(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worldConfig{})
		cookie := w.login()
		for range 300 {
			time.Sleep(time.Minute)
			if _, err := w.Get(t.Context(), cookie); err != nil {
				t.Fatal(err)
			}
		}
		if grants, _ := w.provider.counts(); grants != 0 {
			t.Errorf("%d grants", grants)
		}
	})
}

func TestAClientThatGoesAwayHarmsNobody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worldConfig{})
		cookie := w.login()
		w.provider.answer = func(ctx context.Context, _ int) error {
			select {
			case <-time.After(5 * time.Second):
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		time.Sleep(time.Hour + time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if s, err := w.Use(ctx, cookie, true); s != nil || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("who went away got %v, %v", s, err)
		}
		began := time.Now()
		w.wantAccess(cookie, "access-1")
		if waited := time.Since(began); waited != 4*time.Second {
			t.Errorf("the next request waited %v, want the rest of the same refresh", waited)
		}
		if grants, replays := w.provider.counts(); grants != 1 || replays != 0 {
			t.Errorf("%d grants, %d replays", grants, replays)
		}
	})
}

func TestAProviderInTroubleIsNoLostSession(t *testing.T) {
	t.Parallel()
	for name, trouble := range map[string]error{
		"no answer":           errDown,
		"invalid_client":      &oidc.RefusalError{Provider: "openid", Code: "invalid_client", Status: 401},
		"unauthorized_client": &oidc.RefusalError{Provider: "openid", Code: "unauthorized_client", Status: 400},
		"an unknown code":     &oidc.RefusalError{Provider: "openid", Code: "AADSTS_something", Status: 400},
		"a bad id token":      &oidc.InvalidTokenError{Reason: "signature"},
		"anything else":       errors.New("boom"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, worldConfig{})
				cookie := w.login()
				asked := 0
				w.provider.answer = func(context.Context, int) error { asked++; return trouble }
				time.Sleep(time.Hour - 20*time.Second)
				for range 19 { // the old token lives, and the provider is not hammered
					w.wantAccess(cookie, "access-0")
					if s, err := w.Refresh(t.Context(), cookie); err != nil || s.Tokens().Access.Raw() != "access-0" {
						t.Fatalf("Refresh = %v, %v; want the session as it is", s, err)
					}
					time.Sleep(time.Second)
				}
				if asked > 4 {
					t.Errorf("asked %d times in 19 seconds", asked)
				}
				time.Sleep(2 * time.Second)
				for range 10 {
					_, err := w.use(cookie)
					if _, ok := errors.AsType[*oidc.TroubleError](err); !ok || errors.Is(err, session.ErrEnded) {
						t.Fatalf("with an expired token: %v, want trouble", err)
					}
				}
				w.provider.change(func() { w.provider.answer = nil })
				time.Sleep(session.RefreshPause)
				w.wantAccess(cookie, "access-1")
			})
		})
	}
}

func TestRetryAfterOfTheProviderIsHonouredWithinReason(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worldConfig{})
		cookie := w.login()
		asked := 0
		w.provider.answer = func(context.Context, int) error {
			asked++
			return &oidc.TroubleError{Provider: "openid", RetryAfter: time.Hour, Err: errors.New("429")}
		}
		time.Sleep(time.Hour)
		for range 120 {
			if _, err := w.use(cookie); err == nil {
				t.Fatal("a session with an expired token was served")
			}
			time.Sleep(time.Second)
		}
		if asked != 2 {
			t.Errorf("asked %d times in 2 minutes, want 2", asked)
		}
	})
}

func TestS30TheProvidersRefusalsEndTheSessionForGood(t *testing.T) {
	t.Parallel()
	for _, code := range []string{"invalid_grant", "interaction_required", "login_required", "consent_required", "account_selection_required"} {
		t.Run(code, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, worldConfig{})
				cookie := w.login()
				asked := 0
				w.provider.answer = func(context.Context, int) error {
					asked++
					return &oidc.RefusalError{Provider: "openid", Status: 400, Code: code, Claims: `{"access_token":{}}`}
				}
				time.Sleep(time.Hour - 10*time.Second)
				w.wantAccess(cookie, "access-0") // the background refresh has only begun
				w.Settle()
				for range 10 {
					_, err := w.use(cookie)
					ended, ok := errors.AsType[*session.EndedError](err)
					if !ok || !errors.Is(err, session.ErrEnded) || ended.Code != code || ended.Claims != `{"access_token":{}}` {
						t.Fatalf("error is %v, want the end with the provider's challenge", err)
					}
					if _, err := w.Get(t.Context(), cookie); !errors.Is(err, session.ErrEnded) {
						t.Fatal(err)
					}
					if _, err := w.Refresh(t.Context(), cookie); !errors.Is(err, session.ErrEnded) {
						t.Fatal(err)
					}
					time.Sleep(time.Minute)
				}
				if asked != 1 {
					t.Errorf("the provider was asked %d times, want once and never again", asked)
				}
				ended, err := w.End(t.Context(), cookie)
				if err != nil || ended.Tokens().ID.Empty() || !ended.Tokens().Access.Empty() || !ended.Tokens().Refresh.Empty() {
					t.Errorf("End = %v, %v; want the id token for the logout and nothing else", ended, err)
				}
			})
		})
	}
}

func TestWithoutARefreshTokenTheSessionLastsAsLongAsItsToken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worldConfig{})
		grant := w.provider.login()
		grant.Tokens.Refresh = oidc.Token{}
		_, cookie, err := w.Create(t.Context(), grant, session.Login{})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour - time.Second)
		w.wantAccess(cookie, "access-0")
		if s, err := w.Refresh(t.Context(), cookie); err != nil || s.Tokens().Access.Raw() != "access-0" {
			t.Errorf("Refresh = %v, %v; want the session unchanged", s, err)
		}
		time.Sleep(time.Second)
		if _, err := w.use(cookie); !errors.Is(err, session.ErrTokenExpired) || !errors.Is(err, session.ErrEnded) {
			t.Errorf("error is %v, want the token expired", err)
		}
		if grants, _ := w.provider.counts(); grants != 0 {
			t.Errorf("%d grants without a refresh token", grants)
		}
	})
}

func TestAnAnswerWithoutARefreshTokenKeepsTheOldOne(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worldConfig{})
		cookie := w.login()
		w.provider.shape = func(g *oidc.Grant) { g.Tokens.Refresh, g.Tokens.ID = oidc.Token{}, oidc.Token{} }
		time.Sleep(time.Hour)
		s, err := w.Use(t.Context(), cookie, true)
		if err != nil || s.Tokens().Access.Raw() != "access-1" || s.Tokens().Refresh.Raw() != "refresh-0" || s.Tokens().ID.Empty() {
			t.Errorf("the session has refresh token %q, id token %v, %v", s.Tokens().Refresh.Raw(), !s.Tokens().ID.Empty(), err)
		}
	})
}

func TestManualRefreshHonoursTheCooldownAndKeepsTheSessionsTimes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worldConfig{session: func(c *session.ManagerConfig) { c.Inactivity = true }})
		cookie := w.login()
		before, err := w.Get(t.Context(), cookie)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(59 * time.Second)
		if s, err := w.Refresh(t.Context(), cookie); err != nil || s.Tokens().Access.Raw() != "access-0" {
			t.Errorf("on cooldown: %v, %v", s, err)
		}
		time.Sleep(time.Second)
		s, err := w.Refresh(t.Context(), cookie)
		if err != nil || s.Tokens().Access.Raw() != "access-1" {
			t.Fatalf("after the cooldown: %v, %v", s, err)
		}
		old, now := before.Metadata(time.Now()), s.Metadata(time.Now())
		if old.Session.CreatedAt != now.Session.CreatedAt || old.Session.EndsAt != now.Session.EndsAt {
			t.Error("a refresh moved when the session began or ends")
		}
		if now.Session.TimeoutInSeconds != 1800 || now.Tokens.RefreshedAt != time.Now().UTC() || !now.Tokens.RefreshCooldown {
			t.Errorf("after the refresh: %+v", now)
		}
	})
}

// Groups, roles and name are those of the newest tokens (CVE-2021-41230); a group that was taken away is gone with the next refresh.
func TestS18ClaimsAreReadAnewAtEachRefresh(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worldConfig{})
		cookie := w.login()
		w.provider.change(func() { w.provider.person.Groups = []string{"other"} })
		time.Sleep(time.Hour)
		s, err := w.Use(t.Context(), cookie, true)
		if err != nil {
			t.Fatal(err)
		}
		again, err := w.Get(t.Context(), cookie)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range []*session.Session{s, again} {
			if diff := cmp.Diff([]string{"other"}, s.Identity().Groups()); diff != "" {
				t.Error(diff)
			}
		}
	})
}

// Row 49 of peers.md (gatekeeper): tokens of somebody else never become this session's.
func TestS18ARefreshNeverChangesWhoItIs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worldConfig{})
		cookie := w.login()
		w.provider.change(func() { w.provider.person.Subject = "somebody-else" })
		time.Sleep(time.Hour)
		for range 3 {
			if s, err := w.Use(t.Context(), cookie, true); s != nil || !errors.Is(err, session.ErrEnded) {
				t.Fatalf("Use = %v, %v; want the session ended", s, err)
			}
		}
	})
}

func TestALogoutDuringARefreshIsNotUndone(t *testing.T) {
	t.Parallel()
	for name, remote := range map[string]bool{"memory": false, "shared": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				wc := worldConfig{}
				if remote {
					wc.store = newRemote(t, time.Now)
				}
				w := newWorld(t, wc)
				cookie := w.login()
				w.provider.answer = func(context.Context, int) error { time.Sleep(5 * time.Second); return nil }
				time.Sleep(time.Hour - time.Second)
				w.wantAccess(cookie, "access-0") // starts a refresh
				time.Sleep(time.Second)
				waiting := make(chan error)
				go func() {
					_, err := w.use(cookie)
					waiting <- err
				}()
				synctest.Wait()
				if _, err := w.End(t.Context(), cookie); err != nil {
					t.Fatal(err)
				}
				if err := <-waiting; !errors.Is(err, session.ErrNoSession) || errors.As(err, new(*oidc.TroubleError)) {
					t.Errorf("who waited for the refresh got %v", err)
				}
				w.Settle()
				if _, err := w.use(cookie); !errors.Is(err, session.ErrNoSession) {
					t.Errorf("after the logout: %v", err)
				}
			})
		})
	}
}

// Another replica moves the idle timeout while tokens are renewed here: both are kept.
func TestARefreshKeepsATouchFromElsewhere(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := newRemote(t, time.Now)
		one := newWorld(t, worldConfig{store: store, session: inactivity})
		two := newWorld(t, worldConfig{store: store, session: func(c *session.ManagerConfig) { c.Inactivity, c.ManualRefreshOnly = true, true }})
		cookie := one.login()
		one.provider.answer = func(context.Context, int) error {
			time.Sleep(5 * time.Second)
			two.wantAccess(cookie, "access-0")
			return nil
		}
		time.Sleep(20 * time.Minute)
		if s, err := one.Use(t.Context(), cookie, false); err != nil || s.Tokens().Access.Raw() != "access-0" {
			t.Fatal(s, err)
		}
		one.Settle()
		three := newWorld(t, worldConfig{store: store, session: inactivity})
		s, err := three.Get(t.Context(), cookie)
		if err != nil || s.Tokens().Access.Raw() != "access-1" || s.Metadata(time.Now()).Session.TimeoutInSeconds != 1800 {
			t.Errorf("%v: %+v", err, s.Metadata(time.Now()))
		}
	})
}

// The provider has rotated the refresh token and the store is away: those who wait are served, and the token is kept when it is back.
func TestNewTokensAreKeptThroughAnOutageOfTheStore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := newRemote(t, time.Now)
		w := newWorld(t, worldConfig{store: store})
		cookie := w.login()
		time.Sleep(time.Hour)
		store.change(func(op string) error {
			if op == "replace" {
				return &session.StoreError{Op: op, Err: errors.New("down")}
			}
			return nil
		})
		began := time.Now()
		w.wantAccess(cookie, "access-1")
		if waited := time.Since(began); waited > time.Second {
			t.Errorf("the request waited %v for the store", waited)
		}
		for range 30 {
			time.Sleep(time.Second)
			w.wantAccess(cookie, "access-1") // the record still has the old token; nobody redeems it again
		}
		store.change(nil)
		w.Settle()
		other := newWorld(t, worldConfig{store: store})
		other.wantAccess(cookie, "access-1")
		if grants, replays := w.provider.counts(); grants != 1 || replays != 0 {
			t.Errorf("%d grants, %d replays; want 1 and 0", grants, replays)
		}
	})
}

func TestNewTokensAreGivenUpAfterAWhile(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := newRemote(t, time.Now)
		w := newWorld(t, worldConfig{store: store})
		cookie := w.login()
		time.Sleep(time.Hour)
		store.change(func(op string) error {
			if op == "replace" {
				return &session.StoreError{Op: op, Err: errors.New("down")}
			}
			return nil
		})
		w.wantAccess(cookie, "access-1")
		began := time.Now()
		w.Settle()
		if took := time.Since(began); took < session.KeepBudget-time.Second || took > session.KeepBudget+time.Second {
			t.Errorf("tried for %v, want %v", took, session.KeepBudget)
		}
	})
}

// Another replica was faster: its tokens are kept, and our refusal for the token that it used up ends nothing.
func TestTheNewerTokensWinOverARefusalForTheOlder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := newRemote(t, time.Now)
		one := newWorld(t, worldConfig{store: store})
		two := newWorld(t, worldConfig{store: store})
		cookie := one.login()
		two.provider.answer = func(context.Context, int) error { // while two asks, one renews
			store.loseLocks() // as when this replica was stopped for a while
			one.wantAccess(cookie, "access-1")
			return &oidc.RefusalError{Provider: "openid", Code: "invalid_grant", Status: 400}
		}
		time.Sleep(time.Hour)
		two.wantAccess(cookie, "access-1")
		one.wantAccess(cookie, "access-1")
	})
}

func TestRefreshesAheadAreOffWhereTheyAreManual(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worldConfig{session: func(c *session.ManagerConfig) { c.ManualRefreshOnly = true }})
		cookie := w.login()
		time.Sleep(time.Hour - time.Second)
		w.wantAccess(cookie, "access-0")
		time.Sleep(time.Second)
		if _, err := w.use(cookie); !errors.Is(err, session.ErrTokenExpired) {
			t.Errorf("error is %v, want the token expired", err)
		}
		if s, err := w.Refresh(t.Context(), cookie); err != nil || s.Tokens().Access.Raw() != "access-1" {
			t.Errorf("Refresh = %v, %v", s, err)
		}
		w.wantAccess(cookie, "access-1")
	})
}

func TestCloseWaitsForARefreshButNotForEver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worldConfig{})
		cookie := w.login()
		w.provider.answer = func(ctx context.Context, _ int) error { <-ctx.Done(); return ctx.Err() }
		time.Sleep(time.Hour - time.Second)
		w.wantAccess(cookie, "access-0")
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		if err := w.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Close = %v", err)
		}
		w.Settle() // the background context has ended, and with it the refresh
	})
}

package obo

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"postern/oidc"
)

// Texas' rule: what a token of this life is kept for.
func TestATokenIsHandedOutUntilItsSafetyMargin(t *testing.T) {
	t.Parallel()
	for lifetime, kept := range map[int]time.Duration{
		3600: 3480 * time.Second, 600: 480 * time.Second, 121: time.Second, 120: time.Minute, 30: 15 * time.Second, 1: 500 * time.Millisecond, 0: 0,
	} {
		synctest.Test(t, func(t *testing.T) {
			p := &idp{name: oidc.TokenX, answer: numbered(lifetime)} // exchanged tokens are not renewed ahead
			b := newTestBroker(t, Config{}, p)
			r := Request{Provider: oidc.TokenX, Target: "a", UserToken: "u"}
			first, err := b.Exchange(t.Context(), r)
			if err != nil || first.ExpiresIn != int64(lifetime) || first.Cached {
				t.Fatalf("life %d: %+v, %v", lifetime, first, err)
			}
			if kept > 0 {
				time.Sleep(kept)
				again, err := b.Exchange(t.Context(), r)
				if err != nil || again.Access != first.Access || !again.Cached || again.ExpiresIn != int64((time.Duration(lifetime)*time.Second-kept)/time.Second) {
					t.Errorf("life %d, at its margin: %+v, %v", lifetime, again, err)
				}
			}
			time.Sleep(time.Millisecond)
			if again, err := b.Exchange(t.Context(), r); err != nil || again.Access == first.Access || again.Cached {
				t.Errorf("life %d, behind its margin: %+v, %v", lifetime, again, err)
			}
		})
	}
}

func TestAnExchangedTokenIsNotHandedOutWhenTheUserTokenHasEnded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := &idp{name: oidc.EntraID, answer: numbered(3600)}
		b := newTestBroker(t, Config{}, p)
		end := time.Now().Add(10 * time.Minute)
		r := Request{Provider: oidc.EntraID, Target: "a", UserToken: userToken("ada", end)}
		first, err := b.Exchange(t.Context(), r)
		if err != nil || first.ExpiresIn != 600 {
			t.Fatalf("expires_in goes beyond the user token: %+v, %v", first, err)
		}
		time.Sleep(10*time.Minute - time.Second)
		if again, err := b.Exchange(t.Context(), r); err != nil || again.Access != first.Access || again.ExpiresIn != 1 {
			t.Errorf("one second before its end: %+v, %v", again, err)
		}
		time.Sleep(time.Second)
		_, err = b.Exchange(t.Context(), r) // the provider is kinder than we are
		if f := Explain(err); f.Status != http.StatusBadRequest || f.Body.Code != "invalid_grant" {
			t.Errorf("at its end: %v", err)
		}
		if p.calls() != 2 {
			t.Errorf("%d calls", p.calls())
		}
	})
}

func TestSkipCacheBringsANewTokenForEverybody(t *testing.T) {
	t.Parallel()
	b := newTestBroker(t, Config{}, &idp{name: oidc.EntraID, answer: numbered(3600)})
	r := Request{Provider: oidc.EntraID, Target: "a"}
	first, _ := b.Machine(t.Context(), r)
	r.SkipCache = true
	second, _ := b.Machine(t.Context(), r)
	r.SkipCache = false
	third, _ := b.Machine(t.Context(), r)
	if first.Access == second.Access || second.Access != third.Access || !third.Cached || second.Cached {
		t.Errorf("got %v, %v, %v", first.Access.Raw(), second.Access.Raw(), third.Access.Raw())
	}
}

// Whoever skips the cache has seen the token fail: it is not handed out again if the provider refuses a new one. Trouble takes it from nobody.
func TestSkipCacheForgetsATokenThatIsRefused(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		answer func(int, url.Values) (int, string)
		kept   bool
	}{
		"refused": {func(int, url.Values) (int, string) {
			return http.StatusBadRequest, `{"error":"invalid_grant","error_description":"not now"}`
		}, false},
		"trouble": {func(int, url.Values) (int, string) { return http.StatusOK, "<html>" }, true},
	} {
		p := &idp{name: oidc.EntraID, answer: func(call int, form url.Values) (int, string) {
			if call == 2 {
				return tc.answer(call, form)
			}
			return numbered(3600)(call, form)
		}}
		b := newTestBroker(t, Config{}, p)
		r := Request{Provider: oidc.EntraID, Target: "a"}
		first, _ := b.Machine(t.Context(), r)
		r.SkipCache = true
		if _, err := b.Machine(t.Context(), r); err == nil {
			t.Fatalf("%s: a token", name)
		}
		r.SkipCache = false
		if again, _ := b.Machine(t.Context(), r); (again.Access == first.Access) != tc.kept {
			t.Errorf("%s: then %q", name, again.Access.Raw())
		}
	}
}

func TestOneOfManyCallersRenewsAhead(t *testing.T) {
	t.Parallel()
	now := time.Now()
	e := newEntry(machine, oidc.TokenResponse{ExpiresIn: time.Hour}, now.Add(-50*time.Minute))
	var chosen atomic.Int64
	var all sync.WaitGroup
	for range 100 {
		all.Go(func() {
			if e.renewNow(now) {
				chosen.Add(1)
			}
		})
	}
	all.Wait()
	if n := chosen.Load(); n != 1 {
		t.Errorf("%d callers renew", n)
	}
	if e.renewNow(now.Add(renewalPause-1)) || !e.renewNow(now.Add(renewalPause)) {
		t.Error("the next try comes too early, or never")
	}
}

func TestAHotMachineTokenIsRenewedBeforeItEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := &idp{name: oidc.EntraID, answer: numbered(3600), delay: func(int) time.Duration { return time.Second }}
		b := newTestBroker(t, Config{}, p)
		r := Request{Provider: oidc.EntraID, Target: "a"}
		first, err := b.Machine(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(2700 * time.Second)
		if _, err := b.Machine(t.Context(), r); err != nil || p.calls() != 1 {
			t.Fatalf("renewed too early: %d calls, %v", p.calls(), err)
		}
		time.Sleep(120 * time.Second)
		for range 20 { // nobody waits, and one renewal is enough
			began := time.Now()
			again, err := b.Machine(t.Context(), r)
			if err != nil || again.Access != first.Access || time.Since(began) != 0 {
				t.Fatalf("a caller got %v after %v: %v", again.Access.Raw(), time.Since(began), err)
			}
		}
		time.Sleep(2 * time.Second)
		if again, err := b.Machine(t.Context(), r); err != nil || again.Access == first.Access || p.calls() != 2 {
			t.Errorf("after the renewal: %v, %v, %d calls", again.Access.Raw(), err, p.calls())
		}
	})
}

func TestTenWhoAskAtOnceCauseOneCall(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := &idp{name: oidc.TokenX, answer: numbered(3600), delay: func(int) time.Duration { return time.Second }}
		b := newTestBroker(t, Config{}, p)
		r := Request{Provider: oidc.TokenX, Target: "a", UserToken: "u"}
		impatient, cancel := context.WithCancel(t.Context())
		var gone sync.WaitGroup
		gone.Go(func() { // the first, who began the call, gives up
			if _, err := b.Exchange(impatient, r); !errors.Is(err, context.Canceled) {
				t.Errorf("the one who gave up got %v", err)
			}
		})
		synctest.Wait()
		tokens := make([]Token, 10)
		var others sync.WaitGroup
		for i := range tokens {
			others.Go(func() {
				var err error
				if tokens[i], err = b.Exchange(t.Context(), r); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		cancel()
		gone.Wait()
		others.Wait()
		for _, token := range tokens {
			if token.Access != tokens[0].Access {
				t.Error("two callers got different tokens")
			}
		}
		if p.calls() != 1 {
			t.Errorf("%d calls", p.calls())
		}
	})
}

func TestAProviderThatIsSlowDelaysNobodyElse(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		slow := &idp{name: oidc.EntraID, answer: numbered(3600), delay: func(int) time.Duration { return 2 * time.Second }}
		quick := &idp{name: oidc.TokenX, answer: numbered(3600)}
		b := newTestBroker(t, Config{}, slow, quick)
		var waiting sync.WaitGroup
		for i := range 100 {
			waiting.Go(func() {
				if _, err := b.Machine(t.Context(), Request{Provider: oidc.EntraID, Target: fmt.Sprint(i)}); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		began := time.Now()
		if _, err := b.Exchange(t.Context(), Request{Provider: oidc.TokenX, Target: "a", UserToken: "u"}); err != nil || time.Since(began) != 0 {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
		waiting.Wait()
	})
}

func TestARefusalIsRememberedForAMoment(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := &idp{name: oidc.EntraID, answer: func(int, url.Values) (int, string) {
			return http.StatusBadRequest, `{"error":"invalid_grant","error_description":"AADSTS65001: no consent"}`
		}}
		b := newTestBroker(t, Config{}, p)
		ask := func(r Request, want int) {
			t.Helper()
			r.Provider, r.UserToken = oidc.EntraID, "u"
			_, err := b.Exchange(t.Context(), r)
			if f := Explain(err); f.Status != 400 || f.Body.Code != "invalid_grant" || !f.Refused || f.Body.Description != "AADSTS65001: no consent" {
				t.Errorf("got %+v", f)
			}
			if p.calls() != want {
				t.Errorf("%d calls, want %d", p.calls(), want)
			}
		}
		ask(Request{Target: "a"}, 1)
		ask(Request{Target: "a"}, 1)
		ask(Request{Target: "b"}, 2)
		ask(Request{Target: "a", SkipCache: true}, 3)
		time.Sleep(5 * time.Second)
		ask(Request{Target: "a", RefusalAge: 60}, 3)
		ask(Request{Target: "a"}, 4)
		time.Sleep(time.Minute)
		ask(Request{Target: "a", RefusalAge: 60}, 5)
	})
}

// S-43: a refusal counts for the user, whatever token they bring, unless it may be about that token alone.
func TestS43ARefusalCountsForAllTokensOfAUser(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := &idp{name: oidc.EntraID, answer: func(int, url.Values) (int, string) {
			return http.StatusBadRequest, `{"error":"invalid_grant","error_description":"AADSTS65001"}`
		}}
		b := newTestBroker(t, Config{}, p)
		later := time.Now().Add(time.Hour)
		ask := func(user, token string, calls int) {
			t.Helper()
			_, err := b.Exchange(t.Context(), Request{Provider: oidc.EntraID, Target: "a", UserToken: token, User: user, RefusalAge: 60})
			if err == nil || p.calls() != calls {
				t.Errorf("%d calls, want %d: %v", p.calls(), calls, err)
			}
		}
		ask("ada", userToken("1", later), 1)
		ask("ada", userToken("2", later), 1)
		ask("bob", userToken("3", later), 2)
		ask("", userToken("4", later), 3)
		ask("cid", userToken("5", time.Now().Add(-time.Minute)), 4) // it has ended: the next one may do
		ask("cid", userToken("6", later), 5)
		time.Sleep(time.Minute)
		ask("ada", userToken("2", later), 6)
	})
}

func TestS09AUserTokenThatWasEndedByALogoutBuysNothing(t *testing.T) {
	t.Parallel()
	p := &idp{name: oidc.TokenX, answer: numbered(3600)}
	ended := false
	b := newTestBroker(t, Config{Revoked: func(raw string) bool { return ended && raw == "u" }}, p)
	r := Request{Provider: oidc.TokenX, Target: "a", UserToken: "u"}
	if _, err := b.Exchange(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	ended = true
	_, err := b.Exchange(t.Context(), r)
	if f := Explain(err); f.Status != http.StatusUnauthorized || f.Body.Code != "invalid_token" || strings.Contains(f.Body.Description, "u\"") {
		t.Errorf("got %+v", f)
	}
	if _, err := b.Exchange(t.Context(), Request{Provider: oidc.TokenX, Target: "a", UserToken: "other"}); err != nil {
		t.Error(err)
	}
}

func TestAPanicIsAnErrorOfThatRequest(t *testing.T) {
	t.Parallel()
	b := newTestBroker(t, Config{}, &idp{name: oidc.TokenX, answer: numbered(3600)})
	b.sources[oidc.TokenX].exchange = func(Request) question { panic("boom") }
	_, err := b.Exchange(t.Context(), Request{Provider: oidc.TokenX})
	if f := Explain(err); f.Status != http.StatusInternalServerError || strings.Contains(f.Body.Description, "boom") {
		t.Errorf("got %+v", f)
	}
}

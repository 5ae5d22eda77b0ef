package oidc

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// wellKnown lets the provider find everything by its metadata.
func wellKnown(i *issuance, pc *ProviderConfig) {
	i.issuer = testIssuer
	i.metadata = i.defaultMetadata()
	*pc = ProviderConfig{Name: pc.Name, WellKnownURL: testIssuer + "/.well-known/openid-configuration"}
}

// forged is a token that says to be signed by a key of this id.
func (i *issuance) forged(kid string) string {
	i.t.Helper()
	return b64(`{"alg":"RS256","kid":"`+kid+`"}`) + "." + b64(claimsJSON(i.t, i.claimsWith(nil))) + ".AAAA"
}

// peers.md 62: no keys, no validation; and no refusal either.
func TestAdvisoryCVE2026_31837WithoutKeysNothingVerifies(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				i := newIssuanceUnread(t, kind, wellKnown)
				i.down("/jwks", http.StatusBadGateway)
				ctx, stop := context.WithCancel(t.Context())
				defer stop()
				go i.provider.Run(ctx)
				begun := time.Now()
				id, err := i.verify(nil)
				if e := wantTrouble(t, err, "keys_unreachable"); id != nil || e.RetryAfter <= 0 || !errors.Is(err, ErrNotReady) {
					t.Errorf("%v, %+v", id, e)
				}
				if took := time.Since(begun); took > 2100*time.Millisecond {
					t.Errorf("it waited %v", took)
				}
				time.Sleep(time.Minute)
				begun = time.Now()
				_, err = i.verify(nil)
				wantTrouble(t, err, "keys_unreachable")
				if time.Since(begun) > 0 {
					t.Error("it waited although the first fetches have failed")
				}
				_, err = i.verify(map[string]any{"iss": "https://evil.example"}) // a stranger's token is no trouble of ours
				wantInvalid(t, err, "issuer is not one")
				i.up()
				time.Sleep(5 * time.Second)
				i.wantGood(map[string]any{"iat": unix(0), "exp": unix(time.Hour)})
			})
		})
	}
}

func TestRequestsWaitForTheFirstFetch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		i := newIssuanceUnread(t, "partner", wellKnown)
		i.set(func() {
			i.intercept = func(http.ResponseWriter, *http.Request) bool { time.Sleep(500 * time.Millisecond); return false }
		})
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		go i.provider.Run(ctx)
		synctest.Wait()
		begun := time.Now()
		_, err := i.verify(map[string]any{"iss": "https://evil.example"})
		wantInvalid(t, err, "issuer is not one")
		if time.Since(begun) > 0 {
			t.Error("a stranger's token waited")
		}
		i.wantGood(nil)
		if took := time.Since(begun); took != time.Second {
			t.Errorf("waited %v", took)
		}
	})
}

// The metadata decide in the end: what was let through by the address alone is compared with them.
func TestIssuerIsComparedWithTheMetadataOnceTheyAreThere(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		i := newIssuanceUnread(t, "partner", wellKnown)
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		i.set(func() {
			i.intercept = func(http.ResponseWriter, *http.Request) bool { time.Sleep(time.Millisecond); return false }
		})
		go i.provider.Run(ctx)
		_, err := i.verify(map[string]any{"iss": testIssuer + "/"})
		wantInvalid(t, err, "issuer is not the provider")
		i.wantGood(nil)
	})
}

func TestManyTenantsWaitForTheirMetadataToo(t *testing.T) {
	t.Parallel()
	for _, all := range manyTenants {
		i := newIssuanceUnread(t, "entra user", func(i *issuance, pc *ProviderConfig) {
			*pc = ProviderConfig{Name: EntraID, WellKnownURL: "https://login.example/" + all + "/v2.0/.well-known/openid-configuration", Tenants: []string{testTenant}}
		})
		for iss, mine := range map[string]bool{
			entraIssuer: true, "https://login.example/" + all + "/v2.0": false, "https://login.example/11111111-2222-3333-4444-555555555555/v2.0": false,
		} {
			claims := members{"tid": `"` + testTenant + `"`}
			if i.provider.mayIssue(iss, claims) != mine {
				t.Errorf("%s, %s", all, iss)
			}
		}
		const stranger = "11111111-2222-3333-4444-555555555555"
		if i.provider.mayIssue(entraIssuer, members{}) || i.provider.mayIssue("https://login.example/"+stranger+"/v2.0", members{"tid": `"` + stranger + `"`}) {
			t.Error("without a tenant that is allowed")
		}
	}
}

func TestOutageOfKeysServesTheLastGoodSetAndThenTrouble(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		i := newIssuanceUnread(t, "entra user", wellKnown)
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		go i.provider.Run(ctx)
		synctest.Wait()
		long := i.mint(map[string]any{"exp": unix(100 * time.Hour)})
		verify := func() (*Identity, error) { return i.verifier.Verify(t.Context(), long) }
		before := i.wantRemembered(long)
		i.down("/jwks", http.StatusBadGateway)
		time.Sleep(23 * time.Hour)
		if _, err := verify(); err != nil {
			t.Fatalf("remembered, after 23 h: %v", err)
		}
		i.wantGood(map[string]any{"iat": unix(0), "exp": unix(time.Hour)})
		time.Sleep(62 * time.Minute)
		id, err := verify() // S-34: not even what is remembered
		wantTrouble(t, err, "keys_stale")
		if id != nil {
			t.Error("an identity")
		}
		_, err = i.verify(map[string]any{"iat": unix(0), "exp": unix(time.Hour)})
		wantTrouble(t, err, "keys_stale")
		i.up()
		time.Sleep(2 * time.Minute)
		if id, err := verify(); err != nil || id != before {
			t.Errorf("after the outage: %v, the same %v", err, id == before)
		}
	})
}

// peers.md 61, for what is remembered too.
func TestAdvisoryGO2025_3376WithdrawnKeyTakesItsTokensWithIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		i := newIssuanceUnread(t, "entra user", wellKnown)
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		go i.provider.Run(ctx)
		synctest.Wait()
		old := i.mint(map[string]any{"exp": unix(100 * time.Hour)})
		verify := func() error { _, err := i.verifier.Verify(t.Context(), old); return err }
		must(t, verify())
		time.Sleep(18 * time.Minute) // a refresh that changes nothing
		must(t, verify())
		if n := i.verifier.cache.entries.EstimatedSize(); n != 1 {
			t.Errorf("%d entries", n)
		}
		i.setKey("k2", "RS256", rsaTwoOnce())
		time.Sleep(18 * time.Minute)
		wantInvalid(t, verify(), "key is not one of the provider's")
		i.wantGood(map[string]any{"iat": unix(0), "exp": unix(time.Hour)})

		i.setKey("k1", "RS256", rsaTwoOnce()) // the old id with another key
		time.Sleep(18 * time.Minute)
		wantInvalid(t, verify(), "signature does not verify")
	})
}

func TestWithdrawnKeyIsNoticedAtTheFetchForAnUnknownKeyToo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		i := newIssuance(t, "entra user")
		old := i.mint(nil)
		if _, err := i.verifier.Verify(t.Context(), old); err != nil {
			t.Fatal(err)
		}
		i.setKey("k2", "RS256", rsaTwoOnce())
		i.wantGood(nil)                               // costs the fetch
		_, err := i.verifier.Verify(t.Context(), old) // that fetch has shown that the key is gone: nothing is held back
		wantInvalid(t, err, "key is not one of the provider's")
	})
}

func TestS34FloodOfUnknownKeysCostsOneFetchIn30sAndHurtsNobody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		i := newIssuance(t, "entra user")
		known := i.mint(map[string]any{"exp": unix(time.Hour)})
		fetched := i.count("/jwks")
		var genuine string
		verdicts := map[string]int{}
		for second := range 90 {
			for n := range 20 {
				forged := i.forged(fmt.Sprintf("forged-%d-%d", second, n))
				if id, err := i.verifier.Verify(t.Context(), forged); id != nil || err == nil {
					t.Fatal("a forged token is accepted")
				}
			}
			if _, err := i.verifier.Verify(t.Context(), known); err != nil {
				t.Fatalf("a token of a known key in second %d: %v", second, err)
			}
			if second == 40 {
				both := i.published
				i.setKey("k2", "RS256", rsaTwoOnce())
				i.set(func() { i.published = append(i.published, both...) })
				genuine = i.mint(map[string]any{"exp": unix(time.Hour)})
			}
			if genuine != "" {
				_, err := i.verifier.Verify(t.Context(), genuine)
				switch trouble := (*TroubleError)(nil); {
				case err == nil:
					verdicts["good"]++
				case errors.As(err, &trouble) && trouble.RetryAfter > 0:
					verdicts["trouble"]++
					if verdicts["good"] > 0 {
						t.Error("trouble after it was good")
					}
				default:
					t.Fatalf("a genuine token of a new key: %v", err)
				}
			}
			time.Sleep(time.Second)
		}
		if n := i.count("/jwks") - fetched; n > 4 {
			t.Errorf("%d fetches in 90 s", n)
		}
		if verdicts["good"] < 20 || verdicts["trouble"] < 1 {
			t.Errorf("%v", verdicts)
		}
	})
}

func TestForgedTokensMakeNobodyWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		i := newIssuance(t, "entra user")
		i.set(func() {
			i.intercept = func(http.ResponseWriter, *http.Request) bool { time.Sleep(4 * time.Second); return false }
		})
		var wg sync.WaitGroup
		for n := range 50 {
			forged := i.forged(fmt.Sprintf("forged-%d", n))
			wg.Go(func() {
				if _, err := i.verifier.Verify(t.Context(), forged); err == nil {
					t.Error("a forged token is accepted")
				}
			})
		}
		synctest.Wait() // all of them wait for the slow fetch
		begun := time.Now()
		i.wantGood(map[string]any{"jti": "new"})
		if time.Since(begun) > 0 {
			t.Errorf("a good token waited %v", time.Since(begun))
		}
		wg.Wait()
	})
}

func TestCallerWhoLeavesWhileKeysAreLookedForIsTroubleAndNotInvalid(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		i := newIssuance(t, "entra user")
		i.setKey("k2", "RS256", rsaTwoOnce())
		i.set(func() {
			i.intercept = func(http.ResponseWriter, *http.Request) bool { time.Sleep(time.Second); return false }
		})
		ctx, leave := context.WithTimeout(t.Context(), time.Millisecond)
		defer leave()
		_, err := i.verifier.Verify(ctx, i.mint(nil))
		wantTrouble(t, err, "look for key")
		time.Sleep(2 * time.Second)
		i.wantGood(nil)
	})
}

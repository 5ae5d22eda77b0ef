package oidc

import (
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestRememberedTokenEndsWithTheToken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		i := newIssuance(t, "entra user")
		token := i.mint(map[string]any{"exp": unix(time.Minute)})
		first := i.wantRemembered(token)
		for second := range 121 {
			if id, err := i.verifier.Verify(t.Context(), strings.Clone(token)); err != nil || id != first {
				t.Fatalf("in second %d: %v, the same %v", second, err, id == first)
			}
			time.Sleep(time.Second)
		}
		_, err := i.verifier.Verify(t.Context(), token)
		wantInvalid(t, err, "has expired")
	})
}

// The clock is asked at every hit, whatever the cache thinks.
func TestRememberedTokenObeysTheClock(t *testing.T) {
	t.Parallel()
	i := newIssuance(t, "entra user")
	token := i.mint(nil)
	id := i.wantRemembered(token)
	e := i.verifier.cache.get(i.verifier.cache.keyOf(token), time.Now())
	for after, want := range map[time.Duration]bool{0: true, bearerLeeway * time.Second: true, (bearerLeeway + 1) * time.Second: false} {
		if good, err := e.stillGood(id.Expiry().Add(after)); good != want || err != nil {
			t.Errorf("%v after its end: %v, %v", after, good, err)
		}
	}
}

// wantRemembered verifies a token twice, so that what was found out has been compared with the keys in force.
func (i *issuance) wantRemembered(token string) *Identity {
	i.t.Helper()
	one, err := i.verifier.Verify(i.t.Context(), token)
	must(i.t, err)
	two, err := i.verifier.Verify(i.t.Context(), token)
	must(i.t, err)
	if one != two {
		i.t.Fatal("it was verified twice")
	}
	return one
}

func TestRememberedTokenEndsWithTheIssuerOfTheMetadata(t *testing.T) {
	t.Parallel()
	i := newIssuance(t, "partner", wellKnown)
	token := i.mint(nil)
	i.wantRemembered(token)
	s := i.provider.state.Load()
	i.provider.install(&Metadata{Issuer: testIssuer + "/"}, s.keys)
	_, err := i.verifier.Verify(t.Context(), token)
	wantInvalid(t, err, "issuer is not one")
}

func TestKeyIsTheSameOnlyInEveryMember(t *testing.T) {
	t.Parallel()
	key := verificationKey{kid: "k", alg: "RS256", issuer: "i", public: rsaOnce().Public()}
	for name, tc := range map[string]struct {
		change func(*verificationKey)
		want   bool
	}{
		"the same":         {func(*verificationKey) {}, true},
		"another id":       {func(k *verificationKey) { k.kid = "x" }, false},
		"another use":      {func(k *verificationKey) { k.alg = "PS256" }, false},
		"another issuer":   {func(k *verificationKey) { k.issuer = "" }, false},
		"another key":      {func(k *verificationKey) { k.public = rsaTwoOnce().Public() }, false},
		"of another type":  {func(k *verificationKey) { k.public = edKey(t).Public() }, false},
		"of no known type": {func(k *verificationKey) { k.public = 5 }, false},
	} {
		other := key
		tc.change(&other)
		set := keySet{keys: []verificationKey{other}}
		if set.holds(&key) != tc.want {
			t.Errorf("%s: %v", name, !tc.want)
		}
	}
	if set := (keySet{keys: []verificationKey{{public: 5}}}); set.holds(&verificationKey{public: 5}) {
		t.Error("a key that cannot be compared is held")
	}
}

// The key of the cache covers all of the longest token that is read.
func TestTokenThatBeginsWithARememberedOneIsAnother(t *testing.T) {
	t.Parallel()
	i := newIssuance(t, "entra user")
	made := func(pad int) string {
		return testToken(t, i.key, `{"alg":"RS256","kid":"k1","typ":"JWT" }`, claimsJSON(t, i.claimsWith(map[string]any{"x": strings.Repeat("x", pad)})))
	}
	pad := (maxBearer - len(made(0))) * 3 / 4
	longest := made(pad)
	for ; len(longest) < maxBearer; pad++ {
		longest = made(pad + 1)
	}
	i.wantRemembered(longest)
	for _, other := range []string{longest + "A", longest + ".", longest[:maxBearer-1], longest[:maxBearer-1] + "!"} {
		if id, err := i.verifier.Verify(t.Context(), other); id != nil || err == nil {
			t.Error("it is accepted")
		}
	}
}

func TestBadTokensAreNotRemembered(t *testing.T) {
	t.Parallel()
	i := newIssuance(t, "entra user")
	for n := range 50 {
		if _, err := i.verify(map[string]any{"exp": 1, "jti": n}); err == nil {
			t.Fatal("accepted")
		}
		if _, err := i.verifier.Verify(t.Context(), fmt.Sprintf("rubbish-%d", n)); err == nil {
			t.Fatal("accepted")
		}
	}
	if n := i.verifier.cache.entries.EstimatedSize(); n != 0 {
		t.Errorf("%d entries", n)
	}
}

// peers.md 52: what passed under one configuration was never looked at under another.
func TestAdvisoryGHSA_4mq7_pvjg_xp2rSettingsAreInTheKey(t *testing.T) {
	t.Parallel()
	i := newIssuance(t, "entra user")
	idporten := newIssuance(t, IDPorten)
	base := i.accept
	keys := map[verifiedKey]string{}
	cache := newVerifier(t, base).cache
	for name, change := range map[string]func(*Acceptance){
		"as it is":      func(*Acceptance) {},
		"audience":      func(a *Acceptance) { a.Audiences = []string{entraClient, "other"} },
		"algorithms":    func(a *Acceptance) { a.Algorithms = []string{"RS256", "PS256"} },
		"tenant":        func(a *Acceptance) { a.TenantID = testTenant },
		"applications":  func(a *Acceptance) { a.Applications = nil },
		"another app":   func(a *Acceptance) { a.Applications = map[string]string{callerClient: protectedApp} },
		"ID-porten":     func(a *Acceptance) { a.IDPorten = idporten.provider },
		"provider":      func(a *Acceptance) { a.Provider = idporten.provider },
		"name, claims":  func(a *Acceptance) { a.Name, a.Claims = "x", map[string]string{"groups": "g"} },
		"name, claims2": func(a *Acceptance) { a.Name, a.Claims = "x", map[string]string{"roles": "g"} },
	} {
		a := base
		change(&a)
		key := cache.under(newVerifier(t, a).cache.settings).keyOf("token")
		if other, taken := keys[key]; taken {
			t.Errorf("%s and %s have one key", name, other)
		}
		keys[key] = name
	}
	if keys[cache.keyOf("token")] != "as it is" {
		t.Error("the same settings have another key")
	}
	// And the settings themselves: primed by the lenient one, the strict one still refuses.
	strict := base
	strict.Audiences = []string{"another"}
	token := i.mint(nil)
	if _, err := i.verifier.Verify(t.Context(), token); err != nil {
		t.Fatal(err)
	}
	_, err := newVerifier(t, strict).Verify(t.Context(), token)
	wantInvalid(t, err, "another audience")
}

func TestSettingsCannotBeChangedBehindTheVerifier(t *testing.T) {
	t.Parallel()
	i := newIssuance(t, "entra user")
	i.accept.Audiences[0] = "other"
	maps.DeleteFunc(i.accept.Applications, func(string, string) bool { return true })
	if id := i.wantGood(nil); id.Caller().App != callerApp {
		t.Errorf("%+v", id.Caller())
	}
}

// peers.md 53: two people whose tokens share all but the end, a thousand at once, never get each other's identity.
func TestAdvisoryCVE2026_71326NoCrossTalkBetweenCallers(t *testing.T) {
	t.Parallel()
	i := newIssuance(t, "entra user")
	const people = 8
	var tokens [people]string
	for n := range people { // the same bytes up to the last characters of the claims
		tokens[n] = testToken(t, i.key, `{"alg":"RS256","kid":"k1"}`, strings.TrimSuffix(claimsJSON(t, i.claimsWith(map[string]any{"NAVident": nil})), "}")+
			fmt.Sprintf(`,"NAVident":"Z99000%d"}`, n))
	}
	var wg sync.WaitGroup
	start := make(chan struct{})
	for g := range 1000 {
		wg.Go(func() {
			<-start
			for round := range 4 {
				n := (g + round) % people
				id, err := i.verifier.Verify(t.Context(), tokens[n])
				if err != nil || id.User() != fmt.Sprintf("Z99000%d", n) || !strings.Contains(id.ClaimsJSON(), id.User()) {
					t.Errorf("person %d: %v, %v", n, id, err)
				}
				memo := id.Memo(func(id *Identity) any { return id.User() })
				if memo != id.User() {
					t.Errorf("person %d has the memo of %v", n, memo)
				}
			}
		})
	}
	close(start)
	wg.Wait()
}

func TestRememberedTokensAreBoundedByBytes(t *testing.T) {
	t.Parallel()
	i := newIssuance(t, "entra user")
	const bound = 64 << 10
	v, err := NewVerifier([]Acceptance{i.accept}, bound, Deps{})
	must(t, err)
	for n := range 100 {
		if _, err := v.Verify(t.Context(), i.mint(map[string]any{"jti": n})); err != nil {
			t.Fatal(err)
		}
	}
	v.cache.entries.CleanUp()
	if size, n := v.cache.size(), v.cache.entries.EstimatedSize(); size == 0 || size > bound || n >= 100 {
		t.Errorf("%d bytes, %d entries", size, n)
	}
}

// What is kept of a token counts, whoever keeps it.
func TestRememberedTokenWeighsWhatItKeeps(t *testing.T) {
	t.Parallel()
	i := newIssuance(t, "entra user")
	token := i.mint(map[string]any{"x": strings.Repeat("x", 5000)})
	id := i.wantRemembered(token)
	if least, got := len(id.ClaimsJSON()), i.verifier.cache.size(); got < uint64(least) {
		t.Errorf("it weighs %d, and keeps %d bytes at least", got, least)
	}
	introspector, err := NewIntrospector([]Introspected{{Name: EntraID, Provider: i.provider, Audiences: i.accept.Audiences}}, 0, Deps{})
	must(t, err)
	answer, err := introspector.Introspect(t.Context(), EntraID, token)
	if err != nil || !answer.Active() {
		t.Fatal(err, answer.Reason)
	}
	if least, got := len(answer.JSON), introspector.cache.size(); got < uint64(least) {
		t.Errorf("its answer weighs %d, and keeps %d bytes at least", got, least)
	}
}

func TestHitAllocatesNothing(t *testing.T) {
	i := newIssuance(t, "entra user")
	token := i.mint(nil)
	i.wantGood(nil)
	for range 2 {
		if _, err := i.verifier.Verify(t.Context(), token); err != nil {
			t.Fatal(err)
		}
	}
	ctx := t.Context()
	if n := testing.AllocsPerRun(1000, func() { _, _ = i.verifier.Verify(ctx, token) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

package oidc

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func (i *issuance) wantTroubleFrom(in *Introspector, token, about string) {
	i.t.Helper()
	got, err := in.Introspect(i.t.Context(), i.accept.Name, token)
	if e := wantTrouble(i.t, err, about); got.JSON != nil || e.RetryAfter <= 0 {
		i.t.Errorf("%s, %+v", got.JSON, e)
	}
}

func TestIntrospectionWithoutKeysIsTroubleAndNoVerdict(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		i := newIssuanceUnread(t, IDPorten, wellKnown)
		in := i.introspector()
		i.down("/jwks", http.StatusBadGateway)
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		go i.provider.Run(ctx)
		i.wantTroubleFrom(in, i.mint(nil), "keys_unreachable")
		begun := time.Now()
		if got, said := i.look(in, i.mint(map[string]any{"iss": "https://other.example"})); got.Active() || said["error"] != flawStranger.text {
			t.Errorf("a stranger's token: %s", got.JSON)
		}
		if time.Since(begun) > 0 {
			t.Error("a stranger's token waited")
		}
		i.up()
		time.Sleep(5 * time.Second)
		if got, _ := i.look(in, i.mint(map[string]any{"iat": unix(0), "exp": unix(time.Hour)})); !got.Active() {
			t.Errorf("%s", got.JSON)
		}
	})
}

// S-34: keys that nobody could refresh for 24 h say nothing, not even of a token that is remembered.
func TestS34IntrospectionWithStaleKeysIsTrouble(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		i := newIssuance(t, IDPorten)
		in, token := i.introspector(), i.mint(map[string]any{"exp": unix(100 * time.Hour)})
		if got, _ := i.look(in, token); !got.Active() {
			t.Fatalf("%s", got.JSON)
		}
		time.Sleep(keysUsable + time.Second)
		i.wantTroubleFrom(in, token, "keys_stale")
		i.wantTroubleFrom(in, i.mint(nil), "keys_stale")
	})
}

func TestIntrospectionDropsTokensOfWithdrawnKeysAtOnce(t *testing.T) {
	t.Parallel()
	i := newIssuance(t, IDPorten)
	in, token := i.introspector(), i.mint(nil)
	i.look(in, token)
	i.setKey("k2", "RS256", rsaTwoOnce())
	must(t, i.provider.refresh(t.Context()))
	if got, said := i.look(in, token); got.Active() || said["error"] != flawStranger.text {
		t.Errorf("%s", got.JSON)
	}
	if got, _ := i.look(in, i.mint(nil)); !got.Active() {
		t.Errorf("the new key's: %s", got.JSON)
	}
}

// S-34: the first unknown key id is looked for at once, then one fetch in 30 s; held back it is trouble, looked for in vain it is not.
func TestS34IntrospectionOfUnknownKeyIDs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		i := newIssuance(t, IDPorten)
		in, before := i.introspector(), i.count("/jwks")
		for range 3 {
			if got, said := i.look(in, i.forged("x1")); got.Active() || said["error"] != flawStranger.text {
				t.Errorf("%s", got.JSON)
			}
		}
		i.wantTroubleFrom(in, i.forged("x2"), "held back")
		i.setKey("k2", "RS256", rsaTwoOnce()) // the provider rotates while fetches are held back
		genuine := i.mint(nil)
		i.wantTroubleFrom(in, genuine, "held back")
		if n := i.count("/jwks") - before; n != 1 {
			t.Errorf("%d fetches", n)
		}
		time.Sleep(seekEvery)
		if got, _ := i.look(in, genuine); !got.Active() {
			t.Errorf("%s", got.JSON)
		}
		time.Sleep(seekEvery)
		i.down("/jwks", http.StatusBadGateway)
		i.wantTroubleFrom(in, i.forged("x3"), "look for key")
		if got, _ := i.look(in, genuine); !got.Active() {
			t.Errorf("a failed fetch took a known token along: %s", got.JSON)
		}
	})
}

// tokens.md 1.8, last part: a slow fetch of one provider's keys holds up nobody who does not need them.
func TestIntrospectionNeverWaitsForSomebodyElsesFetch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		slow, quick := newIssuance(t, "entra user"), newIssuance(t, TokenX)
		in, err := NewIntrospector([]Introspected{
			{Name: EntraID, Provider: slow.provider, Audiences: slow.accept.Audiences},
			{Name: TokenX, Provider: quick.provider, Audiences: quick.accept.Audiences},
		}, 0, Deps{})
		must(t, err)
		known := slow.mint(nil)
		slow.look(in, known)
		slow.set(func() {
			slow.intercept = func(http.ResponseWriter, *http.Request) bool { time.Sleep(4 * time.Second); return false }
		})
		var waiting sync.WaitGroup
		waiting.Go(func() { slow.look(in, slow.forged("unknown")) })
		synctest.Wait()
		begun := time.Now()
		if got, _ := slow.look(in, known); !got.Active() {
			t.Errorf("%s", got.JSON)
		}
		if got, _ := slow.look(in, slow.mint(map[string]any{"uti": "not remembered"})); !got.Active() {
			t.Errorf("%s", got.JSON)
		}
		if got, _ := quick.look(in, quick.mint(nil)); !got.Active() {
			t.Errorf("%s", got.JSON)
		}
		if took := time.Since(begun); took > 0 {
			t.Errorf("they waited %v", took)
		}
		waiting.Wait()
	})
}

// The caller gives up; the fetch that others wait for does not.
func TestIntrospectionEndsWithItsRequest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		i := newIssuance(t, IDPorten)
		i.set(func() {
			i.intercept = func(http.ResponseWriter, *http.Request) bool { time.Sleep(time.Second); return false }
		})
		in := i.introspector()
		i.setKey("k2", "RS256", rsaTwoOnce())
		genuine := i.mint(nil)
		ctx, giveUp := context.WithTimeout(t.Context(), time.Millisecond)
		defer giveUp()
		_, err := in.Introspect(ctx, IDPorten, genuine)
		if wantTrouble(t, err, "look for key"); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		time.Sleep(2 * time.Second)
		if got, _ := i.look(in, genuine); !got.Active() {
			t.Errorf("%s", got.JSON)
		}
	})
}

// S-34: a key of Entra ID signs for its own issuer.
func TestS34IntrospectionHoldsKeysToTheirIssuer(t *testing.T) {
	t.Parallel()
	i := newIssuance(t, "entra user")
	for keyIssuer, active := range map[string]bool{
		entraIssuer: true, "https://login.example/{tenantid}/v2.0": true, "https://login.example/11111111-2222-3333-4444-555555555555/v2.0": false,
	} {
		i.set(func() {
			i.published = []string{jwkJSON(t, rsaOnce().Public(), map[string]any{"kid": "k1", "use": "sig", "issuer": keyIssuer})}
		})
		must(t, i.provider.refresh(t.Context()))
		if got, said := i.look(i.introspector(), i.mint(nil)); got.Active() != active || !active && said["error"] != flawStranger.text {
			t.Errorf("%s: %s", keyIssuer, got.JSON)
		}
	}
}

// A token that is good for one provider is not a hit for another that shares its issuer and keys, nor for another audience.
func TestIntrospectionsOfDifferentProvidersAreNeverMixedUp(t *testing.T) {
	t.Parallel()
	i := newIssuance(t, OpenID)
	in, err := NewIntrospector([]Introspected{
		{Name: OpenID, Provider: i.provider, Audiences: []string{"aud-1"}}, {Name: IDPorten, Provider: i.provider, Audiences: []string{"aud-2"}},
	}, 0, Deps{})
	must(t, err)
	token := i.mint(nil)
	for range 2 {
		if got, _ := i.look(in, token); !got.Active() {
			t.Errorf("%s", got.JSON)
		}
		got, err := in.Introspect(t.Context(), IDPorten, token)
		must(t, err)
		if got.Active() || got.Reason != "audience" {
			t.Errorf("%s", got.JSON)
		}
	}
}

func TestIntrospectionIsRememberedWithinItsBound(t *testing.T) {
	t.Parallel()
	i := newIssuance(t, IDPorten)
	in, err := NewIntrospector([]Introspected{{Name: IDPorten, Provider: i.provider, Audiences: []string{"aud-1"}}}, 64<<10, Deps{})
	must(t, err)
	token := i.mint(nil)
	first, _ := i.look(in, token)
	again, _ := i.look(in, token)
	if &first.JSON[0] != &again.JSON[0] {
		t.Error("a known token was looked into again")
	}
	for n := range 60 {
		i.look(in, i.mint(map[string]any{"jti": strings.Repeat("x", n), "pad": strings.Repeat("y", 2000)}))
	}
	in.cache.entries.CleanUp()
	if size := in.cache.size(); size > 64<<10 {
		t.Errorf("%d bytes", size)
	}
}

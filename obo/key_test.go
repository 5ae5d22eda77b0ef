package obo

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"postern/oidc"
)

// Fields are drawn from few texts that run into each other when they are merely joined.
var drawnText = rapid.SampledFrom([]string{"", "a", "b", "ab", "a:b", "r", "d", "ra", "[]", "m", "u", "\x00", "\x01", "\x01a", "entra_id", "tokenx"})

var drawnRequest = rapid.Custom(func(t *rapid.T) Request {
	r := Request{Provider: drawnText.Draw(t, "provider"), Target: drawnText.Draw(t, "target"), UserToken: drawnText.Draw(t, "user token")}
	if rapid.Bool().Draw(t, "has resource") {
		text := drawnText.Draw(t, "resource")
		r.Resource = &text
	}
	if rapid.Bool().Draw(t, "has details") {
		r.AuthorizationDetails = []byte(drawnText.Draw(t, "details"))
	}
	return r
})

// Two requests have one key if and only if they ask for the same.
func TestNoTwoRequestsHaveOneKey(t *testing.T) {
	t.Parallel()
	uses := rapid.SampledFrom([]use{machine, onBehalf})
	rapid.Check(t, func(t *rapid.T) {
		useA, useB := uses.Draw(t, "use of a"), uses.Draw(t, "use of b")
		a, b := drawnRequest.Draw(t, "a"), drawnRequest.Draw(t, "b")
		same := useA == useB && reflect.DeepEqual(a, b)
		if (keyOf(useA, a) == keyOf(useB, b)) != same {
			t.Fatalf("%+v and %+v", a, b)
		}
		a.SkipCache, a.RefusalAge = true, 60 // how one asks is not what one asks for
		if keyOf(useA, a) != keyOf(useA, Request{
			Provider: a.Provider, Target: a.Target, UserToken: a.UserToken, Resource: a.Resource, AuthorizationDetails: a.AuthorizationDetails,
		}) {
			t.Fatal("the key depends on how a token is asked for")
		}
	})
}

// A thousand callers at once, of few users, targets and parameters: each gets the token that was made for exactly what was asked.
func TestTokensOfAThousandCallersAreNeverMixed(t *testing.T) {
	t.Parallel()
	told := func(provider string) func(int, url.Values) (int, string) {
		return func(_ int, form url.Values) (int, string) { // the token says what it was asked for
			var asked string
			if assertion := form.Get("assertion"); provider == oidc.Maskinporten {
				claims := claimsOf(t, assertion, 1)
				asked = fmt.Sprint(claims["scope"], claims["resource"], claims["authorization_details"])
			} else {
				asked = form.Get("scope") + form.Get("audience") + "|" + form.Get("assertion") + form.Get("subject_token")
			}
			body, _ := json.Marshal(map[string]any{"access_token": fmt.Sprintf("%x", provider+"|"+asked), "token_type": "Bearer", "expires_in": 60})
			return http.StatusOK, string(body)
		}
	}
	var idps []*idp
	for _, name := range []string{oidc.EntraID, oidc.TokenX, oidc.Maskinporten} {
		idps = append(idps, &idp{name: name, answer: told(name)})
	}
	b := newTestBroker(t, Config{}, idps...)
	resources := []*string{nil, new(string)}
	*resources[1] = "r"
	details := [][]byte{nil, []byte(`[]`), []byte(`[{"type":"t"}]`)}
	var all sync.WaitGroup
	for i := range 1000 {
		all.Go(func() {
			user, target := fmt.Sprint("user", i%7), fmt.Sprint("target", i/7%5)
			for round := range 3 {
				r := Request{Provider: oidc.Maskinporten, Target: target, Resource: resources[i%2], AuthorizationDetails: details[i%3], SkipCache: (i+round)%11 == 0}
				var want string
				var made Token
				var err error
				switch i % 4 {
				case 0:
					var decoded any
					_ = json.Unmarshal(r.AuthorizationDetails, &decoded)
					var resource any
					if r.Resource != nil {
						resource = *r.Resource
					}
					want = "maskinporten|" + fmt.Sprint(target, resource, decoded)
					made, err = b.Machine(t.Context(), r)
				case 1:
					want = "entra_id|" + target + "|"
					made, err = b.Machine(t.Context(), Request{Provider: oidc.EntraID, Target: target, SkipCache: r.SkipCache})
				case 2:
					want = "entra_id|" + target + "|" + user
					made, err = b.Exchange(t.Context(), Request{Provider: oidc.EntraID, Target: target, UserToken: user, SkipCache: r.SkipCache})
				default:
					want = "tokenx|" + target + "|" + user
					made, err = b.Exchange(t.Context(), Request{Provider: oidc.TokenX, Target: target, UserToken: user, SkipCache: r.SkipCache})
				}
				if err != nil || made.Access.Raw() != fmt.Sprintf("%x", want) {
					t.Errorf("asked for %q, got %q: %v", want, made.Access.Raw(), err)
					return
				}
			}
		})
	}
	all.Wait()
}

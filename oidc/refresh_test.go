package oidc

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"testing"
	"time"

	"postern/config"
)

func canceled(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}

// signedIn is a world with somebody who logged in.
func signedIn(t testing.TB, options ...worldOption) (*world, Grant) {
	t.Helper()
	p := newIDP(t)
	p.claims = func(c map[string]any) {
		c["acr"], c["auth_time"], c["tid"], c["oid"] = loaSubstantial, 1_700_000_000, "t", "o"
	}
	w := newWorld(t, p, options...)
	g, err := w.login(AuthorizationRequest{})
	must(t, err)
	return w, g
}

func TestRefreshReplacesWhatTheProviderSendsAndKeepsTheRest(t *testing.T) {
	t.Parallel()
	w, old := signedIn(t)
	got, err := w.client.Refresh(t.Context(), old)
	must(t, err)
	if got.Tokens.Refresh == old.Tokens.Refresh || got.Tokens.ID == old.Tokens.ID || got.Tokens.Refresh.Empty() {
		t.Errorf("tokens were not replaced: %+v", got.Tokens)
	}
	if got.Identity.ACR() != loaSubstantial || got.Identity.Subject() != "sub-1" || got.Identity.SID() != "sid-1" {
		t.Errorf("%+v", got.Identity)
	}
	w.set(func() {
		w.answer = func(a map[string]any) { delete(a, "refresh_token"); delete(a, "id_token"); a["access_token"] = "new" }
	})
	again, err := w.client.Refresh(t.Context(), got)
	must(t, err)
	if again.Tokens.Refresh != got.Tokens.Refresh || again.Tokens.ID != got.Tokens.ID || again.Tokens.Access.Raw() != "new" {
		t.Errorf("what the provider left out was not kept: %+v", again.Tokens)
	}
	if again.Identity.ClaimsJSON() != got.Identity.ClaimsJSON() {
		t.Error("the claims changed")
	}
}

// OIDC Core §12.2, wonderwall.md 3.4 and appendix B 13; peers.md 49.
func TestAdvisoryLouketoImpersonationRefreshedTokenMustBelongToTheSamePerson(t *testing.T) {
	t.Parallel()
	now := time.Now().Unix()
	for name, tc := range map[string]struct {
		claims map[string]any
		reason string // empty: accepted
	}{
		"the same":                    {nil, ""},
		"another subject":             {map[string]any{"sub": "sub-2"}, "another sub"},
		"another tenant":              {map[string]any{"tid": "t2"}, "another tid"},
		"another object":              {map[string]any{"oid": "o2"}, "another oid"},
		"object no longer there":      {map[string]any{"oid": nil}, "another oid"},
		"another issuer":              {map[string]any{"iss": "https://other.example"}, "issuer"},
		"another client":              {map[string]any{"aud": "client-2"}, "not for this client"},
		"a further audience":          {map[string]any{"aud": []string{testClientID, "friend"}, "azp": testClientID}, "another audience"},
		"audience as a list":          {map[string]any{"aud": []string{testClientID}}, ""},
		"older than before":           {map[string]any{"iat": now - 600}, "older"},
		"another authentication":      {map[string]any{"auth_time": now}, "authentication"},
		"authentication not repeated": {map[string]any{"auth_time": nil}, ""},
		"a nonce of its own":          {map[string]any{"nonce": "x"}, "nonce"},
		"expired":                     {map[string]any{"exp": now - 100}, "expired"},
		"subject missing":             {map[string]any{"sub": nil}, "subject"},
		"at_hash wrong":               {map[string]any{"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"}, "at_hash"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, old := signedIn(t, withOpenID(func(c *config.OpenID) { c.Audiences = []string{"friend"} }))
			login := w.claims
			w.claims = func(c map[string]any) {
				login(c)
				for k, v := range tc.claims {
					c[k] = v
				}
			}
			got, err := w.client.Refresh(t.Context(), old)
			if tc.reason != "" {
				wantInvalid(t, err, tc.reason)
				return
			}
			must(t, err)
			if got.Identity.AuthTime() != 1_700_000_000 || got.Identity.SID() != "sid-1" {
				t.Errorf("auth_time %d, sid %q", got.Identity.AuthTime(), got.Identity.SID())
			}
		})
	}
}

func TestRefreshedIDTokenMustBeSigned(t *testing.T) {
	t.Parallel()
	w, old := signedIn(t)
	w.set(func() { w.key = &signingKey{alg: "RS256", kid: "k1", private: rsaTwoOnce()} }) // not published
	_, err := w.client.Refresh(t.Context(), old)
	wantInvalid(t, err, "signature")
}

func TestS18RefreshNeverRaisesTheLevel(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ at, refreshed, want any }{
		"the same":             {loaSubstantial, loaSubstantial, loaSubstantial},
		"higher":               {loaSubstantial, loaHigh, loaSubstantial},
		"lower":                {loaHigh, loaSubstantial, loaSubstantial},
		"not repeated":         {loaHigh, nil, loaHigh},
		"there was none":       {nil, loaHigh, ""},
		"of another scale":     {"urn:a", "urn:b", "urn:a"},
		"the old name of same": {"Level4", loaHigh, loaHigh},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, newIDP(t))
			w.claims = func(c map[string]any) { c["acr"] = tc.at }
			old, err := w.login(AuthorizationRequest{})
			must(t, err)
			w.claims = func(c map[string]any) { c["acr"], c["name"] = tc.refreshed, "Kari <Nordmann> & co" }
			got, err := w.client.Refresh(t.Context(), old)
			must(t, err)
			if got.Identity.ACR() != tc.want || got.Identity.Name() != "Kari <Nordmann> & co" {
				t.Errorf("level %q, name %q", got.Identity.ACR(), got.Identity.Name())
			}
			var claims map[string]any
			must(t, json.Unmarshal([]byte(got.Identity.ClaimsJSON()), &claims))
			if acr, _ := claims["acr"].(string); acr != tc.want {
				t.Errorf("the claims say %q", acr)
			}
		})
	}
}

// With the keys out of reach a rotated refresh token must not be lost: the old one is used up.
func TestRefreshWhileKeysAreOutOfReachKeepsTheNewTokens(t *testing.T) {
	t.Parallel()
	w, old := signedIn(t)
	w.setKey("k2", "RS256", rsaTwoOnce())
	w.down("/jwks", http.StatusBadGateway)
	login := w.claims
	w.set(func() { w.claims = func(c map[string]any) { login(c); c["name"] = "unverified" } })
	got, err := w.client.Refresh(t.Context(), old)
	must(t, err)
	if got.Tokens.Refresh == old.Tokens.Refresh || got.Tokens.ID != old.Tokens.ID || got.Identity.Name() != "Kari" {
		t.Errorf("%+v, name %q", got.Tokens, got.Identity.Name())
	}
	w.set(func() { w.claims = func(c map[string]any) { login(c); c["sub"] = "sub-2" } })
	_, err = w.client.Refresh(t.Context(), old)
	wantInvalid(t, err, "another sub")
}

func TestRefusedRefreshIsTheProvidersWord(t *testing.T) {
	t.Parallel()
	w, old := signedIn(t)
	old.Tokens.Refresh = NewToken("revoked-and-rather-secret")
	_, err := w.client.Refresh(t.Context(), old)
	r := (*RefusalError)(nil)
	if !errors.As(err, &r) || r.Code != "invalid_grant" || r.OurFault() {
		t.Errorf("got %v", err)
	}
	calls := w.count("/token")
	_, err = w.client.Refresh(t.Context(), Grant{Identity: old.Identity})
	wantInvalid(t, err, "no refresh token")
	_, err = w.client.Refresh(t.Context(), Grant{Tokens: old.Tokens})
	wantInvalid(t, err, "no refresh token")
	if w.count("/token") != calls {
		t.Error("the provider was asked without a refresh token")
	}
}

package oidc

import (
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"postern/config"
)

func TestS18AccessTokenOfASessionCountsOnlyIfItIsForThisClient(t *testing.T) {
	t.Parallel()
	now := time.Now().Unix()
	fromAccess, fromID := []string{"of-access"}, []string{"of-id"}
	for name, tc := range map[string]struct {
		claims map[string]any
		want   []string // groups
	}{
		"for the client":             {nil, fromAccess},
		"for the client's URI":       {map[string]any{"aud": "api://" + testClientID}, fromAccess},
		"for a named audience":       {map[string]any{"aud": []string{"other", "friend"}}, fromAccess},
		"for Graph":                  {map[string]any{"aud": "00000003-0000-0000-c000-000000000000"}, fromID},
		"for nobody":                 {map[string]any{"aud": nil}, fromID},
		"of another issuer":          {map[string]any{"iss": "https://other.example"}, fromID},
		"of no issuer":               {map[string]any{"iss": nil}, fromID},
		"expired":                    {map[string]any{"exp": now - 60}, fromID},
		"without an end":             {map[string]any{"exp": nil}, fromID},
		"not valid yet":              {map[string]any{"nbf": now + 60}, fromID},
		"of another person":          {map[string]any{"sub": "sub-2"}, fromID},
		"of nobody":                  {map[string]any{"sub": nil}, fromID},
		"with a twin of groups":      {map[string]any{"Groups": []string{"admin"}}, fromID},
		"with groups of no type":     {map[string]any{"groups": map[string]any{"x": 1}}, fromID},
		"that grants nothing":        {map[string]any{"groups": nil}, nil},
		"with one group as a string": {map[string]any{"groups": "of-access"}, fromAccess},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newIDP(t)
			p.claims = func(c map[string]any) {
				c["groups"], c["roles"], c["scp"] = fromID, []string{"role-of-id"}, "scope-of-id"
			}
			p.access = func() string {
				claims := map[string]any{
					"iss": testIssuer, "sub": "sub-1", "aud": testClientID, "exp": now + 600, "groups": fromAccess, "scp": "read write",
					"acr": "high", "name": "of-access", "NAVident": "Z999999",
				}
				maps.Copy(claims, tc.claims)
				maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
				return signJWT(t, p.key, "at+jwt", claims)
			}
			w := newWorld(t, p, withOpenID(func(c *config.OpenID) { c.Audiences = []string{"friend"} }))
			fetched := p.count("/jwks")
			g, err := w.login(AuthorizationRequest{})
			must(t, err)
			if diff := cmp.Diff(tc.want, g.Identity.Groups()); diff != "" {
				t.Error(diff)
			}
			counts := len(tc.want) == 0 || tc.want[0] == "of-access"
			if counts != (g.Identity.GrantedJSON() != "") {
				t.Errorf("granted %s", g.Identity.GrantedJSON())
			}
			scopes, roles := []string{"scope-of-id"}, 1
			if counts {
				scopes, roles = []string{"read", "write"}, 0
			}
			if diff := cmp.Diff(scopes, g.Identity.Scopes()); diff != "" || len(g.Identity.Roles()) != roles {
				t.Errorf("%s, roles %v", diff, g.Identity.Roles())
			}
			if g.Identity.Name() != "Kari" || g.Identity.ACR() != "" || strings.Contains(g.Identity.GrantedJSON(), "Z999999") {
				t.Error("more than groups, roles and scopes was taken from the access token")
			}
			if p.count("/jwks") != fetched {
				t.Error("it cost a fetch of keys")
			}
			back, err := RestoreIdentity(g.Identity.Provider(), g.Identity.ClaimsJSON(), g.Identity.GrantedJSON())
			must(t, err)
			if diff := cmp.Diff(g.Identity.Groups(), back.Groups()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestS18OpaqueOrForgedAccessTokenNeverFailsTheLogin(t *testing.T) {
	t.Parallel()
	now := time.Now().Unix()
	claims := map[string]any{"iss": testIssuer, "sub": "sub-1", "aud": testClientID, "exp": now + 600, "groups": []string{"admin"}}
	for name, access := range map[string]string{
		"opaque":            "opaque",
		"three parts":       "a.b.c",
		"forged":            signJWT(t, &signingKey{alg: "RS256", kid: "k1", private: rsaTwoOnce()}, "JWT", claims),
		"by an unknown key": signJWT(t, &signingKey{alg: "RS256", kid: "k9", private: rsaTwoOnce()}, "JWT", claims),
		"none":              b64(`{"alg":"none","kid":"k1"}`) + "." + b64(`{"iss":"`+testIssuer+`","aud":"`+testClientID+`","sub":"sub-1","exp":9999999999,"groups":["admin"]}`) + ".AA",
	} {
		w := newWorld(t, newIDP(t))
		w.access = func() string { return access }
		g, err := w.login(AuthorizationRequest{})
		if err != nil || len(g.Identity.Groups()) > 0 || g.Identity.GrantedJSON() != "" || g.Tokens.Access.Raw() != access {
			t.Errorf("%s: %v, %+v", name, err, g.Identity)
		}
	}
}

func TestS18IDPortenGrantsNothing(t *testing.T) {
	t.Parallel()
	p := newIDP(t)
	p.claims = func(c map[string]any) { c["acr"], c["pid"], c["groups"] = loaHigh, "01017012345", []string{"admin"} }
	p.access = func() string {
		return signJWT(t, p.key, "JWT", map[string]any{
			"iss": testIssuer, "sub": "sub-1", "aud": testClientID, "exp": time.Now().Unix() + 60, "groups": []string{"admin"}, "scope": "a",
		})
	}
	w := newWorld(t, p, withOpenID(func(c *config.OpenID) { c.Provider = "idporten" }))
	g, err := w.login(AuthorizationRequest{})
	must(t, err)
	if g.Identity.GrantedJSON() != "" || len(g.Identity.Groups()) > 0 || g.Identity.User() != "01017012345" {
		t.Errorf("%+v", g.Identity)
	}
}

func TestS18GrantsAreReadAnewAtEachRefresh(t *testing.T) {
	t.Parallel()
	p := newIDP(t)
	groups := []string{"staff", "admin"}
	p.claims = func(c map[string]any) { c["groups"] = []string{"as-old-as-the-login"} }
	p.access = func() string {
		return signJWT(t, p.key, "JWT", map[string]any{
			"iss": testIssuer, "sub": "sub-1", "aud": testClientID, "exp": time.Now().Unix() + 60, "groups": groups,
		})
	}
	w := newWorld(t, p)
	g, err := w.login(AuthorizationRequest{})
	must(t, err)
	p.set(func() { groups = []string{"staff"}; p.answer = func(a map[string]any) { delete(a, "id_token") } })
	g, err = w.client.Refresh(t.Context(), g)
	must(t, err)
	if diff := cmp.Diff([]string{"staff"}, g.Identity.Groups()); diff != "" {
		t.Error(diff)
	}
	// New keys that cannot be fetched are no reason to fall back to what was true at login.
	p.setKey("k2", "RS256", rsaTwoOnce())
	p.down("/jwks", http.StatusBadGateway)
	g, err = w.client.Refresh(t.Context(), g)
	must(t, err)
	if diff := cmp.Diff([]string{"staff"}, g.Identity.Groups()); diff != "" {
		t.Error(diff)
	}
}

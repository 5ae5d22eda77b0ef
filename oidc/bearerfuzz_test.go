package oidc

import (
	"context"
	"errors"
	"strings"
	"testing"
)

// No bytes make a panic, and none but a token that was signed here make an identity.
func FuzzVerify(f *testing.F) {
	signed := map[string]bool{}
	var accept []Acceptance
	for _, kind := range []string{"entra user", TokenX, Maskinporten} {
		i := newIssuance(f, kind)
		accept = append(accept, i.accept)
		for _, change := range []map[string]any{nil, {"exp": 1}, {"aud": []any{nil}}, {"consumer": "x"}, {"iss": 5}} {
			token := i.mint(change)
			signed[token] = true
			f.Add(token)
		}
	}
	for _, seed := range []string{"", "..", "a.b.c.d.e", b64(`{"alg":"none","kid":"k1"}`) + "." + b64(`{"iss":"`+testIssuer+`"}`) + ".AA", "{}"} {
		f.Add(seed)
	}
	v := newVerifier(f, accept...)
	done, cancel := context.WithCancel(context.Background())
	cancel() // nobody waits for a key that does not exist
	f.Fuzz(func(t *testing.T, raw string) {
		id, err := v.Verify(done, raw)
		if (id == nil) == (err == nil) {
			t.Fatalf("%v, %v", id, err)
		}
		if id != nil && !signed[raw] {
			t.Fatalf("an identity for %q", raw)
		}
		wantSafe(t, raw, err)
		_, err = v.Inspect(raw)
		wantSafe(t, raw, err)
	})
}

// FuzzClaims is for what a hostile issuer can sign: every reading must end in a caller of that provider, or in a reason that fits a header.
func FuzzClaims(f *testing.F) {
	var accept []Acceptance
	for _, kind := range []string{"entra user", "entra app", TokenX, Maskinporten, IDPorten, "partner"} {
		i := newIssuanceUnread(f, kind)
		f.Add(claimsJSON(f, i.claimsWith(nil)))
		accept = append(accept, i.accept)
	}
	f.Add(`{"iss":"x","aud":["a",null],"exp":1e400,"consumer":{"ID":"0192:123456789","id":1},"groups":[null,1],"_claim_names":[],"scp":{}}`)
	v := &Verifier{}
	for _, a := range accept { // each alone: some share an issuer
		v.accept = append(v.accept, newAcceptance(a))
	}
	f.Fuzz(func(t *testing.T, claims string) {
		jwt, err := parseForInspection("{" + strings.TrimPrefix(claims, "{"))
		if err != nil {
			wantSafe(t, claims, err)
			return
		}
		for _, a := range v.accept {
			caller, err := a.caller(jwt)
			wantSafe(t, claims, err)
			_, err = a.check(jwt, a.Provider.deps.Now())
			wantSafe(t, claims, err)
			if caller.Provider != a.Name || caller.Session || caller.Kind == App && caller.User != "" {
				t.Errorf("%+v", caller)
			}
			if caller.App != "" && a.Name != EntraID && a.Name != TokenX {
				t.Errorf("%s: app %q", a.Name, caller.App)
			}
			if org := caller.Organization; org != "" && (len(org) != 9 || strings.Trim(org, "0123456789") != "" || a.Name != Maskinporten) {
				t.Errorf("organization %q", org)
			}
			if a.Name != TokenX && a.Name != EntraID && caller.Client != "" && !strings.HasPrefix(caller.Client, a.Name+"/") {
				t.Errorf("client %q", caller.Client)
			}
		}
	})
}

func wantSafe(t *testing.T, raw string, err error) {
	t.Helper()
	if err == nil {
		return
	}
	e := (*InvalidTokenError)(nil)
	if !errors.As(err, &e) {
		if trouble := (*TroubleError)(nil); !errors.As(err, &trouble) {
			t.Fatalf("an error of no class: %v", err)
		}
		return
	}
	if !fitForQuotedString(e.Reason) || len(raw) > 60 && strings.Contains(e.Error(), raw) {
		t.Errorf("%q", e.Reason)
	}
}

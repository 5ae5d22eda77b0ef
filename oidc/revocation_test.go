package oidc

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
)

// revoker is a provider that takes revocations, and what it was asked.
func revoker(t *testing.T, answer func(w http.ResponseWriter)) (w *world, asked func() []url.Values) {
	t.Helper()
	p := newIDP(t)
	p.metadata["revocation_endpoint"] = testIssuer + "/revoke"
	var mu sync.Mutex
	var forms []url.Values
	p.intercept = func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != "/revoke" {
			return false
		}
		must(t, r.ParseForm())
		if err := p.checkClient(r); err != nil {
			refuse(w, http.StatusUnauthorized, "invalid_client", err.Error())
			return true
		}
		mu.Lock()
		defer mu.Unlock()
		forms = append(forms, r.PostForm)
		answer(w)
		return true
	}
	return newWorld(t, p), func() []url.Values {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(forms)
	}
}

// S-56, RFC 7009 §2.1: the refresh token, else the access token, once, with the client's own credential.
func TestS56TokensOfASessionAreRevoked(t *testing.T) {
	t.Parallel()
	access, refresh := NewToken("access-1"), NewToken("refresh-1")
	for name, tc := range map[string]struct {
		tokens Tokens
		want   url.Values
	}{
		"both":    {Tokens{Access: access, Refresh: refresh}, url.Values{"token": {"refresh-1"}, "token_type_hint": {"refresh_token"}}},
		"access":  {Tokens{Access: access}, url.Values{"token": {"access-1"}, "token_type_hint": {"access_token"}}},
		"neither": {Tokens{ID: NewToken("id")}, nil},
	} {
		w, asked := revoker(t, func(w http.ResponseWriter) { w.WriteHeader(http.StatusOK) }) // with nothing in it (RFC 7009 §2.2)
		must(t, w.client.Revoke(t.Context(), tc.tokens))
		forms := asked()
		if tc.want == nil {
			if len(forms) != 0 {
				t.Errorf("%s: asked %v", name, sortedKeys(forms[0]))
			}
			continue
		}
		if len(forms) != 1 || forms[0].Get("token") != tc.want.Get("token") || forms[0].Get("token_type_hint") != tc.want.Get("token_type_hint") {
			t.Errorf("%s: asked %d times", name, len(forms))
		}
	}
}

func TestS56ProviderWithoutRevocationIsNotAsked(t *testing.T) {
	t.Parallel()
	p := newIDP(t)
	w := newWorld(t, p)
	must(t, w.client.Revoke(t.Context(), Tokens{Refresh: NewToken("refresh-1")}))
	if n := p.count("/revoke") + p.count("/token"); n != 0 {
		t.Errorf("%d calls", n)
	}
}

// RFC 8414 §2: the endpoint may take the client's credential in another way than the token endpoint.
func TestRevocationEndpointHasItsOwnWaysOfAuthentication(t *testing.T) {
	t.Parallel()
	w, asked := revoker(t, func(http.ResponseWriter) {})
	w.set(func() {
		w.metadata["token_endpoint_auth_methods_supported"] = []string{"client_secret_post"}
		w.metadata["revocation_endpoint_auth_methods_supported"] = []string{"client_secret_basic"}
		w.authMethod = "client_secret_basic"
	})
	must(t, w.provider.refresh(t.Context()))
	must(t, w.client.Revoke(t.Context(), Tokens{Refresh: NewToken("refresh-1")}))
	if len(asked()) != 1 {
		t.Error("not asked")
	}
}

func TestRevocationIsSentOnceAndItsTroubleQuotesNoToken(t *testing.T) {
	t.Parallel()
	for status, isTrouble := range map[int]bool{http.StatusServiceUnavailable: true, http.StatusFound: true, http.StatusBadRequest: false} {
		w, asked := revoker(t, func(w http.ResponseWriter) {
			w.Header().Set("Location", "https://evil.example/")
			refuse(w, status, "unsupported_token_type", "cannot revoke refresh-secret-1")
		})
		err := w.client.Revoke(t.Context(), Tokens{Refresh: NewToken("refresh-secret-1")})
		if err == nil || strings.Contains(err.Error(), "refresh-secret-1") {
			t.Errorf("%d: %v", status, err)
		}
		if _, ok := err.(*TroubleError); ok != isTrouble { //nolint:errorlint // it is never wrapped
			t.Errorf("%d: %T", status, err)
		}
		if n := len(asked()); n != 1 {
			t.Errorf("%d: sent %d times", status, n)
		}
	}
}

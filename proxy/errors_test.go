package proxy

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"postern/oidc"
	"postern/proxy/pages"
	"postern/session"
)

// Trouble of the infrastructure is 503 with Retry-After, whatever it is wrapped in, and never "not signed in" (advisories of row 68).
func TestTroubleIsNeverUnauthorized(t *testing.T) {
	t.Parallel()
	store := &session.StoreError{Op: "read session", Err: errors.New("refused")}
	for name, test := range map[string]struct {
		err    error
		status int
		code   string
	}{
		"store":                              {store, 503, "store_unavailable"},
		"store, joined":                      {errors.Join(session.ErrNoSession, store), 503, "store_unavailable"},
		"provider":                           {&oidc.TroubleError{Provider: "p", Op: "o", Err: errors.New("refused")}, 503, "provider_unavailable"},
		"provider at start":                  {&oidc.TroubleError{Provider: "p", Op: "o", Err: oidc.ErrNotReady}, 503, "starting"},
		"anything else":                      {errors.New("x"), 500, "internal_error"},
		"store, at a logout of the provider": {forProgram(store), 503, "store_unavailable"},
	} {
		if f := classify(test.err); f.status != test.status || f.code != test.code || test.status == 503 && f.retryAfter == 0 {
			t.Errorf("%s: %d %s, again after %s", name, f.status, f.code, f.retryAfter)
		}
	}
	if f := classify(&oidc.TroubleError{RetryAfter: 7 * time.Second, Err: errors.New("x")}); f.retryAfter != 7*time.Second {
		t.Errorf("the provider's Retry-After became %s", f.retryAfter)
	}
}

// A client that has left gets no answer at all: net/http would say 200 for a handler that returns without one.
func TestNoAnswerForAClientThatLeft(t *testing.T) {
	t.Parallel()
	d := newDoor(t, "127.0.0.1:1")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	w := httptest.NewRecorder()
	defer func() {
		if got := recover(); got != http.ErrAbortHandler { //nolint:errorlint // a panic's value, not an error
			t.Errorf("panicked with %v, want http.ErrAbortHandler", got)
		}
		if w.Body.Len() != 0 || w.Flushed {
			t.Error("something was written")
		}
	}()
	d.ServeHTTP(w, benchRequest("").WithContext(ctx))
}

// S-33: a login that a logout overtook is no fault of anybody, and a logout token that is not acceptable says nothing about a caller.
func TestS33LogoutsAreToldApart(t *testing.T) {
	t.Parallel()
	if f := loginRefusal(fmt.Errorf("create session: %w", session.ErrOvertaken)); f.status != 401 || f.code != "logged_out_meanwhile" || f.page != pages.LoginOvertaken {
		t.Errorf("overtaken: %d %s, page %s", f.status, f.code, f.page)
	}
	f := classify(forProgram(&oidc.InvalidTokenError{Reason: "it has a nonce"}))
	if f.status != 400 || f.code != "invalid_request" || !f.noPage || !strings.Contains(f.description, "it has a nonce") {
		t.Errorf("not acceptable: %d %s %q", f.status, f.code, f.description)
	}
}

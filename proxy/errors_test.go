package proxy

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"postern/oidc"
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
		"store":             {store, 503, "store_unavailable"},
		"store, joined":     {errors.Join(session.ErrNoSession, store), 503, "store_unavailable"},
		"provider":          {&oidc.TroubleError{Provider: "p", Op: "o", Err: errors.New("refused")}, 503, "provider_unavailable"},
		"provider at start": {&oidc.TroubleError{Provider: "p", Op: "o", Err: oidc.ErrNotReady}, 503, "starting"},
		"anything else":     {errors.New("x"), 500, "internal_error"},
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

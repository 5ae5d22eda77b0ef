package tokenapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"postern/obo"
	"postern/obo/guard"
	"postern/oidc"
)

const (
	tokenBody    = `{"identity_provider":"entra_id","target":"a"}`
	exchangeBody = `{"identity_provider":"entra_id","target":"a","user_token":"u"}`
	lookBody     = `{"identity_provider":"entra_id","token":"u"}`
)

// errorOf drives the API into each class of broker error.
var errorOf = map[string]error{
	"not enabled":   &obo.UnsupportedError{Provider: "entra_id", Why: "is not enabled"},
	"no token":      &obo.UnsupportedError{Provider: "entra_id", Why: "does not support token requests"},
	"no exchange":   &obo.UnsupportedError{Provider: "entra_id", Why: "does not support token exchange"},
	"ended":         &oidc.InvalidTokenError{Reason: "its session has been ended by a logout"},
	"refused":       &oidc.RefusalError{Provider: "entra_id", Op: "get token", Status: 400, Code: "invalid_grant", Words: "AADSTS0: \"no\" <b>", Description: "cleaned", Suberror: "bad_token", ErrorCodes: json.RawMessage(`[0]`), CorrelationID: "c", Claims: `{"x":1}`},
	"refused 401":   &oidc.RefusalError{Provider: "entra_id", Status: 401, Code: "invalid_client", Words: "who?"},
	"refused other": &oidc.RefusalError{Provider: "entra_id", Status: 422, Code: "teapot", Words: "no"},
	"no credential": &oidc.TroubleError{Provider: "entra_id", Err: oidc.ErrCredential},
	"malformed":     &oidc.TroubleError{Provider: "entra_id", Malformed: true, Err: errors.New("nonsense")},
	"unreachable":   &oidc.TroubleError{Provider: "entra_id", Err: errors.New("refused"), RetryAfter: 1500 * time.Millisecond},
	"timeout":       &oidc.TroubleError{Provider: "entra_id", Err: context.DeadlineExceeded},
	"its own words": &oidc.TroubleError{Provider: "entra_id", Status: 503, Err: errors.New("answer 503"), Answer: &oidc.RefusalError{Status: 503, Code: "temporarily_unavailable", Words: "later"}},
	"whatever":      errors.New("disk on fire"),
}

// tokens.md 1.5, as far as the broker's errors go: obo.Explain decides, and nothing is lost on the way out.
func TestErrorsOfTheBroker(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		status      int
		code        string
		description string // begins so
		retryAfter  string
	}{
		"not enabled":   {400, "invalid_request", "identity provider 'entra_id' is not enabled", ""},
		"no token":      {400, "invalid_request", "identity provider 'entra_id' does not support token requests", ""},
		"no exchange":   {400, "invalid_request", "identity provider 'entra_id' does not support token exchange", ""},
		"ended":         {401, "invalid_token", "The user token is not accepted", ""},
		"refused":       {400, "invalid_grant", `AADSTS0: "no" <b>`, ""},
		"refused 401":   {401, "invalid_client", "who?", ""},
		"refused other": {422, "teapot", "no", ""},
		"no credential": {500, "server_error", "Failed to sign assertion", ""},
		"malformed":     {502, "server_error", "identity provider 'entra_id' gave an answer", ""},
		"unreachable":   {503, "server_error", "identity provider 'entra_id' cannot be reached", "2"},
		"timeout":       {504, "server_error", "identity provider 'entra_id' did not answer in time", ""},
		"its own words": {503, "temporarily_unavailable", "later", "1"},
		"whatever":      {500, "server_error", "Something went wrong", ""},
	} {
		for path, body := range map[string]string{pathToken: tokenBody, pathExchange: exchangeBody} {
			w := newWorld(t, fails(fmt.Errorf("wrapped: %w", errorOf[name])))
			rec := w.json(path, body)
			said := w.said(rec, tc.status)
			description, _ := said["error_description"].(string)
			if said["error"] != tc.code || !strings.HasPrefix(description, tc.description) || rec.Header().Get("Retry-After") != tc.retryAfter {
				t.Errorf("%s: %s %v", name, rec.Body, rec.Header())
			}
			if challenge := rec.Header().Get("Www-Authenticate"); (challenge != "") != (tc.status == 401) || tc.status == 401 && challenge != `Bearer error="`+tc.code+`"` {
				t.Errorf("%s: WWW-Authenticate %q", name, challenge)
			}
		}
	}
}

func TestWhatTheProviderAddsToAnErrorIsPassedOn(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fails(errorOf["refused"]))
	said := w.said(w.json(pathToken, tokenBody), http.StatusBadRequest)
	want := map[string]any{
		"error": "invalid_grant", "error_description": `AADSTS0: "no" <b>`, "suberror": "bad_token", "error_codes": []any{0.0}, "correlation_id": "c", "claims": `{"x":1}`,
	}
	delete(said, "hint")
	if diff := cmp.Diff(want, said); diff != "" {
		t.Error(diff)
	}
	w = newWorld(t, fails(&oidc.RefusalError{Status: 400, Code: "x", ErrorCodes: json.RawMessage(`[`)}))
	w.wantError(w.json(pathToken, tokenBody), http.StatusInternalServerError, "server_error", "the error cannot be written down")
}

// tokens.md 1.5, last rows, and S-34: whatever is the matter with the keys, it is no verdict on the token.
func TestIntrospectionTroubleIs503(t *testing.T) {
	t.Parallel()
	for retryAfter, err := range map[string]error{
		"30": &oidc.TroubleError{Provider: "entra_id", Op: "look for key", RetryAfter: 29100 * time.Millisecond, Err: context.DeadlineExceeded},
		"1":  &oidc.TroubleError{Provider: "entra_id", Op: "read keys", Malformed: true, Err: errors.New("x")},
	} {
		w := newWorld(t, func(_ *Config, d *Deps) {
			d.Introspector = introspector(func(string, string) (oidc.Introspection, error) { return oidc.Introspection{}, err })
		})
		rec := w.json(pathIntrospect, lookBody)
		w.wantError(rec, http.StatusServiceUnavailable, "server_error", "the keys of identity provider 'entra_id' cannot be had right now, so the token cannot be judged")
		if rec.Header().Get("Retry-After") != retryAfter {
			t.Errorf("Retry-After %q", rec.Header().Get("Retry-After"))
		}
	}
}

// tokens.md 1.1.
func TestOtherMethodsAndPathsAreEmpty(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, path := range []string{pathToken, pathExchange, pathIntrospect, openAPIPath} {
		allow := "POST"
		if path == openAPIPath {
			allow = "GET, HEAD"
		}
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "post", "FOO"} {
			if strings.Contains(allow, method) {
				continue
			}
			rec := w.do(method, path, contentJSON, tokenBody)
			if rec.Code != http.StatusMethodNotAllowed || rec.Body.Len() > 0 || rec.Header().Get("Allow") != allow {
				t.Errorf("%s %s: %d %q %v", method, path, rec.Code, rec.Body, rec.Header())
			}
		}
	}
	for _, path := range []string{"/", "/api/v1/token/", "/api/v1/Token", "/api/v1//token", "/api/v1/%74oken", "/api/v1/token%2Fexchange", "/api/v1/tokens", "/swagger-ui", "/healthz", "/openapi.json/"} {
		for _, method := range []string{"GET", "POST"} {
			if rec := w.do(method, path, contentJSON, tokenBody); rec.Code != http.StatusNotFound || rec.Body.Len() > 0 {
				t.Errorf("%s %s: %d %q", method, path, rec.Code, rec.Body)
			}
		}
	}
	w.said(w.json(pathToken+"?target=b", tokenBody), http.StatusOK)
	if got := w.broker.last().Target; got != "a" {
		t.Errorf("the query counted: %q", got)
	}
}

func TestS22TheGuardComesFirst(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		change func(*http.Request)
		status int
		code   string
	}{
		"another machine": {func(r *http.Request) { r.RemoteAddr = "10.0.0.1:1" }, 403, "access_denied"},
		"another host":    {func(r *http.Request) { r.Host = "evil.example" }, 403, "access_denied"},
		"Origin null":     {func(r *http.Request) { r.Header.Set("Origin", "null") }, 403, "access_denied"},
		"no secret":       {func(r *http.Request) { r.Header.Del("Authorization") }, 401, "invalid_client"},
		"a wrong secret":  {func(r *http.Request) { r.Header.Set("Authorization", "Bearer x") }, 401, "invalid_client"},
		"the secret":      {func(*http.Request) {}, 200, ""},
		"Node.js":         {func(r *http.Request) { r.Header.Set("Sec-Fetch-Mode", "cors") }, 200, ""},
	} {
		for path, body := range map[string]string{pathToken: tokenBody, pathExchange: exchangeBody, pathIntrospect: lookBody, openAPIPath: "", "/other": ""} {
			w := newWorld(t, func(_ *Config, d *Deps) { d.Guard = guard.New(guard.Config{Secret: func() string { return "s3cret" }}) })
			method := http.MethodPost
			if path == openAPIPath {
				method = http.MethodGet
			}
			rec := w.do(method, path, contentJSON, body, func(r *http.Request) { r.Header.Set("Authorization", "Bearer s3cret") }, tc.change)
			if tc.status == 200 {
				if rec.Code != 200 && path != "/other" {
					t.Errorf("%s %s: %d %s", name, path, rec.Code, rec.Body)
				}
				continue
			}
			if said := w.said(rec, tc.status); said["error"] != tc.code || len(said) != 2 {
				t.Errorf("%s %s: %s", name, path, rec.Body)
			}
			if rec.Header().Get("Www-Authenticate") != map[int]string{401: "Bearer"}[tc.status] {
				t.Errorf("%s: %v", name, rec.Header())
			}
			if w.broker.last().Provider != "" || strings.Contains(w.logged.String(), "s3cret") {
				t.Errorf("%s %s: the broker was asked, or the secret logged", name, path)
			}
		}
	}
	w := newWorld(t) // without a guard of one's own, this machine only
	w.said(w.json(pathToken, tokenBody, func(r *http.Request) { r.RemoteAddr = "10.0.0.1:1" }), http.StatusForbidden)
}

package egress

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"postern/obo"
	"postern/obo/guard"
	"postern/oidc"
	"postern/proxy/forward"
)

// failure is an error that knows its answer. Every refusal of the egress is one, and (*Handler).answer is the one place where it becomes
// bytes. Its reason is stable and one of a closed set: it labels a metric.
type failure struct {
	status     int
	reason     string
	body       obo.ErrorBody
	challenge  string // WWW-Authenticate, or ""
	retryAfter time.Duration
	err        error // the cause, for the log only
}

func (f *failure) Error() string {
	if f.err == nil {
		return f.reason
	}
	return f.reason + ": " + f.err.Error()
}

func (f *failure) Unwrap() error { return f.err }

func fail(status int, code, description string) *failure {
	return &failure{status: status, reason: code, body: obo.ErrorBody{Code: code, Description: description}}
}

func refusedByGuard(no *guard.Refusal) *failure {
	f := fail(no.Status, no.Code, no.Description)
	f.reason, f.challenge = "guard_"+no.Reason, no.Challenge
	return f
}

// notVerified is the answer to a token that nobody vouches for: 401 if it is the token's fault, 503 if nobody can know.
func notVerified(err error) *failure {
	if invalid, ok := errors.AsType[*oidc.InvalidTokenError](err); ok {
		return invalidToken("The user token is not accepted: "+invalid.Reason+".", err)
	}
	return trouble(err)
}

// noToken is the answer while there is no token for the target. A provider's refusal is passed on as 403, whatever status it had at the
// provider: 401 is for the app's own call, and for a user token that has ended.
func noToken(err error) *failure {
	if invalid, ok := errors.AsType[*oidc.InvalidTokenError](err); ok {
		return invalidToken("The user token is not accepted: "+invalid.Reason+".", err)
	}
	if why := obo.Explain(err); why.Refused {
		return &failure{status: http.StatusForbidden, reason: "token_refused", body: why.Body, err: err}
	}
	return trouble(err)
}

// trouble says in the token API's words what is wrong with the provider. It says nothing about the call, so it is 503 whatever it is.
func trouble(err error) *failure {
	if _, ok := errors.AsType[*oidc.TroubleError](err); !ok && !errors.Is(err, context.DeadlineExceeded) {
		return classify(err)
	}
	why := obo.Explain(err)
	return &failure{
		status: http.StatusServiceUnavailable, reason: "provider_unavailable", body: why.Body, retryAfter: max(why.RetryAfter, time.Second), err: err,
	}
}

// classify finds the answer to an error of another room.
func classify(err error) *failure {
	if f, ok := errors.AsType[*failure](err); ok {
		return f
	}
	if errors.Is(err, context.Canceled) {
		return &failure{status: forward.StatusClientGone, reason: "client_gone", err: err}
	}
	f := fail(http.StatusInternalServerError, "server_error", "Something went wrong in Postern; its log says what.")
	f.err = err
	return f
}

// targetFailed answers for a target that did not.
func (h *Handler) targetFailed(w http.ResponseWriter, r *http.Request, err forward.Error) {
	var f *failure
	switch err.Status {
	case http.StatusGatewayTimeout:
		f = fail(err.Status, "target_timeout", "The target did not answer in time (timeout of the route).")
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge:
		f = fail(err.Status, "invalid_body", "The body of the call is malformed or too long.")
	default:
		f = fail(err.Status, "target_unreachable", "The target does not answer.")
	}
	f.err = err
	h.answer(w.(*visit), r, f)
}

// answer writes a failure in the form of the token API's errors.
func (h *Handler) answer(v *visit, r *http.Request, f *failure) {
	v.reason, v.err = f.reason, f.err
	if v.Wrote {
		panic(http.ErrAbortHandler) // the head is on its way: cutting the connection is all that is left to say
	}
	leaving := forward.Leaving(r.Context())
	if leaving && f.status == forward.StatusClientGone {
		f = &failure{
			status: http.StatusServiceUnavailable, reason: "shutting_down", retryAfter: time.Second, err: f.err,
			body: obo.ErrorBody{Code: "shutting_down", Description: "The call took longer than Postern had left. Try again in a moment."},
		}
		v.reason = f.reason
	}
	if !leaving && (f.status == forward.StatusClientGone || r.Context().Err() != nil) {
		v.Status, v.reason = forward.StatusClientGone, "client_gone"
		panic(http.ErrAbortHandler) // returning would make net/http say 200 to whoever still listens
	}
	h.recordRefusal(v, r, f)
	body, err := f.body.Encode()
	if err != nil { // a list of codes that a provider made up
		f.body.ErrorCodes = nil
		body, _ = f.body.Encode()
	}
	header := v.Header()
	header["Content-Type"] = []string{"application/json"}
	header["Cache-Control"] = []string{"no-store"}
	header[headerRequestID] = []string{v.id}
	if f.challenge != "" {
		header["Www-Authenticate"] = []string{f.challenge}
	}
	if f.retryAfter > 0 {
		header["Retry-After"] = []string{strconv.Itoa(int((f.retryAfter + time.Second - 1) / time.Second))} // rounded up, so that "soon" is never 0
	}
	v.WriteHeader(f.status)
	_, _ = v.Write(body) // the app may be gone; nothing to do about it
}

package proxy

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"postern/oidc"
	"postern/oidc/correlation"
	"postern/proxy/forward"
	"postern/proxy/pages"
	"postern/session"
)

// failure is an error that knows its answer. Every refusal of the front door is one, and (*Handler).answer is the one place where it
// becomes bytes. Code and reason are stable.
type failure struct {
	status      int
	code        string // "error" of a JSON body
	reason      string // of the log line, if it is more exact than code
	description string // what is wrong and what to do, for the caller; never a byte of the request
	page        pages.Kind
	primary     *pages.Link
	secondary   *pages.Link
	form        *pages.Form
	retryAfter  time.Duration
	header      http.Header // further headers of the answer, or nil
	redirect    string      // a Location to go to instead of an answer with a body, or ""
	noPage      bool        // no person reads it, whatever the caller says that it accepts
	body        string      // replaces the JSON body where an older contract fixed it, or ""
	err         error       // the cause, for the log only
}

func (f *failure) Error() string {
	if f.err == nil {
		return f.code
	}
	return f.code + ": " + f.err.Error()
}

func (f *failure) Unwrap() error { return f.err }

// storeRetry and providerRetry are what Retry-After suggests when nobody knows better.
const (
	storeRetry    = 2 * time.Second
	providerRetry = 5 * time.Second
)

func badRequest(code, description string) *failure {
	return &failure{status: http.StatusBadRequest, code: code, description: description, page: pages.BadRequest}
}

func storeTrouble(err error) *failure {
	return &failure{
		status: http.StatusServiceUnavailable, code: "store_unavailable", page: pages.StoreTrouble, retryAfter: storeRetry,
		description: "Sessions cannot be read right now. Nobody has been signed out; try again in a moment.", err: err,
	}
}

func providerTrouble(err error) *failure {
	f := &failure{
		status: http.StatusServiceUnavailable, code: "provider_unavailable", page: pages.ProviderTrouble, retryAfter: providerRetry,
		description: "The login service cannot be reached right now. Try again in a moment.", err: err,
	}
	if errors.Is(err, oidc.ErrNotReady) {
		f.code, f.page = "starting", pages.Starting
		f.description = "The login service has not been reached yet. Try again in a moment."
	}
	if trouble, ok := errors.AsType[*oidc.TroubleError](err); ok && trouble.RetryAfter > 0 {
		f.retryAfter = trouble.RetryAfter
	}
	return f
}

// errTwoCookies refuses a request with two values under one own name (S-23).
func errTwoCookies() *failure {
	f := badRequest("conflicting_cookies", "Two different cookies of one name were sent; neither is believed.")
	f.page = pages.TwoSessions
	return f
}

// errShutdown is for those whose request would have taken longer than the process is there. Another one answers them.
func errShutdown(err error) *failure {
	return &failure{
		status: http.StatusServiceUnavailable, code: "shutting_down", page: pages.AppTimeout, retryAfter: time.Second, err: err,
		description: "The request took longer than this process had left. Try again in a moment.",
	}
}

// noSession says whether an error of the session room means "nobody", rather than trouble.
func noSession(err error) bool {
	return errors.Is(err, session.ErrNoSession) || errors.Is(err, session.ErrEnded) || errors.Is(err, session.ErrInactive)
}

func errCrossSite() *failure {
	return &failure{
		status: http.StatusForbidden, code: "cross_site_request", page: pages.CrossSite,
		description: "This request comes from another site, and the session cookie does not count for it.",
	}
}

func errMethod(allowed string) *failure {
	return &failure{
		status: http.StatusMethodNotAllowed, code: "method_not_allowed", page: pages.MethodNotAllowed,
		description: "The method is not allowed here.", header: http.Header{"Allow": {allowed}},
	}
}

// classify finds the answer to an error of another room. Trouble of the infrastructure is told apart first: it can never come out as
// "not signed in".
func classify(err error) *failure {
	if f, ok := errors.AsType[*failure](err); ok {
		return f
	}
	if _, ok := errors.AsType[*session.StoreError](err); ok {
		return storeTrouble(err)
	}
	if _, ok := errors.AsType[*oidc.TroubleError](err); ok {
		return providerTrouble(err)
	}
	if errors.Is(err, context.Canceled) {
		return &failure{status: forward.StatusClientGone, code: "client_gone", page: pages.Internal, err: err}
	}
	return &failure{
		status: http.StatusInternalServerError, code: "internal_error", page: pages.Internal,
		description: "Something went wrong here.", err: err,
	}
}

// answer writes a failure: a page to a browser that navigates, JSON to a program.
func (h *Handler) answer(v *visit, r *http.Request, f *failure) {
	v.reason, v.err = cmp.Or(f.reason, f.code), f.err
	if v.Wrote {
		panic(http.ErrAbortHandler) // the head is on its way: cutting the connection is all that is left to say
	}
	leaving := forward.Leaving(r.Context())
	if leaving && f.status == forward.StatusClientGone {
		f = errShutdown(f.err)
		v.reason = f.code
	}
	// net/http takes a client that sends nothing of its body (408) for one that is gone.
	if !leaving && (f.status == forward.StatusClientGone || r.Context().Err() != nil && f.status != http.StatusRequestTimeout) {
		v.Status, v.reason = forward.StatusClientGone, "client_gone"
		panic(http.ErrAbortHandler) // returning would make net/http say 200 to whoever still listens
	}
	h.recordRefusal(v, r, f)
	header := v.Header()
	for name, values := range f.header {
		header[name] = values
	}
	if f.status == http.StatusUnauthorized && header.Get("Www-Authenticate") == "" { // RFC 9110 §15.5.2
		header.Set("Www-Authenticate", h.challenge)
	}
	if header.Get("Cache-Control") == "" {
		header.Set("Cache-Control", "no-store")
	}
	header.Set(correlation.HeaderRequestID, v.id)
	if f.retryAfter > 0 {
		header.Set("Retry-After", strconv.Itoa(seconds(f.retryAfter)))
	}
	switch {
	case f.redirect != "":
		redirect(v, f.redirect)
	case wantsPage(r) && !f.noPage:
		primary, secondary := h.waysOn(r, f)
		h.pages().HTML(v, r, pages.Page{
			Kind: f.page, Status: f.status, RequestID: v.id,
			Primary: primary, Secondary: secondary, Form: f.form, RetryAfter: seconds(f.retryAfter),
		})
	case f.body != "":
		header.Set("Content-Type", "application/json")
		v.WriteHeader(f.status)
		_, _ = v.Write([]byte(f.body)) // the client may be gone; nothing to do about it
	default:
		h.pages().JSON(v, f.status, f.code, f.description, v.id, seconds(f.retryAfter))
	}
}

// waysOn are the links of a page: what the failure says, else "try again" (this very address) and the front page.
func (h *Handler) waysOn(r *http.Request, f *failure) (primary, secondary *pages.Link) {
	front := h.targets.home(h.ingresses.match(r.Host, h.forwardedHost(r), forward.RawPath(r)))
	primary, secondary = f.primary, f.secondary
	if primary == nil {
		switch f.page {
		case pages.BadRequest, pages.CrossSite, pages.NotFound, pages.MethodNotAllowed: // the same again would fail again
			return &pages.Link{Href: front}, secondary
		default:
			primary = &pages.Link{}
		}
	}
	if secondary == nil {
		secondary = &pages.Link{Href: front}
	}
	return primary, secondary
}

// seconds rounds up, so that "soon" is never 0.
func seconds(d time.Duration) int { return int((d + time.Second - 1) / time.Second) }

package proxy

import (
	"errors"
	"net/http"
	"net/url"
	"time"

	"postern/oidc"
	"postern/proxy/pages"
	"postern/session"
)

// login starts an authorization code flow: GET /oauth2/login (wonderwall's parameters: redirect, level, locale, prompt, domain_hint).
func (h *Handler) login(v *visit, r *http.Request) error {
	if err := mustNavigate(r); err != nil {
		return err
	}
	in, err := h.ingressOf(r)
	if err != nil {
		return err
	}
	query := r.URL.Query()
	target := h.targets.allowed(query.Get("redirect"), in, h.targets.home(in))
	prompt := query.Get("prompt")
	if err := h.breakLoop(v, r, in, target); err != nil {
		return err
	}
	if err := h.throttle(); err != nil {
		return err
	}
	return h.startLogin(v, r, in, loginRequest{
		AuthorizationRequest: oidc.AuthorizationRequest{
			Level: query.Get("level"), Locale: query.Get("locale"), Prompt: prompt, DomainHint: query.Get("domain_hint"),
		},
		target: target,
	})
}

// loginRequest is what one login asks for.
type loginRequest struct {
	oidc.AuthorizationRequest
	target string
	again  bool // a lost login started anew, once
}

func (h *Handler) startLogin(v *visit, r *http.Request, in *ingress, want loginRequest) error {
	want.RedirectURI = in.url(ownPrefix + pathCallback)
	want.State = newState(h.ring, want.again)
	want.Claims = h.claimsWanted(r, in)
	started, location, err := h.client.Authorize(r.Context(), want.AuthorizationRequest)
	if err != nil {
		return h.loginFailure(in, want.target, err)
	}
	err = h.savePending(v, r, in, pending{PendingLogin: started, Target: want.target, Prompted: want.Prompt != ""})
	if err != nil {
		return err
	}
	redirect(v, location)
	return nil
}

// claimsWanted is the claims challenge of a provider that ended this browser's session, for the next login to answer (S-30); "" if there is
// none.
func (h *Handler) claimsWanted(r *http.Request, in *ingress) string {
	const longest = 2 << 10 // it goes into a URL
	value, err := ownCookie(r, in.cookies.session)
	if err != nil || value == "" {
		return ""
	}
	_, err = h.sessions.Get(r.Context(), value)
	if ended, ok := errors.AsType[*session.EndedError](err); ok && len(ended.Claims) <= longest {
		return ended.Claims
	}
	return ""
}

// throttle bounds what strangers can make us do at the provider (S-28).
func (h *Handler) throttle() error {
	if h.logins.AllowN(h.now(), 1) {
		return nil
	}
	return &failure{
		status: http.StatusTooManyRequests, code: "too_many_logins", page: pages.TooManyLogins, retryAfter: time.Second,
		description: "Too many logins are being started at once. Try again in a moment.",
	}
}

// loginFailure adds the way on to what went wrong on a login: start it again, with another account if this one was refused.
func (h *Handler) loginFailure(in *ingress, target string, err error) error {
	f := loginRefusal(err)
	f.primary = &pages.Link{Href: loginURL(in, target)}
	if f.page == pages.LoginDenied {
		f.primary.Href += "&prompt=select_account"
	}
	h.metrics.logins.WithLabelValues(f.code).Inc()
	return f
}

// mustNavigate refuses what is not a top-level navigation on an endpoint that answers with a login page somewhere else: a script cannot
// follow it, and the error that it would see says nothing.
func mustNavigate(r *http.Request) error {
	if !fetchMetadataForbids(r) {
		return nil
	}
	return &failure{
		status: http.StatusUnauthorized, code: "unauthenticated", page: pages.LoginRequired,
		description: "This endpoint answers with a redirect and must be navigated to; it cannot be fetched by a script.",
	}
}

// loginURL is where a login that leads to target starts.
func loginURL(in *ingress, target string) string {
	if len(target) > maxDeepLink { // the login would drop it, and proxies in front refuse long headers
		target = in.root()
	}
	return in.path + ownPrefix + pathLogin + "?redirect=" + url.QueryEscape(target)
}

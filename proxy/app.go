package proxy

import (
	"net/http"
	"net/url"
	"time"

	"postern/oidc"
	"postern/proxy/pages"
	"postern/proxy/policy"
	"postern/session"
)

// serveApp decides on a request for the app and forwards it: the path in all its readings, the caller, what the caller may, the headers.
func (h *Handler) serveApp(v *visit, r *http.Request) error {
	path, err := policy.Read(rawPath(r))
	if err != nil {
		return badRequest("ambiguous_path", "The path cannot be read in a bounded number of ways.")
	}
	if h.cfg.Front.PathStrictness == "strict" && path.Ambiguous() {
		return badRequest("ambiguous_path", "The path can be read in more than one way (option path-strictness).")
	}
	if h.cfg.Front.AuthSkipPreflight && isPreflight(r) {
		h.forwardPreflight(v, r)
		return nil
	}
	ignored := h.ignored.MatchPath(path)
	in := h.ingresses.match(r.Host, h.forwardedHost(r), rawPath(r))
	caller, err := h.caller(v, r, in)
	if err != nil {
		if f := classify(err); f.status != http.StatusServiceUnavailable || !ignored || h.protected {
			return f
		}
		v.err = err // an ignored path is served without identity while store or provider is in trouble (contract 3.4)
	}
	if caller == nil && (h.protected || h.cfg.Front.AutoLogin && !ignored) {
		return h.unauthenticated(r, in, ignored)
	}
	return h.forward(v, r, in, caller)
}

// caller is who the session cookie speaks for, or nil for nobody. Trouble on the way to the answer is an error, never nobody.
func (h *Handler) caller(v *visit, r *http.Request, in *ingress) (*session.Session, error) {
	if !h.loginOn || in == nil {
		return nil, nil
	}
	value, err := ownCookie(r, in.cookies.session)
	if err != nil || value == "" {
		return nil, err
	}
	s, err := h.use(r, value)
	switch {
	case noSession(err):
		return nil, nil
	case err != nil:
		return nil, err
	case !oidc.ACRSatisfies(h.client.RequiredACR(), s.Identity().ACR()):
		return nil, nil // a level below the configured one is a reason to log in, as with wonderwall
	case h.crossSite.refuses(r):
		return nil, errCrossSite()
	}
	v.identity, v.session = s.Identity(), s.HashedID()
	return s, nil
}

// use reads the session. An upgrade neither refreshes it nor keeps it alive (S-30, contract 3.3): where its token has expired, the next plain
// request renews it, and the person is not nobody meanwhile.
func (h *Handler) use(r *http.Request, value string) (*session.Session, error) {
	if !isUpgrade(r) {
		return h.sessions.Use(r.Context(), value, true)
	}
	s, err := h.sessions.Get(r.Context(), value)
	switch {
	case err != nil || s.Tokens().Expiry.After(h.now()):
		return s, err
	case s.Tokens().Refresh.Empty():
		return nil, session.ErrTokenExpired
	}
	return nil, &failure{
		status: http.StatusServiceUnavailable, code: "token_expired", page: pages.ProviderTrouble, retryAfter: time.Second,
		description: "The access token has expired, and an upgrade does not renew it: make a plain request first.",
	}
}

// unauthenticated answers nobody where somebody is required (contract 4.1): a browser that navigates is sent to log in, everything else
// learns where that would be.
func (h *Handler) unauthenticated(r *http.Request, in *ingress, ignored bool) error {
	f := &failure{
		status: http.StatusUnauthorized, code: "unauthenticated", page: pages.LoginRequired,
		description: "unauthenticated, please log in",
		body:        `{"error":"unauthenticated, please log in"}`,
		header:      http.Header{},
	}
	if !h.loginOn || in == nil {
		return f
	}
	if isNavigation(r) {
		login := loginURL(in, rawTarget(r))
		if h.cfg.Front.AutoLogin && !ignored {
			f.status, f.redirect = http.StatusFound, login
			return f
		}
		f.primary = &pages.Link{Href: login}
	}
	f.header.Set("Location", loginURL(in, h.refererTarget(r, in)))
	return f
}

// refererTarget is the page that a script's request came from, to come back to after a login.
func (h *Handler) refererTarget(r *http.Request, in *ingress) string {
	referer := r.Header.Get("Referer")
	if u, err := url.Parse(referer); err == nil && u.Host != "" && h.ingresses.matchHost(u.Host, u.EscapedPath()) != nil {
		return referer
	}
	return in.root()
}

// forward sends the request to the app. Whatever the client wrote into a header of ours is gone before ours are set. s is nil for nobody.
func (h *Handler) forward(v *visit, r *http.Request, in *ingress, s *session.Session) error {
	if s == nil {
		h.upstream.serve(v, r, outgoing{prepare: func(out, r *http.Request) { h.cleanHeaders(v, out, r) }})
		return nil
	}
	h.upstream.serve(v, r, outgoing{
		cookieCaller: true,
		prepare: func(out, r *http.Request) {
			h.cleanHeaders(v, out, r)
			h.introduce(v, out.Header, s)
		},
		answered: func(res *http.Response) { h.noteSentBack(r, in, res) },
	})
	return nil
}

// cleanHeaders removes what a client may not say, and what is not the app's business.
func (h *Handler) cleanHeaders(v *visit, out, in *http.Request) {
	h.forwarding.apply(out, in)
	h.managed.strip(out.Header)
	if h.routing != nil {
		h.routing.strip(out.Header)
	}
	stripOwnCookies(out.Header, h.ownCookie)
	out.Header[headerRequestID] = []string{v.id}
}

// introduce tells the app who is calling.
func (h *Handler) introduce(v *visit, header http.Header, s *session.Session) {
	tokens := s.Tokens()
	header["Authorization"] = h.identity.authorization(s.Identity(), tokens.Access.Raw())
	if h.cfg.Upstream.IncludeIDToken {
		header["X-Wonderwall-Id-Token"] = []string{tokens.ID.Raw()}
	}
	if h.identity.write(header, s.Identity(), "session", tokens.Access.Raw()) {
		h.log.Warn("identity headers exceed identity.max-bytes: groups and claims are left out",
			"request_id", v.id, "session", v.session)
	}
}

// appFailed answers for an app that did not.
func (h *Handler) appFailed(w http.ResponseWriter, r *http.Request, err upstreamError) {
	v := w.(*visit)
	f := &failure{
		status: err.status, code: "app_unreachable", page: pages.AppUnreachable, description: "The app does not answer.", err: err,
	}
	switch err.status {
	case http.StatusGatewayTimeout:
		f.code, f.page, f.description = "app_timeout", pages.AppTimeout, "The app did not answer in time."
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge:
		f.code, f.page, f.description = "invalid_body", pages.BadRequest, "The body of the request is malformed or too long."
	}
	h.answer(v, r, f)
}

var _ session.Refresher = (*oidc.Client)(nil)

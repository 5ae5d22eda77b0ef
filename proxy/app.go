package proxy

import (
	"net/http"
	"time"

	"postern/oidc"
	"postern/proxy/forward"
	"postern/proxy/pages"
	"postern/proxy/policy"
	"postern/session"
)

// passage is one request for the app on its way: what was found out before and about its caller. It is part of its visit.
type passage struct {
	h       *Handler
	visit   *visit
	request *http.Request
	in      *ingress // that the request came in by; nil for another address
	policy  *policy.Policy
	path    policy.Path
	route   policy.Route
	ignored bool // auto-login leaves the path alone
	keep    bool // Authorization goes on to the app although nobody was admitted by it
	who     caller
}

// caller is who a request is from. The zero value is nobody.
type caller struct {
	identity *oidc.Identity
	session  *session.Session // nil for the bearer of a token
	token    string           // the access token that the app gets
}

// serveApp decides on a request for the app and forwards it: the path in all its readings, the caller, what the caller may, the headers.
func (h *Handler) serveApp(v *visit, r *http.Request) error {
	path, err := policy.Read(forward.RawPath(r))
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
	p := &v.passage
	*p = passage{
		h: h, visit: v, request: r,
		in: h.ingresses.match(r.Host, h.forwardedHost(r), forward.RawPath(r)), policy: h.policy(), path: path, ignored: h.ignored.MatchPath(path),
		keep: h.bearer == nil,
	}
	p.route = p.policy.Route(policy.Request{Path: path, Method: r.Method})
	if err := h.establish(v, r, p); err != nil {
		if f := classify(err); f.status != http.StatusServiceUnavailable || !h.open(p) {
			return f
		}
		v.err = err // an open path is served without identity while store or provider is in trouble (contract 3.4)
	}
	return h.decide(v, r, p)
}

// open says whether nobody would be let through.
func (h *Handler) open(p *passage) bool {
	return p.route.Public() || p.ignored && !h.protected
}

// establish finds out who is calling: the bearer of a token, else whoever the session cookie speaks for, else nobody (contract 4.1, step 3).
// Trouble on the way to the answer is an error, never nobody.
func (h *Handler) establish(v *visit, r *http.Request, p *passage) (err error) {
	settled := false
	if h.bearer != nil {
		settled, err = h.establishBearer(v, r, p)
	}
	if !settled && err == nil {
		err = h.establishSession(r, p)
	}
	if who := &p.who; who.identity != nil {
		v.identity = who.identity
		if who.session != nil {
			v.session = who.session.HashedID()
		}
	}
	return err
}

// establishSession finds whoever the session cookie speaks for.
func (h *Handler) establishSession(r *http.Request, p *passage) error {
	if !h.loginOn || p.in == nil {
		return nil
	}
	value, err := ownCookie(r, p.in.cookies.session)
	if err != nil || value == "" {
		return err
	}
	s, err := h.use(r, value)
	switch {
	case noSession(err):
		return nil
	case err != nil:
		return err
	case !oidc.ACRSatisfies(h.client.RequiredACR(), s.Identity().ACR()):
		return nil // a level below the configured one is a reason to log in, as with wonderwall
	case h.crossSite.refuses(r):
		return errCrossSite()
	}
	p.who = caller{identity: s.Identity(), session: s, token: s.Tokens().Access.Raw()}
	return nil
}

// use reads the session. An upgrade neither refreshes it nor keeps it alive (S-30, contract 3.3): where its token has expired, the next plain
// request renews it, and the person is not nobody meanwhile.
func (h *Handler) use(r *http.Request, value string) (*session.Session, error) {
	if !forward.IsUpgrade(r) {
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

// forward sends the request to the app. Whatever the client wrote into a header of ours is gone before ours are set.
func (h *Handler) forward(v *visit, r *http.Request, p *passage) error {
	if err := h.fetch(v, r, p); err != nil {
		return err
	}
	if err := h.attest(v, r, p); err != nil {
		return err
	}
	h.upstream.Serve(v, r, forward.Outgoing{Errand: p})
	return nil
}

// Prepare implements [forward.Errand].
func (p *passage) Prepare(out, in *http.Request) {
	p.h.cleanHeaders(p.visit, out, in)
	switch {
	case p.who.identity != nil:
		p.h.introduce(p.visit, out.Header, in, p)
	case !p.keep:
		delete(out.Header, "Authorization")
	}
}

// Answered implements [forward.Errand].
func (p *passage) Answered(res *http.Response) {
	if p.who.session != nil {
		keepPrivate(res.Header)
		p.h.noteSentBack(p.request, p.in, res)
	}
}

// cleanHeaders removes what a client may not say, and what is not the app's business.
func (h *Handler) cleanHeaders(v *visit, out, in *http.Request) {
	h.forwarding.apply(out, in)
	h.managed.Strip(out.Header)
	if h.routing != nil {
		h.routing.Strip(out.Header)
	}
	stripOwnCookies(out.Header, h.ownCookie)
	v.ids[0] = v.id
	out.Header[forward.HeaderRequestID] = v.ids[:]
}

// introduce tells the app who is calling. The bearer of a token has brought the Authorization that the app gets.
func (h *Handler) introduce(v *visit, header http.Header, r *http.Request, p *passage) {
	auth, id := "bearer", p.who.identity
	if s := p.who.session; s != nil {
		auth = "session"
		header["Authorization"] = h.identity.authorization(id, p.who.token)
		if h.cfg.Upstream.IncludeIDToken {
			header["X-Wonderwall-Id-Token"] = []string{s.Tokens().ID.Raw()}
		}
	}
	if h.identity.write(header, id, auth, p.who.token) {
		h.log.WarnContext(r.Context(), "identity headers exceed identity.max-bytes: groups and claims are left out",
			"request_id", v.id, "session", v.session)
	}
	if v.assertion != "" {
		header[headerAssertion] = []string{v.assertion}
	}
	v.hand(header)
}

// attest signs who is calling, for apps that can be reached by other ways too (contract 4.4).
func (h *Handler) attest(v *visit, r *http.Request, p *passage) (err error) {
	if h.assertions == nil || p.who.identity == nil {
		return nil
	}
	v.assertion, err = h.assertions.sign(p.who.identity, h.audience(p.policy), r)
	return err
}

// audience is the app as assertions name it (S-20): its cluster:namespace:app, else its first ingress.
func (h *Handler) audience(p *policy.Policy) string {
	if app := p.App().String(); app != "" {
		return app
	}
	return h.appName
}

// appFailed answers for an app that did not.
func (h *Handler) appFailed(w http.ResponseWriter, r *http.Request, err forward.Error) {
	v := w.(*visit)
	f := &failure{
		status: err.Status, code: "app_unreachable", page: pages.AppUnreachable, description: "The app does not answer.", err: err,
	}
	switch err.Status {
	case http.StatusGatewayTimeout:
		f.code, f.page, f.description = "app_timeout", pages.AppTimeout, "The app did not answer in time."
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge:
		f.code, f.page, f.description = "invalid_body", pages.BadRequest, "The body of the request is malformed or too long."
	}
	h.answer(v, r, f)
}

var _ session.Refresher = (*oidc.Client)(nil)

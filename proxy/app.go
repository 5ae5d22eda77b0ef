package proxy

import (
	"net/http"
	"time"

	"postern/oidc"
	"postern/oidc/correlation"
	"postern/oidc/meter"
	"postern/oidc/trace"
	"postern/proxy/forward"
	"postern/proxy/pages"
	"postern/proxy/policy"
	"postern/session"
)

// passage is one request for the app on its way: what was found out before and about its caller. It is part of its visit.
type passage struct {
	h         *Handler
	visit     *visit
	request   *http.Request
	delivery  delivery
	in        *ingress // that the request came in by; nil for another address
	policy    *policy.Policy
	path      policy.Path
	route     policy.Route
	preflight bool // it says nothing of who is calling (S-40)
	keep      bool // Authorization goes on to the app although nobody was admitted by it
	who       caller
	span      *trace.Span // of the app's part
}

// delivery is who takes a request to the app once it may go on.
type delivery uint8

const (
	byUs      delivery = iota
	byIngress          // forward-auth: an ingress controller asks, and does it itself
	ofNobody           // forward-auth on the public listener: all that is asked for is whether somebody is signed in
)

// caller is who a request is from. The zero value is nobody.
type caller struct {
	identity *oidc.Identity
	session  *session.Session // nil for the bearer of a token
	token    string           // the access token that the app gets
}

// serveApp decides on a request for the app and forwards it: the path in all its readings, the caller, what the caller may, the headers.
func (h *Handler) serveApp(v *visit, r *http.Request) error {
	p := h.enter(v, r, byUs)
	if err := h.judge(v, r, p); err != nil {
		return err
	}
	return h.forward(v, r, p)
}

func (h *Handler) enter(v *visit, r *http.Request, d delivery) *passage {
	p := &v.passage
	p.h, p.visit, p.request, p.delivery = h, v, r, d
	p.in, p.policy, p.keep = h.ingresses.match(r.Host, h.forwardedHost(r), forward.RawPath(r)), h.policy(), h.bearer == nil
	return p
}

// judge finds out whether the request may go on to the app, and as whose: its error is the refusal.
func (h *Handler) judge(v *visit, r *http.Request, p *passage) error {
	path, err := policy.Read(forward.RawPath(r))
	if err != nil {
		return badRequest("ambiguous_path", "The path cannot be read in a bounded number of ways.")
	}
	if h.cfg.Front.PathStrictness == "strict" && path.Ambiguous() {
		return badRequest("ambiguous_path", "The path can be read in more than one way (option path-strictness).")
	}
	if p.preflight = h.cfg.Front.AuthSkipPreflight && isPreflight(r); p.preflight {
		return nil
	}
	p.path = path
	p.route = p.policy.Route(policy.Request{Path: path, Method: r.Method})
	if err := h.establish(v, r, p); err != nil {
		if f := classify(err); f.status != http.StatusServiceUnavailable || !h.open(p) {
			return f
		}
		v.err = err // an open path is served without identity while store or provider is in trouble (contract 3.4)
	}
	return h.decide(v, r, p)
}

// ignored says whether auto-login leaves the path alone.
func (p *passage) ignored() bool { return p.h.ignored.MatchPath(p.path) }

// open says whether nobody would be let through.
func (h *Handler) open(p *passage) bool {
	return p.delivery != ofNobody && (p.route.Public() || !h.protected && p.ignored())
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
	s, err := h.findSession(r, p)
	switch {
	case noSession(err):
		return nil
	case err != nil:
		return err
	case !oidc.ACRSatisfies(h.requiredACR, s.Identity().ACR()):
		return nil // a level below the configured one is a reason to log in, as with wonderwall
	case h.crossSite.refuses(r):
		return errCrossSite()
	}
	p.who = caller{identity: s.Identity(), session: s, token: s.Tokens().Access.Raw()}
	return nil
}

// findSession finds the session of a request's cookies. That of a wonderwall SSO server is asked for where ours is none (S-49).
func (h *Handler) findSession(r *http.Request, p *passage) (*session.Session, error) {
	for _, name := range p.in.cookies.sessions() {
		value, err := ownCookie(r, name)
		if err != nil {
			return nil, err
		}
		if value == "" {
			continue
		}
		if s, err := h.use(r, p, value); !noSession(err) {
			return s, err
		}
	}
	return nil, session.ErrNoSession
}

// use reads the session of a request for the app. An upgrade neither refreshes it nor keeps it alive (S-30, contract 3.3): where its token has
// expired, the next plain request renews it, and the person is not nobody meanwhile.
func (h *Handler) use(r *http.Request, p *passage, value string) (*session.Session, error) {
	switch {
	case h.server != nil: // as SSO proxy it is only read
		return h.sessions.Use(p.visit.context(), value, false)
	case p.delivery != byUs:
		return h.look(p.visit.context(), value)
	case !forward.IsUpgrade(r):
		return h.sessions.Use(p.visit.context(), value, true)
	}
	s, err := h.sessions.Get(p.visit.context(), value)
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
	if err := h.equip(v, r, p); err != nil {
		return err
	}
	if p.span = v.scope.Span().Child("app", trace.Client); p.span != nil {
		defer v.endCall(p.span)
	}
	v.asked = max(1, h.since(v.started))
	h.upstream.Serve(v, r, forward.Outgoing{Errand: p})
	return nil
}

// equip gets what the app is given beside the request.
func (h *Handler) equip(v *visit, r *http.Request, p *passage) error {
	if err := h.fetch(v, r, p); err != nil {
		return err
	}
	return h.attest(v, r, p)
}

// Prepare implements [forward.Errand].
func (p *passage) Prepare(out, in *http.Request) {
	p.h.cleanHeaders(p.visit, out, in)
	if p.span != nil {
		p.span.Inject(out.Header)
	} else {
		p.visit.scope.Inject(out.Header)
	}
	switch {
	case p.preflight:
		delete(out.Header, "Authorization")
		delete(out.Header, "Cookie")
	case p.who.identity != nil:
		p.h.introduce(p.visit, out.Header, in, p)
	case !p.keep:
		delete(out.Header, "Authorization")
	}
}

// Answered implements [forward.Errand].
func (p *passage) Answered(res *http.Response) {
	p.visit.told = true
	p.h.metrics.phases.Observe(meter.App, p.h.since(p.visit.started)-p.visit.asked)
	if p.who.session != nil {
		keepPrivate(res.Header)
		p.h.noteSentBack(p.request, p.in, res)
	}
}

// cleanHeaders removes what a client may not say, and what is not the app's business.
func (h *Handler) cleanHeaders(v *visit, out, in *http.Request) {
	h.forwarding.apply(out, in)
	h.forwarding.applyTrace(out.Header, in)
	stripOwnCookies(out.Header, h.ownCookie)
	v.ids[0] = v.id
	out.Header[correlation.HeaderRequestID] = v.ids[:]
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
	if h.identity.write(header, &v.texts, id, auth, p.who.token) {
		h.log.WarnContext(v.context(), "identity headers exceed identity.max-bytes: groups and claims are left out", "session", v.session)
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
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusRequestTimeout:
		f.code, f.page, f.description = "invalid_body", pages.BadRequest, "The body of the request is malformed or too long."
		if err.Status == http.StatusRequestTimeout {
			f.code, f.description = "body_timeout", "The body of the request did not come within the time that a client has (option limits.stall-time)."
		}
		if r.ProtoMajor == 1 { // where the next request begins is anybody's guess (RFC 9112 §8)
			f.header = http.Header{"Connection": {"close"}}
		}
	}
	h.answer(v, r, f)
}

var _ session.Refresher = (*oidc.Client)(nil)

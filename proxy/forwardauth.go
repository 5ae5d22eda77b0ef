package proxy

import (
	"cmp"
	"context"
	"net/http"

	"postern/obo/guard"
	"postern/proxy/forward"
	"postern/proxy/pages"
	"postern/session"
)

// forwardauth.go answers ingress controllers that ask about a request before they take it to the app themselves (S-16). Where only an
// ingress controller can ask, it gets the whole answer; where any browser can, it learns that somebody is signed in, and no more.

const (
	headerForwardAuth      = "X-Postern-Forward-Auth"          // the secret of an ingress controller
	headerForwardAuthToken = "X-Wonderwall-Forward-Auth-Token" // #nosec G101 -- the name of a header
)

// ingressAuth is what forward-auth needs beside the rest.
type ingressAuth struct {
	secret func() string // nil without forward-auth.secret-file
	names  []string      // of all headers that an app may be told
}

// ForwardAuth is for a listener of its own, which nobody but an ingress controller reaches. Every path of it is the endpoint.
func (h *Handler) ForwardAuth() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.receive(w, r, routeForwardAuth, (*Handler).forwardAuthAlone)
	})
}

func (h *Handler) forwardAuthAlone(v *visit, r *http.Request) error {
	noStore(v.Header())
	harden(v.Header(), "")
	if h.ingressAuth.secret != nil && !h.knowsIngress(r) {
		return errNotIngress()
	}
	return h.answerIngress(v, r)
}

// forwardAuth answers GET /oauth2/session/forwardauth. Nothing that a client may have written says which request is meant, unless the secret
// comes with it. One that comes and is wrong is refused: the short answer would pass for the whole one, and the policy would be left out.
func (h *Handler) forwardAuth(v *visit, r *http.Request) error {
	if _, given := r.Header[headerForwardAuth]; given && h.ingressAuth.secret != nil {
		if !h.knowsIngress(r) {
			return errNotIngress()
		}
		return h.answerIngress(v, r)
	}
	if !h.cfg.Session.ForwardAuth {
		return errNoEndpoint()
	}
	p := h.enter(v, r, ofNobody)
	if err := h.judge(v, r, p); err != nil {
		return yesOrNo(classify(err))
	}
	if s := p.who.session; s != nil && h.cfg.Session.ForwardAuthSetHeaders {
		v.Header().Set(headerForwardAuthToken, s.Tokens().ID.Raw())
	}
	v.WriteHeader(http.StatusNoContent)
	return nil
}

func (h *Handler) knowsIngress(r *http.Request) bool {
	given := r.Header[headerForwardAuth]
	return len(given) == 1 && guard.SameSecret(h.ingressAuth.secret(), given[0])
}

// yesOrNo makes a refusal the one that says nothing of why. Trouble stays what it is.
func yesOrNo(f *failure) *failure {
	if f.status >= http.StatusInternalServerError || f.status == forward.StatusClientGone {
		return f
	}
	return &failure{
		status: http.StatusUnauthorized, code: "unauthenticated", reason: cmp.Or(f.reason, f.code), page: pages.LoginRequired,
		description: "unauthenticated, please log in", err: f.err,
	}
}

// answerIngress decides on the request that an ingress controller asks about as if it had come here, and answers 204 with all that the app
// would have been told.
func (h *Handler) answerIngress(v *visit, r *http.Request) error {
	q := readQuestion(r)
	p := h.enter(v, q.asked, byIngress)
	err := h.checkQuestion(q, p)
	if err == nil {
		err = h.judge(v, q.asked, p)
	}
	if err == nil {
		err = h.equip(v, q.asked, p)
	}
	if err != nil {
		return understood(classify(err))
	}
	out := &http.Request{Header: q.asked.Header.Clone()}
	h.forwarding.withheld.Strip(out.Header)
	p.Prepare(out, q.asked)
	for _, name := range h.ingressAuth.names {
		values := out.Header[name]
		if len(values) == 0 {
			values = []string{""} // so that the ingress overwrites what the client sent
		}
		v.Header()[name] = values
	}
	v.WriteHeader(http.StatusNoContent)
	return nil
}

// checkQuestion refuses what the front door refuses before it looks at anything, and a question that leaves open which request is meant.
func (h *Handler) checkQuestion(q question, p *passage) error {
	switch {
	case q.unclear:
		return errWhichRequest("The headers that say which request is meant contradict each other, or are malformed.")
	case !q.told && p.policy.LooksAtRequests():
		return errWhichRequest("The policy looks at method and path, and no headers say which request is meant.")
	}
	if problem := forward.CheckTarget(q.asked); problem != nil {
		return badRequest(problem.Code, problem.Text)
	}
	return h.checkCookies(q.asked)
}

// understood keeps to the statuses that ingress controllers know: with auth_request of nginx everything else is a fault of the server. The
// code still tells what it is.
func understood(f *failure) *failure {
	if f.status < http.StatusInternalServerError && f.status != http.StatusUnauthorized && f.status != forward.StatusClientGone {
		f.status = http.StatusForbidden
	}
	return f
}

// look reads a session and does not keep it alive (S-30). Only as SSO server does it renew the tokens, since nothing else there would.
func (h *Handler) look(ctx context.Context, value string) (*session.Session, error) {
	if h.cfg.ForwardAuthRenews {
		return h.sessions.Use(ctx, value, false)
	}
	s, err := h.sessions.Get(ctx, value)
	if err == nil && !s.Tokens().Expiry.After(h.now()) {
		return nil, session.ErrTokenExpired
	}
	return s, err
}

func errNotIngress() *failure {
	return &failure{
		status: http.StatusForbidden, code: "unknown_ingress", page: pages.Forbidden,
		description: "The secret of the ingress controller is missing or wrong (option forward-auth.secret-file).",
	}
}

func errWhichRequest(description string) *failure {
	return &failure{status: http.StatusForbidden, code: "unknown_request", page: pages.Forbidden, description: description}
}

package proxy

import (
	"log/slog"
	"net/http"
	"net/url"

	"postern/oidc"
	"postern/oidc/trace"
	"postern/proxy/forward"
	"postern/proxy/pages"
	"postern/proxy/policy"
)

// decide asks the policy about the caller, and refuses whom it does not let through.
func (h *Handler) decide(v *visit, r *http.Request, p *passage) error {
	var known *oidc.Caller
	if p.who.identity != nil {
		known = p.who.identity.Caller()
	}
	span := v.scope.Span().Child("policy", trace.Internal)
	d := p.policy.Decide(&p.route, known)
	h.metrics.decisions.count(d)
	v.rule = d.Rule
	endPolicy(span, d)
	switch {
	case d.Outcome == policy.Admitted:
		return nil
	case d.Outcome == policy.Refused && (!h.reportOnly || h.refusedForItself(p, d)):
		return h.refuse(r, p, d)
	case d.Outcome == policy.Refused && v.wouldRefuse == "": // else the token's fault is the reason
		h.wouldRefuse(v, r, d.Reason.Code(), d.Rule)
		p.keep = true
	}
	p.who = caller{} // only who is admitted is introduced (S-15)
	if h.wantsSomebody(p, known != nil) {
		return h.unauthenticated(r, p)
	}
	return nil
}

// wantsSomebody says whether a login is asked for although the policy lets pass without a name.
func (h *Handler) wantsSomebody(p *passage, known bool) bool {
	switch {
	case p.delivery == ofNobody: // that a path is public is no answer to whether somebody is signed in
		return !known || p.visit.wouldRefuse == ""
	case known || p.ignored() || p.route.Public():
		return false
	}
	return h.cfg.Front.AutoLogin || p.delivery == byIngress
}

// refusedForItself says whether a token is no valid one for this app, which report mode does not let pass where the operator asked for
// validation by name (S-15).
func (h *Handler) refusedForItself(p *passage, d policy.Decision) bool {
	return h.cfg.BearerExplicit && p.who.identity != nil && p.who.session == nil && d.Reason.Class() == policy.InvalidToken
}

// wouldRefuse counts and notes what report mode lets pass (S-15).
func (h *Handler) wouldRefuse(v *visit, r *http.Request, reason, rule string) {
	v.wouldRefuse, v.rule = reason, rule
	h.metrics.wouldRefuse.WithLabelValues(reason).Inc()
	h.record(v, r, eventWouldRefuse, v.identity, slog.String("reason", reason))
}

// refuse is the answer to a caller whom the policy does not let through (contract 4.2).
func (h *Handler) refuse(r *http.Request, p *passage, d policy.Decision) *failure {
	f := &failure{reason: d.Reason.Code(), description: d.Reason.Description(), page: pages.Forbidden}
	f.status, f.code = Answer(d.Reason, p.who.session != nil)
	switch class := d.Reason.Class(); {
	case class == policy.Unauthenticated:
		return h.unauthenticated(r, p)
	case class == policy.Method:
		f.page, f.header = pages.MethodNotAllowed, http.Header{"Allow": {d.Allow}}
		return f
	case class == policy.InsufficientLevel:
		f.page = pages.LevelTooLow
	}
	f.header = h.challengeHeader(p.in, f.code, f.description, d.Scope, d.ACR)
	if p.who.session == nil {
		return f
	}
	target := forward.RawTarget(r)
	if !isNavigation(r) {
		target = h.refererTarget(r, p.in)
	}
	again := loginURL(p.in, target)
	if f.page == pages.LevelTooLow {
		f.primary = &pages.Link{Href: again + "&level=" + url.QueryEscape(d.ACR)}
		if p.delivery == byIngress {
			f.header.Set("Location", p.in.origin+f.primary.Href)
		}
	} else {
		f.secondary = &pages.Link{Href: again + "&prompt=select_account"}
	}
	return f
}

// Answer is the status and error code of a refusal (contract 4.2). The caller of a session holds no token that could be called invalid.
func Answer(reason policy.Reason, session bool) (status int, code string) {
	switch class := reason.Class(); {
	case class == policy.Unauthenticated:
		return http.StatusUnauthorized, "unauthenticated"
	case class == policy.Method:
		return http.StatusMethodNotAllowed, "method_not_allowed"
	case class == policy.InsufficientLevel: // RFC 9470 §3
		return http.StatusUnauthorized, "insufficient_user_authentication"
	case class == policy.InvalidToken && !session: // RFC 6750 §3.1
		return http.StatusUnauthorized, "invalid_token"
	}
	return http.StatusForbidden, "insufficient_scope"
}

// unauthenticated answers nobody where somebody is required (contract 4.1): a browser that navigates is sent to log in, everything else
// learns where that would be.
func (h *Handler) unauthenticated(r *http.Request, p *passage) *failure {
	f := &failure{
		status: http.StatusUnauthorized, code: "unauthenticated", page: pages.LoginRequired,
		description: "unauthenticated, please log in",
		body:        `{"error":"unauthenticated, please log in"}`,
		header:      h.challengeHeader(p.in, "", "", "", ""), // RFC 6750 §3: no error code for a request without a credential
	}
	if !h.loginOn || p.in == nil {
		return f
	}
	if isNavigation(r) {
		login := loginURL(p.in, forward.RawTarget(r))
		if p.delivery == byIngress { // who may send the browser there: nginx cannot pass a redirect of ours on
			f.header.Set("Location", p.in.origin+login)
			f.primary = &pages.Link{Href: login}
			return f
		}
		if h.cfg.Front.AutoLogin && !p.ignored() {
			f.status, f.redirect, f.header = http.StatusFound, login, nil
			return f
		}
		f.primary = &pages.Link{Href: login}
	}
	f.header.Set("Location", loginURL(p.in, h.refererTarget(r, p.in)))
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

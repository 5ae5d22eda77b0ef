package proxy

import (
	"errors"
	"net/http"

	"postern/oidc"
	"postern/proxy/forward"
	"postern/proxy/pages"
)

// establishBearer finds the bearer of a token (RFC 6750 §2.1). settled says that the answer is final: a token wins over a cookie, and a bad
// one never falls back to it. On a public path a bad one is as good as none, and does not reach the app.
func (h *Handler) establishBearer(v *visit, r *http.Request, p *passage) (settled bool, err error) {
	var refused error
	if token := forward.PresentedToken(r.Header); token != "" {
		var id *oidc.Identity
		if id, refused = h.bearer.Verify(v.context(), token); refused == nil { // so it is a well-formed one: only others are read byte by byte
			p.who = caller{identity: id, token: token}
			return true, nil
		}
	}
	switch forward.ReadCredential(r.Header, h.cfg.Front.AuthorizationSchemes).Kind {
	case forward.NoCredential:
		if forward.TokenInQuery(r.URL.RawQuery) && !h.sendsSession(r, p.in) && !h.lenient(v, p, "invalid_request") {
			return true, h.malformedToken(p.in)
		}
		return false, nil
	case forward.Passthrough:
		p.keep = true
		return false, nil
	case forward.BearerToken:
		return true, h.bearBadToken(v, p, h.tokenRefusal(p.in, refused))
	default:
		return true, h.bearBadToken(v, p, h.invalidToken(p.in, "The Authorization header is not one well-formed Bearer token."))
	}
}

// bearBadToken lets pass what must not be refused: on public paths, and in report mode unless the operator asked for validation by name (S-15).
func (h *Handler) bearBadToken(v *visit, p *passage, f *failure) error {
	switch {
	case f.status == forward.StatusClientGone:
		return f
	case p.route.Public():
		p.keep = h.reportOnly && !h.cfg.BearerExplicit
		v.err = f
		return nil
	case h.lenient(v, p, f.code):
		v.err = f.err
		return nil
	}
	return f
}

// lenient says whether report mode lets pass what is refused for its own sake, and notes it.
func (h *Handler) lenient(v *visit, p *passage, code string) bool {
	if !h.reportOnly || h.cfg.BearerExplicit {
		return false
	}
	p.keep = true
	h.wouldRefuse(v, p.request, code, "")
	return true
}

// sendsSession says whether a session cookie comes with the request, of whatever worth.
func (h *Handler) sendsSession(r *http.Request, in *ingress) bool {
	if !h.loginOn || in == nil {
		return false
	}
	for _, name := range in.cookies.sessions() {
		if value, err := ownCookie(r, name); err != nil || value != "" {
			return true
		}
	}
	return false
}

// tokenRefusal finds the answer to a token that was not accepted: 401 if it is the token's fault, 503 if nobody can know.
func (h *Handler) tokenRefusal(in *ingress, err error) *failure {
	if invalid, ok := errors.AsType[*oidc.InvalidTokenError](err); ok {
		f := h.invalidToken(in, "The access token is not accepted: "+invalid.Reason+".")
		f.err = err
		return f
	}
	f := classify(err)
	if f.status == http.StatusServiceUnavailable {
		f.code, f.description = "keys_unavailable", "The keys that the access token could be checked with cannot be had right now. Try again in a moment."
	}
	return f
}

// invalidToken is 401 invalid_token (RFC 6750 §3.1).
func (h *Handler) invalidToken(in *ingress, description string) *failure {
	return &failure{
		status: http.StatusUnauthorized, code: "invalid_token", description: description, page: pages.LoginRequired,
		header: h.challengeHeader(in, "invalid_token", description, "", ""),
	}
}

// malformedToken is 400 invalid_request (RFC 6750 §3.1): a token in the query ends up in logs and histories (RFC 9700 §4.3.2).
func (h *Handler) malformedToken(in *ingress) *failure {
	const description = "An access token in the query is not accepted: send it in the Authorization header."
	f := badRequest("invalid_request", description)
	f.header = h.challengeHeader(in, "invalid_request", description, "", "")
	return f
}

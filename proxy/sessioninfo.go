package proxy

import (
	"context"
	"encoding/json"
	"net/http"

	"postern/proxy/forward"
	"postern/proxy/pages"
	"postern/session"
)

// sessionInfo answers GET /oauth2/session: how long the session and its tokens last (wonderwall's JSON). It moves no timeout (S-30).
func (h *Handler) sessionInfo(v *visit, r *http.Request) error {
	return h.answerSession(v, r, h.sessions.Get)
}

// sessionRefresh answers GET and POST /oauth2/session/refresh: renews the tokens unless they are fresh, and moves the idle timeout.
func (h *Handler) sessionRefresh(v *visit, r *http.Request) error {
	if h.bySomebodyElse(r) {
		return errCrossSite()
	}
	return h.answerSession(v, r, h.sessions.Refresh)
}

func (h *Handler) answerSession(
	v *visit, r *http.Request, read func(ctx context.Context, cookieValue string) (*session.Session, error),
) error {
	in := h.ingresses.match(r.Host, h.forwardedHost(r), forward.RawPath(r))
	if in == nil {
		return errNoSession(nil)
	}
	value, err := ownCookie(r, in.cookies.session)
	if err != nil {
		return err
	}
	if value == "" {
		return errNoSession(nil)
	}
	s, err := read(r.Context(), value)
	switch {
	case err == nil:
	case s != nil && v.route == routeSession: // an inactive session is shown as such, not hidden
	case noSession(err):
		return errNoSession(err)
	default:
		return err
	}
	v.identity, v.session = s.Identity(), s.HashedID()
	v.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(v).Encode(s.Metadata(h.now()))
}

func errNoSession(cause error) *failure {
	return &failure{
		status: http.StatusUnauthorized, code: "no_session", page: pages.LoginRequired, err: cause,
		description: "There is no session, or it has ended.",
	}
}

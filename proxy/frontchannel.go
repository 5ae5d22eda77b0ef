package proxy

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"

	"postern/session"
)

// logoutFrontchannel answers GET /oauth2/logout/frontchannel (OIDC Front-Channel Logout 1.0 §3): the provider's logout page loads it in a frame,
// so it is the one answer that may be framed, and from another site. What it acts on is "sid", as cookies are often kept from such frames: 200
// says that the sessions of that name have ended everywhere. Without one nothing is ended, and the answer is wonderwall's 202: a browser's session is not
// ended by a mere cookie, which any page could make it send (S-32).
func (h *Handler) logoutFrontchannel(v *visit, r *http.Request) error {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil || len(query["sid"]) > 1 || len(query["iss"]) > 1 {
		return forProgram(badRequest("invalid_request", "The parameters are malformed, or one is there twice."))
	}
	sid := query.Get("sid")
	if sid == "" {
		v.WriteHeader(http.StatusAccepted)
		return nil
	}
	if !h.frames.AllowN(h.now(), 1) { // each is remembered for a while, and nothing is signed
		return forProgram(&failure{
			status: http.StatusTooManyRequests, code: "too_many_logouts", retryAfter: time.Second,
			description: "Too many logouts come through browsers at once. Try again in a moment.",
		})
	}
	if err := h.client.CheckLogoutIssuer(r.Context(), query.Get("iss")); err != nil {
		return forProgram(err)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), logoutPatience) // the frame may be gone in a moment
	defer cancel()
	of := session.Selector{SID: sid}
	ended, err := h.endAll(ctx, of, "frontchannel")
	if ended > 0 { // a stranger may name any other
		h.recordProviderLogout(v, r, "frontchannel", of, "", ended)
	}
	if err != nil {
		return forProgram(err)
	}
	h.clearDeadSession(v, r)
	v.WriteHeader(http.StatusOK)
	return nil
}

// clearDeadSession deletes the browser's session cookie if it is of no use any more. A session that lives keeps it: it is the only handle.
func (h *Handler) clearDeadSession(v *visit, r *http.Request) {
	in, err := h.ingressOf(r)
	if err != nil {
		return
	}
	value, err := ownCookie(r, in.cookies.session)
	if err != nil || value == "" {
		return
	}
	if _, err := h.sessions.Get(r.Context(), value); errors.Is(err, session.ErrNoSession) || errors.Is(err, session.ErrEnded) {
		h.clearCookie(v, in, in.cookies.session)
	}
}

package proxy

import (
	"errors"
	"net/http"
	"net/url"

	"postern/proxy/pages"
	"postern/session"
)

// loopRounds is how many rounds make a login loop: a browser that comes back for the next login as soon as one is done. Either its session
// cookie does not stick, or the app does not accept the session and sends it to the login again. The next login shows a page that names
// the probable cause.
const loopRounds = 3

// breakLoop refuses a login that is the next round of a loop, or one too many for the rate limit of a browser that has a session (wonderwall's
// ratelimit options).
func (h *Handler) breakLoop(v *visit, r *http.Request, in *ingress, target string) error {
	recent, hash, since := h.rounds(r, in), targetHash(target), h.now().Add(-loopWindow)
	signedIn := h.hasSession(r, in)
	switch {
	case count(recent, sentBack, since, &hash) >= loopRounds:
		h.forgetRounds(v, r, in) // the person has been told: "log in again" is no further round
		return &failure{
			status: http.StatusTooManyRequests, code: "login_loop", page: pages.AppSendsBack, retryAfter: loopWindow,
			description: "The browser is signed in, and the app sends it back to log in again and again.",
			primary:     &pages.Link{Href: loginURL(in, target) + "&prompt=select_account"},
		}
	case !signedIn && count(recent, loginCompleted, since, &hash) >= loopRounds:
		h.forgetRounds(v, r, in)
		return &failure{
			status: http.StatusTooManyRequests, code: "login_loop_no_cookie", page: pages.CookiesMissing, retryAfter: loopWindow,
			description: "Logins succeed, and the browser does not send back the session cookie.",
			primary:     &pages.Link{Href: loginURL(in, target)},
		}
	case !signedIn || !h.cfg.RateLimit.Enabled:
		return nil
	case count(recent, loginStarted, h.now().Add(-h.cfg.RateLimit.Window), nil) >= h.cfg.RateLimit.Logins:
		return &failure{
			status: http.StatusTooManyRequests, code: "too_many_logins", page: pages.TooManyLogins, retryAfter: h.cfg.RateLimit.Window,
			description: "Too many logins in a short time.",
		}
	}
	h.noteRound(v, r, in, loginStarted, target)
	return nil
}

// noteSentBack sees an app that answers somebody who is signed in with a redirect to the login.
func (h *Handler) noteSentBack(r *http.Request, in *ingress, res *http.Response) {
	if res.StatusCode < 300 || res.StatusCode > 399 || h.server != nil { // logins are counted where they are made
		return
	}
	u, err := url.Parse(res.Header.Get("Location"))
	if err != nil || u.Path != in.path+ownPrefix+pathLogin {
		return
	}
	target := localTarget(u.Query().Get("redirect"), in, in.root())
	if cookie := h.countRound(r, in, sentBack, target); cookie != nil {
		res.Header.Add("Set-Cookie", cookie.String())
	}
}

// hasSession says whether the browser sends a session, alive or not. While the store cannot be asked its cookie counts as one: it did stick.
func (h *Handler) hasSession(r *http.Request, in *ingress) bool {
	value, err := ownCookie(r, in.cookies.session)
	if err != nil || value == "" {
		return false
	}
	_, err = h.sessions.Get(r.Context(), value)
	return !errors.Is(err, session.ErrNoSession)
}

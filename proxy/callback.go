package proxy

import (
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"postern/oidc"
	"postern/proxy/pages"
	"postern/session"
)

// maxCallbackParameter bounds a parameter of the authorization response; codes of the known providers stay below 2 KiB.
const maxCallbackParameter = 8 << 10

// callback ends an authorization code flow: GET /oauth2/callback (RFC 6749 §4.1.2, OIDC Core §3.1.2.5). It touches the pending login of
// its state and nothing else, whatever happens (S-32).
func (h *Handler) callback(v *visit, r *http.Request) error {
	if err := mustNavigate(r); err != nil {
		return err
	}
	in, err := h.ingressOf(r)
	if err != nil {
		return err
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil || !singleValued(query) {
		return badRequest("invalid_callback", "The answer of the login service is malformed.")
	}
	p, found, err := h.findPending(r, in, query.Get("state"))
	if err != nil {
		return err
	}
	if !found {
		return h.lostLogin(v, r, in, query.Get("state"))
	}
	if h.now().Unix()-p.StartedAt > int64(loginAge.Seconds()) || p.RedirectURI != in.url(ownPrefix+pathCallback) {
		h.forgetPending(v, in, p)
		return h.lostLogin(v, r, in, p.State)
	}
	previous, err := ownCookie(r, in.cookies.session)
	if err != nil {
		return err
	}
	if err := h.throttle(); err != nil {
		return err
	}
	first, err := h.sessions.Once(r.Context(), statePurpose, p.State, loginAge)
	if err != nil {
		return err // the store cannot be asked: the cookie stays, and the same callback can be tried again
	}
	h.forgetPending(v, in, p)
	if !first {
		return loginExpired(in, p.Target, "state_used_before") // a state is redeemed once (S-23)
	}
	grant, err := h.redeem(r, p, query)
	if err != nil {
		return h.loginFailure(in, p.Target, err)
	}
	return h.signIn(v, r, in, signedIn{p, grant, query.Get("session_state"), previous})
}

// singleValued refuses what another reader might read differently: a parameter sent twice, or of a size that no provider sends.
func singleValued(query url.Values) bool {
	for _, name := range []string{"state", "code", "iss", "error", "error_description", "session_state"} {
		if len(query[name]) > 1 || len(query.Get(name)) > maxCallbackParameter {
			return false
		}
	}
	return true
}

func (h *Handler) redeem(r *http.Request, p pending, query url.Values) (oidc.Grant, error) {
	if code := query.Get("error"); code != "" {
		return oidc.Grant{}, h.client.RefusedResponse(r.Context(), p.PendingLogin, query.Get("iss"), code, query.Get("error_description"))
	}
	return h.client.Redeem(r.Context(), p.PendingLogin, oidc.AuthorizationResponse{
		Code: query.Get("code"), State: query.Get("state"), Iss: query.Get("iss"),
	})
}

// signedIn is a completed login.
type signedIn struct {
	pending
	grant        oidc.Grant
	sessionState string
	previous     string // session cookie that the browser had
}

// signIn makes the session of a completed login. The browser's previous session ends now, and only now: a login that fails leaves it alone.
func (h *Handler) signIn(v *visit, r *http.Request, in *ingress, done signedIn) error {
	sid := done.grant.Identity.SID()
	if sid == "" {
		sid = done.sessionState // OIDC Session Management §2, for providers without "sid"
	}
	created, cookie, err := h.sessions.Create(r.Context(), done.grant, session.Login{SID: sid, Started: time.UnixMicro(done.At)})
	if errors.Is(err, session.ErrOvertaken) {
		h.revoker.revoke(r.Context(), done.grant.Tokens) // nobody will ever use them
	}
	if err != nil {
		return h.loginFailure(in, done.Target, err) // the code is spent: the way on is a new login
	}
	if done.previous != "" {
		h.endPrevious(v, r, done)
	}
	v.identity, v.session = created.Identity(), created.HashedID()
	h.setCookie(v, in, in.cookies.session, cookie, 0)
	h.clearFormer(v, r, in)
	if !done.Prompted {
		h.noteRound(v, r, in, loginCompleted, done.Target)
	}
	h.metrics.logins.WithLabelValues("completed").Inc()
	h.metrics.wonderwall.loggedIn(v.identity, done.Target)
	h.record(v, r, eventLogin, v.identity, slog.String("acr", oidc.CleanText(v.identity.ACR())))
	redirect(v, h.targets.allowed(done.Target, in, h.targets.home(in)))
	return nil
}

// endPrevious ends the session that a completed login replaces. Its tokens are revoked at the provider only if they came of another session there:
// providers may end all tokens of a session, or of a grant, with one of them, and the new ones are among those.
func (h *Handler) endPrevious(v *visit, r *http.Request, done signedIn) {
	previous, err := h.sessions.End(r.Context(), done.previous)
	if err != nil {
		h.warn(v, "the previous session of this browser could not be ended", err)
	}
	if previous == nil {
		return
	}
	h.record(v, r, eventSessionEnded, previous.Identity(), slog.String("by", "new_login"), slog.String("session", previous.HashedID()))
	before, now := previous.Identity().SID(), done.grant.Identity.SID()
	if before != "" && now != "" && before != now {
		h.revoker.revoke(r.Context(), previous.Tokens())
	}
}

// lostLogin answers a callback whose login this browser does not know. A state of ours is started anew, once, since the person has done
// nothing wrong: the cookie expired, or another login took its place. Everything else gets the page.
func (h *Handler) lostLogin(v *visit, r *http.Request, in *ingress, state string) error {
	ours, again := readState(h.ring, state)
	if !ours {
		return loginExpired(in, h.targets.home(in), "unknown_state")
	}
	if again {
		f := loginExpired(in, h.targets.home(in), "cookies_missing")
		f.page, f.description = pages.CookiesMissing, "The browser does not send back the cookie of the login."
		return f
	}
	if err := h.throttle(); err != nil {
		return err
	}
	first, err := h.sessions.Once(r.Context(), statePurpose, state, loginAge)
	if err != nil {
		return err
	}
	if !first {
		return loginExpired(in, h.targets.home(in), "state_used_before")
	}
	return h.startLogin(v, r, in, loginRequest{target: h.targets.home(in), again: true})
}

func loginExpired(in *ingress, target, code string) *failure {
	return &failure{
		status: http.StatusUnauthorized, code: code, page: pages.LoginExpired, primary: &pages.Link{Href: loginURL(in, target)},
		description: "This login has expired or was completed before. Start it again.",
	}
}

// loginRefusal finds the answer to a login that did not succeed. What the provider said about it goes to the log, never to the page.
func loginRefusal(err error) *failure {
	if refusal, ok := errors.AsType[*oidc.RefusalError](err); ok {
		switch {
		case refusal.Code == "access_denied":
			return &failure{
				status: http.StatusForbidden, code: "access_denied", page: pages.LoginDenied, err: err,
				description: "The login was cancelled, or this account may not use the app.",
			}
		case refusal.Code == "temporarily_unavailable", refusal.Code == "server_error":
			return providerTrouble(err)
		case refusal.OurFault():
			return &failure{
				status: http.StatusInternalServerError, code: "login_misconfigured", page: pages.LoginFailed, err: err,
				description: "The login service does not accept this app's configuration.",
			}
		}
	}
	if errors.Is(err, session.ErrOvertaken) {
		return &failure{
			status: http.StatusUnauthorized, code: "logged_out_meanwhile", page: pages.LoginOvertaken, err: err,
			description: "The person was logged out at the login service while logging in. Start the login again.",
		}
	}
	_, invalid := errors.AsType[*oidc.InvalidTokenError](err)
	_, refused := errors.AsType[*oidc.RefusalError](err)
	if invalid || refused {
		return &failure{
			status: http.StatusUnauthorized, code: "login_failed", page: pages.LoginFailed, err: err,
			description: "The login could not be verified. Start it again.",
		}
	}
	return classify(err)
}

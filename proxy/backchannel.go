package proxy

import (
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"time"

	"postern/oidc"
	"postern/session"
)

const (
	maxLogoutForm  = 16 << 10         // of a back-channel logout, in bytes (S-33)
	logoutPatience = 10 * time.Second // for ending sessions, also when the provider has hung up
	logoutPurpose  = "logout token"
)

// logoutBackchannel answers POST /oauth2/logout/backchannel (OIDC Back-Channel Logout 1.0 §2.5): the provider says that a session, or all of a
// person's, are over. It is one server that speaks to another: no cookie counts, no page is shown, and the Host may be any. 200 says that they
// have ended everywhere, or that there were none.
func (h *Handler) logoutBackchannel(v *visit, r *http.Request) error {
	v.Header()["Cache-Control"] = []string{"no-store"}     // §2.8
	if patience := h.cfg.Limits.HeaderTime; patience > 0 { // the form is no longer than a header may be, and from whoever sends one
		_ = http.NewResponseController(v.ResponseWriter).SetReadDeadline(time.Now().Add(patience)) // a writer of tests cannot
	}
	raw, err := readLogoutToken(r)
	if err == nil {
		err = h.endByToken(v, r, raw)
	}
	if err != nil {
		return forProgram(err)
	}
	v.WriteHeader(http.StatusOK)
	return nil
}

// readLogoutToken is the one "logout_token" of a form. Other parameters are none of ours (§2.5).
func readLogoutToken(r *http.Request) (string, error) {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "application/x-www-form-urlencoded" {
		return "", badRequest("invalid_request", "The body must be application/x-www-form-urlencoded.")
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxLogoutForm+1))
	if err != nil || len(body) > maxLogoutForm {
		return "", badRequest("invalid_request", "The body is larger than 16 KiB, or was cut off.")
	}
	form, err := url.ParseQuery(string(body))
	if err != nil || len(form["logout_token"]) != 1 {
		return "", badRequest("invalid_request", "The body must have exactly one logout_token.")
	}
	return form.Get("logout_token"), nil
}

// endByToken ends what a logout token names. The token is used up when that is done: one that came while the store was away may come again (S-33).
func (h *Handler) endByToken(v *visit, r *http.Request, raw string) error {
	token, err := h.client.VerifyLogoutToken(r.Context(), raw)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), logoutPatience) // half of it is no use to anybody
	defer cancel()
	first, err := h.sessions.OnceDone(ctx, logoutPurpose, token.ID, 2*oidc.LogoutTokenAge, func(ctx context.Context) error {
		of := session.Selector{SID: token.SID}
		if token.SID == "" {
			of = session.Selector{Subject: token.Subject}
		}
		ended, err := h.endAll(ctx, of, "backchannel")
		if err == nil || ended > 0 {
			h.recordProviderLogout(v, r, "backchannel", of, token.ID, ended)
		}
		return err
	})
	if err == nil && !first {
		f := badRequest("invalid_request", "The logout token was used before.")
		f.reason = "logout_token_used_before"
		return f
	}
	return err
}

// endAll ends what the provider says is over, on all replicas.
func (h *Handler) endAll(ctx context.Context, of session.Selector, operation string) (ended int, err error) {
	ended, err = h.sessions.EndAll(ctx, of)
	h.metrics.loggedOut(operation, ended)
	return ended, err
}

// forProgram is the answer to an error where no person reads it: JSON, and 400 for a token or an issuer that is not acceptable.
func forProgram(err error) error {
	f := classify(err)
	if unacceptable, ok := errors.AsType[*oidc.InvalidTokenError](err); ok {
		f = badRequest("invalid_request", "The logout is not acceptable: "+unacceptable.Reason+".")
		f.reason, f.err = "logout_not_acceptable", err
	}
	f.noPage = true
	return f
}

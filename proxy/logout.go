package proxy

import (
	"cmp"
	"context"
	"crypto/subtle"
	"net/http"
	"net/url"
	"time"

	"postern/oidc"
	"postern/proxy/pages"
)

// logoutPending is what the logout cookie keeps while the browser is at the provider.
type logoutPending struct {
	State  string
	Target string // validated; empty for the default
}

const logoutAge = time.Hour

// logout ends the session here and at the provider: GET, HEAD or POST /oauth2/logout (OIDC RP-Initiated Logout 1.0).
func (h *Handler) logout(v *visit, r *http.Request) error {
	if r.Method != http.MethodPost {
		if err := mustNavigate(r); err != nil {
			return err
		}
	}
	in, err := h.ingressOf(r)
	if err != nil {
		return err
	}
	if asked, err := h.confirmLogout(v, r, in, pathLogout); asked || err != nil {
		return err
	}
	hint, err := h.endSession(v, r, in, "self_initiated", pathLogout)
	if err != nil {
		return err
	}
	query := r.URL.Query()
	state := newState(h.ring, false)
	returnTo := in.url(ownPrefix + pathLogoutCallback)
	location, err := h.client.EndSessionURL(r.Context(), hint, query.Get("logout_hint"), returnTo, state)
	if err != nil || location == "" {
		if err != nil {
			h.warn(v, "signed out here only: the provider's logout is out of reach", err)
		}
		h.signedOut(v, r, in)
		return nil
	}
	target := h.targets.allowed(query.Get("redirect"), in, "")
	if err := h.saveLogout(v, in, logoutPending{State: state, Target: target}); err != nil {
		return err
	}
	redirect(v, location)
	return nil
}

// logoutLocal ends the session here only: 204, also without one. A person who pressed a button sees a page.
func (h *Handler) logoutLocal(v *visit, r *http.Request) error {
	in, err := h.ingressOf(r)
	if err != nil {
		return err
	}
	if asked, err := h.confirmLogout(v, r, in, pathLogoutLocal); asked || err != nil {
		return err
	}
	if _, err := h.endSession(v, r, in, "local", pathLogoutLocal); err != nil {
		return err
	}
	if r.Method == http.MethodPost && wantsPage(r) { // the button of a page: a browser that gets 204 stays where it is
		h.signedOut(v, r, in)
		return nil
	}
	v.WriteHeader(http.StatusNoContent)
	return nil
}

// logoutCallback is where the provider sends the browser afterwards. What its state says can only change the target.
func (h *Handler) logoutCallback(v *visit, r *http.Request) error {
	if err := mustNavigate(r); err != nil {
		return err
	}
	in, err := h.ingressOf(r)
	if err != nil {
		return err
	}
	target := h.cfg.OpenID.PostLogoutRedirectURI
	if target == "" {
		target = absolute(in, h.targets.home(in))
	}
	if p, found := h.findLogout(r, in); found && p.Target != "" &&
		subtle.ConstantTimeCompare([]byte(p.State), []byte(r.URL.Query().Get("state"))) == 1 {
		target = h.targets.allowed(p.Target, in, target)
	}
	h.clearCookie(v, in, in.cookies.logout)
	redirect(v, target)
	return nil
}

// confirmLogout shows a button instead of acting when another site asks (S-32): the question is this person's to answer. A POST comes
// from that button, or from the app's own page.
func (h *Handler) confirmLogout(v *visit, r *http.Request, in *ingress, path string) (asked bool, err error) {
	if r.Method == http.MethodPost {
		if h.sameOrigin.Check(r) != nil {
			return false, &failure{
				status: http.StatusForbidden, code: "cross_site_request", page: pages.CrossSite,
				description: "A logout is only accepted from the app's own pages.",
			}
		}
		return false, nil
	}
	if !h.bySomebodyElse(r) {
		return false, nil
	}
	h.pages().HTML(v, r, pages.Page{
		Kind: pages.ConfirmLogout, Status: http.StatusOK, RequestID: v.id,
		Form: h.logoutForm(r, in, path), Primary: &pages.Link{Href: h.targets.home(in)},
	})
	return true, nil
}

// logoutForm is a button that logs out. Its answer leads on to the provider, which the page's policy must allow by name where it is not https.
func (h *Handler) logoutForm(r *http.Request, in *ingress, path string) *pages.Form {
	form, keep := &pages.Form{Action: in.path + ownPrefix + path}, h.logoutParameters(r, in)
	if len(keep) > 0 {
		form.Action += "?" + keep.Encode()
	}
	if h.client == nil { // an SSO proxy: what it answers leads nowhere else
		return form
	}
	ctx, cancel := context.WithCancel(r.Context())
	cancel() // what is known already will do
	if location, err := h.client.EndSessionURL(ctx, oidc.Token{}, "", "", ""); err == nil {
		form.Redirects = []string{originOf(location)}
	}
	if h.domain != nil { // and from there to another host
		form.Redirects = append(form.Redirects, originOf(cmp.Or(keep.Get("redirect"), h.domain.fallback)))
	}
	return form
}

func originOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Scheme + "://" + u.Host
}

// logoutParameters are those of a logout that a button repeats: checked, and of a bounded length.
func (h *Handler) logoutParameters(r *http.Request, in *ingress) url.Values {
	const longestHint = 256
	keep, query := url.Values{}, r.URL.Query()
	if target := h.targets.allowed(query.Get("redirect"), in, ""); target != "" {
		keep.Set("redirect", target)
	}
	if hint := query.Get("logout_hint"); hint != "" && len(hint) <= longestHint {
		keep.Set("logout_hint", hint)
	}
	return keep
}

// endSession deletes the browser's session in the store and then its cookie. While the store cannot be asked nothing is ended and nothing
// pretends to be: the cookie stays, since it is the only handle on the session.
func (h *Handler) endSession(v *visit, r *http.Request, in *ingress, operation, path string) (idTokenHint oidc.Token, err error) {
	value, err := ownCookie(r, in.cookies.session)
	if err != nil {
		return oidc.Token{}, err
	}
	if value != "" {
		ended, err := h.sessions.End(r.Context(), value)
		if err != nil {
			f := classify(err)
			f.page, f.form = pages.LogoutFailed, h.logoutForm(r, in, path)
			f.description = "You could not be signed out right now. Try again in a moment."
			return oidc.Token{}, f
		}
		if ended != nil {
			h.revoker.revoke(r.Context(), ended.Tokens())
			idTokenHint, v.identity, v.session = ended.Tokens().ID, ended.Identity(), ended.HashedID()
			h.metrics.loggedOut(operation, 1)
			h.recordLogout(v, r, operation, ended)
		}
		h.clearCookie(v, in, in.cookies.session)
	}
	h.clearFormer(v, r, in)
	h.forgetRounds(v, r, in)
	return idTokenHint, nil
}

func (h *Handler) signedOut(v *visit, r *http.Request, in *ingress) {
	h.pages().HTML(v, r, pages.Page{
		Kind: pages.SignedOut, Status: http.StatusOK, RequestID: v.id,
		Primary: &pages.Link{Href: h.targets.link(in, ownPrefix+pathLogin)}, Secondary: &pages.Link{Href: h.targets.home(in)},
	})
}

func (h *Handler) saveLogout(w http.ResponseWriter, in *ingress, p logoutPending) error {
	sealed, err := sealJSON(h.logoutSealer, in.cookies.logout, p)
	if err != nil { // too long once encoded: the logout matters more
		p.Target = ""
		sealed, err = sealJSON(h.logoutSealer, in.cookies.logout, p)
	}
	if err != nil {
		return err
	}
	h.setCookie(w, in, in.cookies.logout, sealed, logoutAge)
	return nil
}

func (h *Handler) findLogout(r *http.Request, in *ingress) (p logoutPending, found bool) {
	value, err := ownCookie(r, in.cookies.logout)
	if err != nil || value == "" {
		return p, false
	}
	found = openJSON(h.logoutSealer, in.cookies.logout, value, &p)
	return p, found
}

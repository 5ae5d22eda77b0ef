package devidp

import (
	"errors"
	"html/template"
	"net/http"
	"net/url"
	"slices"
)

type logoutView struct {
	Next    template.URL // "" to stay
	Problem string
	Frames  []string
}

// logout is the end session endpoint (OIDC RP-Initiated Logout 1.0 §2).
func (p *IdP) logout(x *exchange) {
	if !x.allow(http.MethodGet, http.MethodPost) {
		return
	}
	q, bad := x.query()
	if bad == nil && !q.single() {
		bad = refuse(9000411)
	}
	if bad != nil {
		x.refusePage(bad)
		return
	}
	hint, err := p.idTokenHint(x, q.get("id_token_hint"))
	if err != nil || (hint.client != "" && q.get("client_id") != "" && hint.client != q.get("client_id")) {
		x.refusePage(refuse(90013).because("id_token_hint is no id token of this provider, or is another client's."))
		return
	}
	ended := p.endSessions(x, hint.sid)
	x.setSession("", -1)
	x.tell(x.r.Context(), ended)
	frames := p.frontChannel(x, ended)
	next, problem := x.afterLogout(q, hint.client)
	status := http.StatusOK
	switch {
	case problem != "":
		status = http.StatusBadRequest
	case next != "" && len(frames) == 0:
		x.redirect(next, nil)
		return
	}
	origins := make([]string, 0, len(frames))
	for _, frame := range frames {
		origins = append(origins, origin(frame))
	}
	// The address is a registered one, with our encoding of the state behind it.
	x.page(status, pageLogout, logoutView{template.URL(next), problem, frames}, policy{frames: origins}) //nolint:gosec // see above
}

// afterLogout is where the browser goes: to an address that the client registered, byte for byte. At Entra ID a client that did not say who it
// is may use that of any.
func (x *exchange) afterLogout(q params, hinted string) (next, problem string) {
	uri := q.get("post_logout_redirect_uri")
	if uri == "" {
		return "", ""
	}
	id := q.get("client_id")
	if hinted != "" {
		id = hinted
	}
	x.idp.mu.Lock()
	registered := false
	for _, c := range x.idp.clients {
		registered = registered || (((id == "" && x.at.lenientEnd) || c.ID == id) && slices.Contains(c.PostLogoutRedirectURIs, uri))
	}
	x.idp.mu.Unlock()
	if !registered {
		return "", "The address to go back to is not registered, or it is not known for whom, so the way ends here."
	}
	if state := q.get("state"); state != "" {
		uri = withQuery(uri, url.Values{"state": {state}})
	}
	return uri, ""
}

// frontChannel is the addresses that tell the clients of a session that it is over (OIDC Front-Channel Logout 1.0 §3).
func (p *IdP) frontChannel(x *exchange, ended []*ssoSession) (frames []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, session := range ended {
		for id := range session.clients {
			if c := p.clients[id]; c != nil && c.FrontChannelLogoutURI != "" {
				frames = append(frames, withQuery(c.FrontChannelLogoutURI, url.Values{"iss": {x.issuer()}, "sid": {session.person.sid}}))
			}
		}
	}
	return distinct(frames)
}

type idTokenHint struct{ client, sid string }

// idTokenHint reads an id token that was issued here, expired or not (RP-Initiated Logout §2), also by a key that is withdrawn by now.
func (p *IdP) idTokenHint(x *exchange, raw string) (idTokenHint, error) {
	if raw == "" {
		return idTokenHint{}, nil
	}
	token, err := parseCompact(raw)
	if err != nil {
		return idTokenHint{}, err
	}
	if text(token.header, "alg") != "RS256" || text(token.claims, "iss") != x.issuer() || text(token.claims, "sid") == "" {
		return idTokenHint{}, errors.New("not an id token of this issuer") // access tokens have no sid
	}
	if err := x.at.keys.verify(text(token.header, "kid"), token.signed, token.signature); err != nil {
		return idTokenHint{}, err
	}
	return idTokenHint{text(token.claims, "aud"), text(token.claims, "sid")}, nil
}

package devidp

import (
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// code is an authorization code (RFC 6749 §4.1.2).
type code struct {
	grant       *grant
	redirectURI string
	challenge   string
	until       time.Time
	family      *family // what was issued for it, nil until it is redeemed
}

// authorize is the authorization endpoint (RFC 6749 §4.1.1, OIDC Core §3.1.2).
func (p *IdP) authorize(x *exchange) {
	if !x.allow(http.MethodGet, http.MethodPost) {
		return
	}
	q, bad := x.query()
	if bad != nil {
		x.refusePage(bad)
		return
	}
	if q.get("request_uri") != "" {
		p.authorizePushed(x, q)
		return
	}
	c, redirectURI, bad := p.addressee(q)
	if bad != nil {
		x.refusePage(bad)
		return
	}
	a, bad := p.authRequest(x, q, c, redirectURI)
	if bad == nil && p.cfg.PAR == PARRequired {
		bad = refuse(90013).because("Authorization requests must be pushed (RFC 9126).")
	}
	if bad != nil {
		state := ""
		if q.single("state") {
			state = q.get("state")
		}
		x.refuseTo(redirectURI, state, bad)
		return
	}
	p.authorized(x, a)
}

// authorized answers a good request: from the single sign-on session if that will do, else by way of the login page.
func (p *IdP) authorized(x *exchange, a *authRequest) {
	if session := p.ssoSession(x); session != nil && x.satisfies(session, a) {
		p.release(x, a, session)
		return
	}
	if a.asks("none") {
		x.refuseTo(a.redirectURI, a.state, refuse(50058))
		return
	}
	if who, ok := x.automatic(a.loginHint); ok {
		p.admit(x, a, who, nil)
		return
	}
	id := p.secret()
	p.mu.Lock()
	x.at.flows.put(id, &flow{request: a}, x.now)
	p.mu.Unlock()
	x.redirect(x.url(EndpointLogin), url.Values{"flow": {id}}) // an address of its own, so that a reload does not spend a request_uri again
}

// satisfies says whether the session may be used without asking anybody.
func (x *exchange) satisfies(s *ssoSession, a *authRequest) bool {
	switch {
	case a.asks("login"), a.asks("select_account"), a.asks("consent"):
		return false
	case x.stepsUp(a, s):
		return false
	case a.maxAge == 0, a.maxAge > 0 && x.now.Sub(s.person.authTime) > time.Duration(a.maxAge)*time.Second:
		return false
	case a.loginHint == "":
		return true
	}
	return s.person.answersTo(a.loginHint)
}

// stepsUp says whether somebody who could prove more than they did is asked to. Whoever cannot is not asked in vain.
func (x *exchange) stepsUp(a *authRequest, s *ssoSession) bool {
	return min(a.level, x.at.most(s.person.Persona)) > s.level
}

// admit starts a new single sign-on session for somebody who has just logged in.
func (p *IdP) admit(x *exchange, a *authRequest, who Persona, extra map[string]any) {
	if who.Denied {
		p.cfg.Log.Info("test provider: login refused", "client", a.client.ID, "persona", who.ID)
		x.refuseTo(a.redirectURI, a.state, refuse(50105))
		return
	}
	session := p.startSession(x, &person{Persona: who, extra: extra, authTime: x.now, sid: p.guid()}, min(a.level, x.at.most(who)))
	p.release(x, a, session)
}

// release sends a code to the client, unless it is an app of Entra ID that the person is not assigned to.
func (p *IdP) release(x *exchange, a *authRequest, session *ssoSession) {
	if x.at.name == Entra && !x.assigned(session.person, a.client) {
		x.refuseTo(a.redirectURI, a.state, refuse(50105))
		return
	}
	value := p.secret()
	p.mu.Lock()
	session.clients[a.client.ID] = true
	x.at.codes.put(value, &code{
		grant: a.grantTo(session.person, x.at.acr(min(a.level, session.level))), redirectURI: a.redirectURI, challenge: a.challenge, until: x.now.Add(codeLife),
	}, x.now)
	p.mu.Unlock()
	p.cfg.Log.Info("test provider: login", "client", a.client.ID, "persona", session.person.ID)
	answer := url.Values{"code": {value}, "session_state": {session.person.sid}, "iss": {x.issuer()}} // iss: RFC 9207 §2
	if a.state != "" {
		answer.Set("state", a.state)
	}
	x.redirect(a.redirectURI, answer)
}

// refuseTo sends an error to the client (RFC 6749 §4.1.2.1). The address has been checked.
func (x *exchange) refuseTo(redirectURI, state string, e *oauthError) {
	answer := url.Values{"error": {e.code}, "error_description": {x.describe(e)}, "iss": {x.issuer()}}
	if state != "" {
		answer.Set("state", state)
	}
	x.redirect(redirectURI, answer)
}

// refusePage shows an error that must not be sent anywhere.
func (x *exchange) refusePage(e *oauthError) {
	number := ""
	if x.at.numbered {
		number = "AADSTS" + strconv.Itoa(e.aadsts)
	}
	x.message(e.status, "This request cannot be answered", e.text, number)
}

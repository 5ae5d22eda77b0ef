package devidp

import (
	"net/http"
	"strings"
)

const requestURIPrefix = "urn:ietf:params:oauth:request_uri:"

// par takes a pushed authorization request (RFC 9126 §2.1). It is checked now, so that the browser never sees a bad one.
func (p *IdP) par(x *exchange) {
	q, c, ok := p.posted(x)
	if !ok {
		return
	}
	if q.get("request_uri") != "" {
		x.fail(refuse(90013).because("A pushed request holds no request_uri."))
		return
	}
	q.values.Set("client_id", c.ID) // with an assertion alone it may be left out
	_, redirectURI, bad := p.addressee(q)
	if bad != nil {
		x.fail(bad)
		return
	}
	a, bad := p.authRequest(x, q, c, redirectURI)
	if bad != nil {
		x.fail(bad)
		return
	}
	reference := p.secret()
	p.mu.Lock()
	x.at.pushed.put(reference, a, x.now)
	p.mu.Unlock()
	x.json(http.StatusCreated, map[string]any{"request_uri": requestURIPrefix + reference, "expires_in": int(pushedLife.Seconds())})
}

// authorizePushed continues a pushed request. The reference works once and for the client that pushed; parameters beside it count for
// nothing (RFC 9126 §4, RFC 9101 §6.3).
func (p *IdP) authorizePushed(x *exchange, q params) {
	if p.cfg.PAR == PAROff {
		x.refusePage(refuse(90013).because("request_uri is not supported."))
		return
	}
	if !q.single("client_id", "request_uri") {
		x.refusePage(refuse(9000411))
		return
	}
	reference, isOurs := strings.CutPrefix(q.get("request_uri"), requestURIPrefix)
	p.mu.Lock()
	a, found := x.at.pushed.get(reference, x.now)
	found = found && isOurs && a.client.ID == q.get("client_id")
	if found {
		x.at.pushed.drop(reference)
	}
	p.mu.Unlock()
	if !found {
		x.refusePage(refuse(90013).because("The request_uri is unknown, used, expired, or was given to another client."))
		return
	}
	p.authorized(x, a)
}

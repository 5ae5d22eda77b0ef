package devidp

import (
	"errors"
	"net/http"
	"time"
)

// token is the token endpoint (RFC 6749 §3.2): who asks, then with what.
func (p *IdP) token(x *exchange) {
	if !x.allow(http.MethodPost) {
		return
	}
	if x.at.login == nil { // TokenX and Maskinporten issue nothing yet: their tokens are minted
		x.fail(refuse(70003))
		return
	}
	answer, err := p.grantOf(x)
	if err != nil {
		p.cfg.Log.Info("test provider: token refused", "error", err.code, "aadsts", err.aadsts)
		x.fail(err)
		return
	}
	x.json(http.StatusOK, answer)
}

func (p *IdP) grantOf(x *exchange) (map[string]any, *oauthError) {
	if x.r.Header.Get("Origin") != "" { // none of the clients here is a single-page application
		return nil, refuse(9002326)
	}
	q, err := x.form()
	if err != nil {
		return nil, err
	}
	if !q.single() {
		return nil, refuse(9000411)
	}
	kind := q.get("grant_type")
	if kind == "authorization_code" || kind == "refresh_token" {
		p.faults.count(string(EndpointToken.Of(x.at.name)) + "/" + kind)
	}
	c, how, err := p.authenticate(x, q)
	if err != nil {
		return nil, err
	}
	if planned := p.faults.tokenError(x.at.name, kind); planned != nil {
		return nil, planned
	}
	switch kind {
	case "authorization_code":
		return p.redeemCode(x, q, c, how)
	case "refresh_token":
		return p.redeemRefreshToken(x, q, c, how)
	case "":
		return nil, missing("grant_type")
	}
	return nil, refuse(70003)
}

// issuance is what goes into one answer of the token endpoint.
type issuance struct {
	grant     *grant
	scopes    scopes // of this answer, at most those of the grant
	how       AuthMethod
	refresh   string // the new refresh token, "" for none
	refreshed bool
}

// issue makes the tokens and the answer (RFC 6749 §5.1).
func (p *IdP) issue(x *exchange, i issuance) (map[string]any, *oauthError) {
	life := p.lifetime()
	answer, err := x.at.login.answer(x.site, i, life)
	var refused *oauthError
	switch {
	case errors.As(err, &refused):
		return nil, refused
	case err != nil:
		return nil, p.broken(err)
	}
	answer["token_type"], answer["expires_in"] = "Bearer", int(life.Seconds())
	if i.scopes.has("openid") {
		answer["id_token"], err = x.sign(Draft{Kind: "id_token", Claims: x.at.login.idClaims(x.site, i.grant, i.refreshed)})
		if err != nil {
			return nil, p.broken(err)
		}
	}
	if i.refresh != "" {
		answer["refresh_token"] = i.refresh
	}
	return answer, nil
}

func (p *IdP) lifetime() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.tokenLifetime
}

// broken is a fault of ours, or of a test's hook.
func (p *IdP) broken(err error) *oauthError {
	p.cfg.Log.Error("test provider: make token", "error", err)
	return refuse(90033)
}

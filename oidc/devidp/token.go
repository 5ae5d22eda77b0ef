package devidp

import (
	"errors"
	"net/http"
	"slices"
	"time"
)

// The grants of the issuers, as grant_type says them.
const (
	GrantAuthorizationCode = "authorization_code"
	GrantRefreshToken      = "refresh_token"
	GrantClientCredentials = "client_credentials"
	GrantJWTBearer         = "urn:ietf:params:oauth:grant-type:jwt-bearer"     // RFC 7523 §2.1: on behalf of a user at Entra ID, and the grant of Maskinporten
	GrantTokenExchange     = "urn:ietf:params:oauth:grant-type:token-exchange" // RFC 8693 §2.1
)

// token is the token endpoint (RFC 6749 §3.2). What comes before the question of who asks is the same at all issuers.
func (p *IdP) token(x *exchange) {
	if !x.allow(http.MethodPost) {
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
	if x.at.login != nil && x.r.Header.Get("Origin") != "" { // none of the clients here is a single-page application
		return nil, refuse(9002326)
	}
	q, err := x.form()
	if err != nil {
		return nil, err
	}
	if !q.single() {
		return nil, refuse(9000411)
	}
	return x.at.tokens(x, q)
}

// byClient is the token endpoint of the issuers at which people log in: who asks, then with what.
func (x *exchange) byClient(q params) (map[string]any, *oauthError) {
	p, kind := x.idp, q.get("grant_type")
	c, how, err := p.authenticate(x, q)
	if err != nil {
		return nil, err
	}
	if planned := p.faults.tokenError(x.at.name, kind); planned != nil {
		return nil, planned
	}
	switch {
	case kind == "":
		return nil, missing("grant_type")
	case !slices.Contains(x.at.grants, kind):
		return nil, refuse(70003)
	}
	switch kind {
	case GrantRefreshToken:
		return p.redeemRefreshToken(x, q, c, how)
	case GrantClientCredentials:
		return p.issueToApp(x, q, c, how)
	case GrantJWTBearer:
		return p.issueOnBehalf(x, q, c, how)
	}
	return p.redeemCode(x, q, c, how)
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
	life := x.lifetime()
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

// lifetime is that of the issuer's access tokens.
func (s site) lifetime() time.Duration {
	s.idp.mu.Lock()
	defer s.idp.mu.Unlock()
	return s.idp.lifetimes[s.at.name]
}

// broken is a fault of ours, or of a test's hook.
func (p *IdP) broken(err error) *oauthError {
	p.cfg.Log.Error("test provider: make token", "error", err)
	return refuse(90033)
}

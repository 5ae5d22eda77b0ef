package devidp

import (
	"net/http"
	"strings"
	"time"
)

// token is the token endpoint (RFC 6749 §3.2): who asks, then with what.
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
		p.faults.count(string(EndpointToken) + "/" + kind)
	}
	c, how, err := p.authenticate(x, q)
	if err != nil {
		return nil, err
	}
	if planned := p.faults.tokenError(kind); planned != nil {
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
	scp, refused := p.granted(i.scopes)
	if refused != nil {
		return nil, refused
	}
	p.mu.Lock()
	life := p.tokenLifetime
	p.mu.Unlock()
	access, err := p.accessToken(x, i, scp, life)
	if err != nil {
		return nil, p.broken(err)
	}
	answer := map[string]any{
		"token_type": "Bearer", "access_token": access, "scope": strings.Join(qualified(i.scopes, scp), " "),
		"expires_in": int(life.Seconds()), "ext_expires_in": int(life.Seconds()),
	}
	if i.scopes.has("openid") {
		answer["id_token"], err = p.sign(Draft{Kind: "id_token", Claims: p.idClaims(x, i.grant, i.refreshed)})
		if err != nil {
			return nil, p.broken(err)
		}
	}
	if i.refresh != "" {
		answer["refresh_token"] = i.refresh
	}
	return answer, nil
}

func (p *IdP) accessToken(x *exchange, i issuance, scp []string, life time.Duration) (string, error) {
	if i.scopes.resource == "" {
		return p.signForGraph(p.graphClaims(x, i.grant, scp, life))
	}
	return p.sign(Draft{Kind: "access_token", Claims: p.accessClaims(x, i.grant, i.scopes.resource, scp, i.how, life)})
}

// qualified is the scope of the answer: permissions of an API carry its name.
func qualified(s scopes, scp []string) []string {
	if s.resource == "" {
		return scp
	}
	words := make([]string, 0, len(scp))
	for _, word := range scp {
		words = append(words, "api://"+s.resource+"/"+word)
	}
	return words
}

// broken is a fault of ours, or of a test's hook.
func (p *IdP) broken(err error) *oauthError {
	p.cfg.Log.Error("test provider: make token", "error", err)
	return refuse(90033)
}

package devidp

import "net/http"

// revocation is the revocation endpoint (RFC 7009 §2). A refresh token takes its whole family with it; access tokens are signed and live out their
// time. A token that is not there, or is another client's, is answered as one that is no more.
func (p *IdP) revocation(x *exchange) {
	q, c, ok := p.posted(x)
	if !ok {
		return
	}
	var bad *oauthError
	switch given := q.get("token"); {
	case given == "":
		bad = missing("token")
	case signed(given):
		bad = refuse(90013).because("Signed tokens cannot be revoked.")
		bad.code = "unsupported_token_type" // RFC 7009 §2.2.1
	default:
		p.revokeFamily(x, given, c)
	}
	if bad != nil {
		x.fail(bad)
		return
	}
	x.w.WriteHeader(http.StatusOK)
}

func signed(token string) bool {
	_, err := parseCompact(token)
	return err == nil
}

func (p *IdP) revokeFamily(x *exchange, token string, c *client) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if held, ok := x.at.refresh.get(token, x.now); ok && held.family.grant.client.ID == c.ID {
		held.family.revoked = true
	}
}

package devidp

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
)

// verifierForm is RFC 7636 §4.1.
var verifierForm = newForm(`^[A-Za-z0-9._~-]{43,128}$`)

// redeemCode is the authorization code grant (RFC 6749 §4.1.3). A code that fails a check stays good for the client that got it: one
// that cannot prove who asked must not be able to spoil it.
func (p *IdP) redeemCode(x *exchange, q params, c *client, how AuthMethod) (map[string]any, *oauthError) {
	if q.get("code") == "" {
		return nil, missing("code")
	}
	p.mu.Lock()
	held, ok := x.at.codes.get(q.get("code"), x.now)
	var (
		refused *oauthError
		refresh string
	)
	switch {
	case !ok, held.grant.client.ID != c.ID:
		refused = refuse(70000)
	case held.family != nil: // RFC 6749 §4.1.2: what was issued for it is revoked
		held.family.revoked = true
		refused = refuse(54005)
	case !x.now.Before(held.until):
		refused = refuse(70008)
	case q.get("redirect_uri") != held.redirectURI:
		refused = refuse(500112)
	case !proves(q.get("code_verifier"), held.challenge):
		refused = refuse(501481)
	default:
		held.family = &family{grant: held.grant}
		if held.grant.refreshable {
			refresh = p.newRefreshToken()
			x.at.refresh.put(refresh, &refreshToken{family: held.family}, x.now)
		}
	}
	p.mu.Unlock()
	if refused != nil {
		return nil, refused
	}
	return p.issue(x, issuance{grant: held.grant, scopes: held.grant.scopes, how: how, refresh: refresh})
}

// proves checks PKCE with S256 (RFC 7636 §4.6).
func proves(verifier, challenge string) bool {
	if !verifierForm.MatchString(verifier) {
		return false
	}
	digest := sha256.Sum256([]byte(verifier))
	return subtle.ConstantTimeCompare([]byte(base64.RawURLEncoding.EncodeToString(digest[:])), []byte(challenge)) == 1
}

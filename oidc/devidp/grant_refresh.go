package devidp

// family is all refresh tokens that come from one login.
type family struct {
	grant   *grant
	revoked bool
}

type refreshToken struct {
	family  *family
	rotated bool // a newer one was given out for it
}

// newRefreshToken is long, as real ones are, so that nobody comes to rely on a short one.
func (p *IdP) newRefreshToken() string {
	return "1." + p.secret() + p.secret() + p.secret() + p.secret()
}

// redeemRefreshToken is the refresh grant (RFC 6749 §6).
func (p *IdP) redeemRefreshToken(x *exchange, q params, c *client, how AuthMethod) (map[string]any, *oauthError) {
	given := q.get("refresh_token")
	if given == "" {
		return nil, missing("refresh_token")
	}
	asked, named := scopes{}, q.get("scope") != ""
	if named {
		var refused *oauthError
		if asked, refused = x.at.login.scopes(x.site, q.get("scope")); refused != nil {
			return nil, refused
		}
	}
	next := ""
	if p.cfg.RefreshRotation != RotateNever {
		next = p.newRefreshToken()
	}
	f, refused := p.rotate(x, given, next, c, func(f *family) *oauthError {
		if named && !asked.within(f.grant.scopes) {
			return refuse(70011).because("It is more than was granted.")
		}
		return nil
	})
	if refused != nil {
		return nil, refused
	}
	if !named {
		asked = f.grant.scopes
	}
	return p.issue(x, issuance{grant: f.grant, scopes: asked, how: how, refresh: next, refreshed: true})
}

// rotate checks a refresh token and puts the next one, if any, in its place: all in one step, so that of two requests with one token the
// strict temperament sees the second as reuse.
func (p *IdP) rotate(x *exchange, given, next string, c *client, may func(*family) *oauthError) (*family, *oauthError) {
	p.mu.Lock()
	defer p.mu.Unlock()
	held, ok := x.at.refresh.get(given, x.now)
	switch {
	case !ok:
		return nil, refuse(70008)
	case held.family.grant.client.ID != c.ID:
		return nil, refuse(70000)
	case held.family.revoked:
		return nil, refuse(50173)
	case held.rotated && p.cfg.RefreshRotation == RotateStrict: // RFC 9700 §4.14.2
		held.family.revoked = true
		return nil, refuse(50173).because("A refresh token was used twice.")
	}
	if refused := may(held.family); refused != nil {
		return nil, refused
	}
	if next != "" {
		held.rotated = true
		x.at.refresh.put(next, &refreshToken{family: held.family}, x.now)
	}
	return held.family, nil
}

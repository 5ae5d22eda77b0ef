package oidc

import (
	"context"
	"errors"
	"slices"
)

// grantedNames are the claims of an access token that count for a session (S-18).
var grantedNames = [...]string{"groups", "roles", "scp", "scope", "hasgroups", "_claim_names"}

// granted returns what a session's access token says about the person, as JSON, if it passes the checks of a bearer token for this
// client; else nothing: then it is handed on but read for nothing. The one error is a *[TroubleError], when that cannot be found out now.
func (c *Client) granted(ctx context.Context, md *Metadata, access Token, person *idToken) (string, error) {
	if !c.preset.grants {
		return "", nil
	}
	jwt, err := parseJWT(access.Raw())
	if err != nil || !allowedAlgorithm(jwt.alg) || !c.isForUs(md, jwt, person) {
		return "", nil
	}
	// Only a token that claims to be of this provider for this client gets here, so that tokens for other APIs, whose keys the provider
	// need not publish to us, cost no fetch.
	keys, err := c.provider.keysFor(ctx, jwt.kid, jwt.alg)
	if t := (*TroubleError)(nil); errors.As(err, &t) {
		return "", err
	}
	for _, key := range keys {
		if verifySignature(jwt, key) != nil || !keySpeaksFor(key, jwt) {
			continue
		}
		return pickGranted(jwt.claims), nil
	}
	return "", nil
}

func keySpeaksFor(key *verificationKey, jwt compactJWT) bool {
	tenant, _ := jwt.claims.text("tid")
	issuer, _ := jwt.claims.text("iss")
	return key.speaksFor(issuer, first(tenant, tenantIn(issuer)))
}

func (c *Client) isForUs(md *Metadata, jwt compactJWT, person *idToken) bool {
	m := jwt.claims
	if m.noTwins() != nil {
		return false
	}
	issuer, err := m.text("iss")
	if err != nil || issuer == "" || issuer != c.provider.issuerOf(md, m) {
		return false
	}
	audience, err := m.audience()
	if err != nil || !slices.ContainsFunc(audience, func(a string) bool {
		return a == c.cfg.ClientID || a == "api://"+c.cfg.ClientID || slices.Contains(c.cfg.Audiences, a)
	}) {
		return false
	}
	now, skew := c.deps.Now().Unix(), int64(clockSkew.Seconds())
	exp, hasExp, err := m.seconds("exp")
	if err != nil || !hasExp || exp+skew <= now {
		return false
	}
	if nbf, _, err := m.seconds("nbf"); err != nil || nbf-skew > now {
		return false
	}
	return samePerson(m, person.claims)
}

// samePerson compares by "oid" where both have it, since "sub" of Entra ID differs by audience; else by "sub".
func samePerson(a, b members) bool {
	for _, name := range []string{"oid", "sub"} {
		of, err1 := a.text(name)
		with, err2 := b.text(name)
		if err1 != nil || err2 != nil {
			return false
		}
		if of != "" && with != "" {
			return of == with
		}
	}
	return false
}

// pickGranted keeps the claims that count, as they are. That the token has none of them is a statement too: then nothing is granted.
func pickGranted(m members) string {
	picked := make(members, len(grantedNames))
	for _, name := range grantedNames {
		if m.has(name) {
			picked[name] = m[name]
		}
	}
	granted := picked.object()
	if _, err := readSessionClaims(granted); err != nil {
		return "" // of types that nobody could read
	}
	return granted
}

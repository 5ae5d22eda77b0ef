package oidc

import (
	"context"
	"slices"
	"strings"
	"time"
)

// LogoutTokenAge is how long ago a logout token may have been issued (S-33).
const LogoutTokenAge = 5 * time.Minute

const (
	maxLogoutToken = 16 << 10
	logoutEvent    = "http://schemas.openid.net/event/backchannel-logout"
)

// LogoutToken is what a provider has said in a logout token (OIDC Back-Channel Logout 1.0 §2.4): a session of a person has ended, or all of
// them. It comes from [Client.VerifyLogoutToken] and nowhere else.
type LogoutToken struct {
	Subject string // empty if only the session is named
	SID     string // empty if all sessions of the subject are meant
	ID      string // issuer and "jti": whoever acts on a token remembers it, for twice [LogoutTokenAge]
}

// VerifyLogoutToken does what OIDC Back-Channel Logout 1.0 §2.6 and S-33 ask, but for remembering the token. Anybody can send one, so everything
// that needs no key is looked at first, and the fetches that an unknown key id may cause are counted apart from those of all other tokens. A
// *[TroubleError] says nothing about the token; an *[InvalidTokenError] has a reason without any of its bytes.
func (c *Client) VerifyLogoutToken(ctx context.Context, raw string) (LogoutToken, error) {
	if len(raw) > maxLogoutToken {
		return LogoutToken{}, invalid("it is larger than 16 KiB")
	}
	jwt, err := parseJWT(raw)
	if err != nil {
		return LogoutToken{}, invalid(err.Error())
	}
	md, err := c.provider.Metadata(ctx)
	if err != nil {
		return LogoutToken{}, err
	}
	issuer, err := c.checkLogoutOrigin(md, jwt)
	if err != nil {
		return LogoutToken{}, err
	}
	said, err := readLogout(jwt.claims)
	if err != nil {
		return LogoutToken{}, err
	}
	said.ID = issuer + " " + said.ID
	keys, err := c.provider.keysOrFetch(ctx, &c.provider.logout, jwt.kid, jwt.alg)
	if err != nil {
		return LogoutToken{}, err
	}
	if _, err := signerOf(jwt, issuer, keys); err != nil {
		return LogoutToken{}, err
	}
	return said, nil
}

// checkLogoutOrigin is what keeps the tokens of others out: type, algorithm, issuer, audience, times. It returns the issuer.
func (c *Client) checkLogoutOrigin(md *Metadata, jwt compactJWT) (issuer string, err error) {
	m := jwt.claims
	if err := m.noTwinsOf(logoutNames); err != nil {
		return "", invalid("it " + err.Error())
	}
	typ := strings.TrimPrefix(strings.ToLower(jwt.typ), "application/") // RFC 7515 §4.1.9
	if typ != "" && typ != "logout+jwt" {                               // RFC 8725 §3.11
		return "", invalid("it is a token of another type")
	}
	if !slices.Contains(md.idTokenAlgorithms(), jwt.alg) { // §2.6 item 2: as for id tokens
		return "", invalid("its algorithm is not one that the provider announces and that is allowed")
	}
	tenant, tenantErr := m.text("tid")
	if issuer, err = m.text("iss"); err != nil || tenantErr != nil || !c.provider.isIssuer(md, issuer) {
		return "", invalid("its issuer is not the provider")
	}
	if tenant != "" && !issuerHasTenant(issuer, tenant) {
		return "", invalid("its tenant is not that of its issuer")
	}
	audience, err := m.audience()
	if err != nil || !slices.Contains(audience, c.cfg.ClientID) {
		return "", invalid("it is not for this client")
	}
	if slices.ContainsFunc(audience, func(a string) bool { return a != c.cfg.ClientID && !slices.Contains(c.cfg.Audiences, a) }) {
		return "", invalid("it is also for an audience that is not trusted")
	}
	return issuer, c.checkLogoutTimes(m)
}

func (c *Client) checkLogoutTimes(m members) error {
	now, skew := c.deps.Now().Unix(), int64(clockSkew.Seconds())
	iat, present, err := m.seconds("iat")
	if err != nil || !present || iat > now+skew || iat < now-int64(LogoutTokenAge.Seconds()) {
		return invalid("its time of issue is missing, in the future or more than five minutes ago")
	}
	exp, present, err := m.seconds("exp")
	if err != nil || present && exp+skew <= now {
		return invalid("it has expired")
	}
	nbf, _, err := m.seconds("nbf")
	if err != nil || nbf > now+skew {
		return invalid("it is not valid yet")
	}
	return nil
}

// readLogout is §2.6 items 4 to 7, and what the token is about.
func readLogout(m members) (said LogoutToken, err error) {
	events, err := readObject(m["events"])
	if err == nil {
		_, err = readObject(events[logoutEvent])
	}
	if err != nil {
		return said, invalid("it is about no logout (events)")
	}
	if m.has("nonce") { // an id token must never pass for one of these
		return said, invalid("it has a nonce")
	}
	for _, claim := range []struct {
		name   string
		target *string
	}{{"jti", &said.ID}, {"sub", &said.Subject}, {"sid", &said.SID}} {
		if *claim.target, err = m.text(claim.name); err != nil || m.has(claim.name) && *claim.target == "" {
			return said, invalid("its " + claim.name + " is not a text")
		}
	}
	switch {
	case said.ID == "":
		return said, invalid("it has no name of its own (jti)")
	case said.Subject == "" && said.SID == "":
		return said, invalid("it names neither a person nor a session")
	case len(said.Subject) > maxSubject:
		return said, invalid("its subject is too long")
	}
	return said, nil
}

// logoutNames are the claims of a logout token that something is decided on.
var logoutNames = newNameSet("iss", "sub", "aud", "iat", "exp", "nbf", "jti", "nonce", "events", "sid", "tid")

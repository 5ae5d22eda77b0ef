package oidc

import (
	"context"
	"crypto/subtle"
	"errors"
	"slices"
	"strings"
	"time"

	gooidc "github.com/coreos/go-oidc/v3/oidc"
)

const (
	// clockSkew: both clocks are kept by NTP, and the token is seconds old, so 60 s as for bearer tokens is not needed; the 5 s of
	// wonderwall fail on hosts that drift a little.
	clockSkew = 30 * time.Second
	// idTokenAge is as long as a login may take (S-23); a token that was issued longer ago cannot be of this login. Entra ID dates its
	// tokens back by some minutes.
	idTokenAge = time.Hour
	maxSubject = 255 // OIDC Core §2
)

// idToken is a verified id token.
type idToken struct {
	compactJWT
	issuer, subject string
	audience        []string
}

// verifyIDToken does what OIDC Core §3.1.3.7 asks of every id token of this client, at login and at refresh. Keys are looked for first,
// because their absence is trouble of ours and no fault of the token; then go-oidc verifies with just these keys. In the one case of a
// *[TroubleError], the token is returned with it, read but not verified.
func (c *Client) verifyIDToken(ctx context.Context, md *Metadata, tokens Tokens) (*idToken, error) {
	jwt, err := parseJWT(tokens.ID.Raw())
	if err != nil {
		return nil, invalid(err.Error())
	}
	if !strings.EqualFold(jwt.typ, "JWT") && !strings.EqualFold(jwt.typ, "application/jwt") && jwt.typ != "" { // RFC 8725 §3.11
		return nil, invalid("it is a token of another type")
	}
	if !slices.Contains(md.idTokenAlgorithms(), jwt.alg) {
		return nil, invalid("its algorithm is not one that the provider announces and that is allowed")
	}
	issuer := c.provider.issuerOf(md, jwt.claims)
	key, verdict, err := c.verifySigned(ctx, jwt, issuer)
	id := &idToken{compactJWT: jwt}
	if t := (*TroubleError)(nil); errors.As(err, &t) {
		return id, err
	} else if err != nil {
		return nil, err
	}
	if err := c.checkClaims(md, id, issuer, key); err != nil {
		return nil, err
	}
	if err := checkAccessTokenHash(jwt, tokens.Access, verdict); err != nil {
		return nil, err
	}
	return id, nil
}

// verification is go-oidc's verdict, given after our own checks have had the chance to name the reason.
type verification struct {
	token *gooidc.IDToken
	err   error
}

// verifySigned returns an error if no key is at hand or none verifies.
func (c *Client) verifySigned(ctx context.Context, jwt compactJWT, issuer string) (*verificationKey, verification, error) {
	for again := false; ; again = true {
		keys, err := c.provider.keysFor(ctx, jwt.kid, jwt.alg)
		if err != nil {
			return nil, verification{}, err
		}
		tried := &heldKeys{jwt: jwt, keys: keys}
		token, err := gooidc.NewVerifier(issuer, tried, &gooidc.Config{
			ClientID:             c.cfg.ClientID,
			SupportedSigningAlgs: []string{jwt.alg},
			Now:                  func() time.Time { return c.deps.Now().Add(-clockSkew) },
		}).Verify(ctx, jwt.raw)
		if tried.used != nil {
			return tried.used, verification{token, err}, nil
		}
		if again {
			return nil, verification{}, invalid("its signature does not verify")
		}
		// This token came from the provider itself: perhaps it has a new key under an old id, as test providers do.
		if err := c.provider.lookFor(ctx, &c.provider.seek, "signed by "+jwt.kid); err != nil {
			return nil, verification{}, err
		}
	}
}

// heldKeys is the key set of one verification.
type heldKeys struct {
	jwt  compactJWT
	keys []*verificationKey
	used *verificationKey
}

// VerifySignature implements [gooidc.KeySet].
func (h *heldKeys) VerifySignature(_ context.Context, raw string) ([]byte, error) {
	for _, key := range h.keys {
		if raw == h.jwt.raw && verifySignature(h.jwt, key) == nil {
			h.used = key
			return []byte(h.jwt.payload), nil
		}
	}
	return nil, errors.New("no key verifies")
}

// checkClaims is OIDC Core §3.1.3.7 items 2 to 5, 9 and 10, stricter than go-oidc and with reasons that quote nothing.
func (c *Client) checkClaims(md *Metadata, id *idToken, issuer string, key *verificationKey) error {
	m := id.claims
	if err := m.noTwins(); err != nil {
		return invalid("it " + err.Error())
	}
	var azp, tenant, sid string
	for _, claim := range []struct {
		name   string
		target *string
	}{{"iss", &id.issuer}, {"sub", &id.subject}, {"azp", &azp}, {"tid", &tenant}, {"sid", &sid}} {
		if err := m.decode(claim.name, claim.target); err != nil {
			return invalid("it " + err.Error())
		}
	}
	var err error
	if id.audience, err = m.audience(); err != nil {
		return invalid("it " + err.Error())
	}
	switch {
	case issuer == "" || id.issuer != issuer:
		return invalid("its issuer is not the provider")
	case key.issuer != "" && strings.ReplaceAll(key.issuer, tenantPlaceholder, tenant) != id.issuer:
		return invalid("its key belongs to another issuer") // S-34
	case c.preset.name == EntraID && tenant != "" && !issuerHasTenant(id.issuer, tenant):
		return invalid("its tenant is not that of its issuer")
	case !slices.Contains(id.audience, c.cfg.ClientID):
		return invalid("it is not for this client")
	case slices.ContainsFunc(id.audience, func(a string) bool { return a != c.cfg.ClientID && !slices.Contains(c.cfg.Audiences, a) }):
		return invalid("it is also for an audience that is not trusted")
	case len(id.audience) > 1 && azp == "":
		return invalid("it is for several audiences and does not say who asked for it")
	case azp != "" && azp != c.cfg.ClientID:
		return invalid("another client asked for it")
	case id.subject == "" || len(id.subject) > maxSubject:
		return invalid("its subject is missing or too long")
	case sid == "" && md.FrontchannelLogoutSupported && md.FrontchannelLogoutSessionSupported:
		// Front-Channel Logout §3 promises it; without it the provider's logout could not end this session.
		return invalid("its session id is missing although the provider promises it for logout")
	}
	return c.checkTimes(id)
}

func (c *Client) checkTimes(id *idToken) error {
	now, skew := c.deps.Now().Unix(), int64(clockSkew.Seconds())
	exp, hasExp, err := id.claims.seconds("exp")
	if err != nil || !hasExp || exp+skew <= now {
		return invalid("it has expired, or has no expiry")
	}
	iat, hasIat, err := id.claims.seconds("iat")
	if err != nil || !hasIat || iat-skew > now || iat < now-skew-int64(idTokenAge.Seconds()) {
		return invalid("its time of issue is missing, in the future or too long ago")
	}
	nbf, _, err := id.claims.seconds("nbf")
	if err != nil || nbf-skew > now {
		return invalid("it is not valid yet")
	}
	return nil
}

// checkAccessTokenHash is OIDC Core §3.1.3.8, last of the common checks: whatever go-oidc did not like and we did not name ends here too.
func checkAccessTokenHash(jwt compactJWT, access Token, v verification) error {
	if v.err != nil {
		return invalid("it does not pass verification")
	}
	if !jwt.claims.has("at_hash") {
		return nil
	}
	if err := v.token.VerifyAccessToken(access.Raw()); err != nil {
		return invalid("its at_hash is not that of the access token")
	}
	return nil
}

// checkLogin is what one login asked for: OIDC Core §3.1.3.7 items 11 to 13.
func (c *Client) checkLogin(id *idToken, pending PendingLogin) error {
	nonce, err := id.claims.text("nonce")
	if err != nil || pending.Nonce == "" || subtle.ConstantTimeCompare([]byte(nonce), []byte(pending.Nonce)) != 1 {
		return invalid("its nonce is not that of this login")
	}
	acr, err := id.claims.text("acr")
	if err != nil || !ACRSatisfies(first(pending.ACR, c.acr), acr) {
		return invalid("its level (acr) is missing or too low")
	}
	at, present, err := id.claims.seconds("auth_time")
	if err != nil {
		return invalid("it " + err.Error())
	}
	if pending.MaxAge && (present || !c.preset.authTimeOptional) && at < pending.StartedAt-int64(clockSkew.Seconds()) {
		return invalid("the person did not authenticate anew, as was asked for")
	}
	return nil
}

// idTokenAlgorithms is what the provider announces, of what is allowed; RS256 if it announces nothing (OIDC Core §3.1.3.7 item 7).
func (md *Metadata) idTokenAlgorithms() []string {
	if len(md.IDTokenSigningAlgValuesSupported) == 0 {
		return []string{"RS256"}
	}
	var allowed []string
	for _, alg := range md.IDTokenSigningAlgValuesSupported {
		if allowedAlgorithm(alg) {
			allowed = append(allowed, alg)
		}
	}
	return allowed
}

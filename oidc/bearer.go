package oidc

import (
	"context"
	"slices"
	"strings"
	"time"
)

const (
	maxBearer    = 16 << 10 // before anything is decoded (CVE-2025-30204 and its kin); servers take no longer header anyway
	bearerLeeway = 60       // seconds, as Texas allows for other people's clocks
)

// Reasons that are given in more than one place.
var (
	errBearerTooLarge = invalid("it is larger than 16 KiB")
	errAlgorithm      = invalid("its algorithm is not one that is accepted from this provider")
	errRevoked        = invalid("its session has been ended by a logout")
	errOtherIssuer    = invalid("its issuer is not the provider")
	errForGraph       = invalid("it is for Microsoft Graph; ask Entra ID for a scope of this API, such as api://CLIENT-ID/.default")
	errEntraVersion   = invalid("it is not of version 2.0; set the accepted token version in the app registration of this API to 2")
)

// parseBearer looks at the shape of a token before anything is believed or looked for.
func parseBearer(raw string) (compactJWT, error) {
	switch {
	case raw == "":
		return compactJWT{}, invalid("it is empty")
	case len(raw) > maxBearer:
		return compactJWT{}, errBearerTooLarge
	case strings.Count(raw, ".") == 4:
		return compactJWT{}, invalid("it is encrypted (JWE); only signed tokens are accepted") // CVE-2026-34986: nobody parses it
	}
	jwt, err := parseJWT(raw)
	if err != nil {
		return compactJWT{}, invalid(err.Error())
	}
	if jwt.kid == "" {
		return compactJWT{}, invalid("its header names no key (kid)")
	}
	if err := jwt.claims.noTwins(); err != nil {
		return compactJWT{}, invalid("it " + err.Error())
	}
	return jwt, nil
}

// verify goes from what says nothing about the token, and so must never become a 401, to what it says itself.
func (a *acceptance) verify(ctx context.Context, jwt compactJWT, now func() time.Time) (*verified, error) {
	if !slices.Contains(a.Algorithms, jwt.alg) { // RFC 8725 §3.1, before a key is looked for
		return nil, errAlgorithm
	}
	keys, err := a.Provider.keysFor(ctx, jwt.kid, jwt.alg)
	if err != nil {
		return nil, err
	}
	announced := a.Provider.state.Load().metadata
	issuer := a.Provider.issuerOf(announced, jwt.claims) // the text that is kept is the provider's, of which there is one
	if got, err := jwt.claims.text("iss"); err != nil || issuer == "" || got != issuer {
		return nil, errOtherIssuer // it was taken for the provider's before the metadata was there
	}
	key, err := signerOf(jwt, issuer, keys)
	if err != nil {
		return nil, err
	}
	expiry, err := a.check(jwt, now())
	if err != nil {
		return nil, err
	}
	caller, err := a.caller(jwt)
	if err != nil {
		return nil, err
	}
	tokenID, _ := jwt.claims.text("jti")
	if tokenID == "" && a.Name == EntraID {
		tokenID, _ = jwt.claims.text("uti")
	}
	a.shared.share(&caller)
	kept := &verifiedBearer{
		verified{from: a, key: key, announced: announced.Issuer, until: expiry + bearerLeeway, weight: weightOf(jwt)},
		Identity{caller: caller, claims: jwt.payload, issuer: issuer, tokenID: tokenID, expiry: time.Unix(expiry, 0)},
	}
	kept.identity = &kept.bearer
	return &kept.verified, nil
}

// signerOf returns the key that has signed the token.
func signerOf(jwt compactJWT, issuer string, keys []*verificationKey) (*verificationKey, error) {
	tenant, err := jwt.claims.text("tid")
	if err != nil {
		return nil, invalid("it " + err.Error())
	}
	verdict := invalid("its key belongs to another issuer") // S-34; CVE-2025-55241: the key of one tenant says nothing about another
	for _, key := range keys {
		if !key.speaksFor(issuer, first(tenant, tenantIn(issuer))) {
			continue
		}
		if verifySignature(jwt, key) == nil {
			return key, nil
		}
		verdict = invalid("its signature does not verify")
	}
	return nil, verdict
}

// check is what is asked of the tokens of every provider (tokens.md 6.2). It returns "exp".
func (a *acceptance) check(jwt compactJWT, now time.Time) (expiry int64, err error) {
	switch strings.ToLower(jwt.typ) { // RFC 8725 §3.11: other types are not access tokens, our own assertion among them
	case "", "jwt", "at+jwt", "application/at+jwt":
	default:
		return 0, invalid("it is a token of another type (typ)")
	}
	m := jwt.claims
	if err := m.noTwinsOf(a.readNames); err != nil {
		return 0, invalid("it " + err.Error())
	}
	if err := a.checkAudience(m); err != nil {
		return 0, err
	}
	if expiry, err = checkBearerTimes(m, now.Unix()); err != nil {
		return 0, err
	}
	if m.has("cnf") { // RFC 7800; S-26
		return 0, invalid("it is bound to a key (cnf), which cannot be checked here")
	}
	return expiry, nil
}

func (a *acceptance) checkAudience(m members) error {
	audience, err := m.audience()
	switch {
	case err != nil:
		return invalid("it " + err.Error())
	case m.has("aud") && len(audience) == 0:
		return invalid("its audience (aud) is empty")
	case a.isFor(audience):
		return nil
	case len(audience) == 0:
		return invalid("it does not say for whom it is (aud)")
	case slices.ContainsFunc(audience, isGraph):
		return errForGraph
	}
	return invalid("it is for another audience (aud)")
}

// isFor says whether one of a token's audiences is one of ours (RFC 7519 §4.1.3).
func (a *acceptance) isFor(audience []string) bool {
	return len(a.Audiences) == 0 || slices.ContainsFunc(audience, func(one string) bool { return slices.Contains(a.Audiences, one) })
}

// isGraph knows Microsoft Graph, whose tokens are not meant to be read by anybody else.
func isGraph(audience string) bool {
	return audience == "00000003-0000-0000-c000-000000000000" || strings.TrimSuffix(audience, "/") == "https://graph.microsoft.com"
}

// checkBearerTimes asks for "exp" and "iat", and for "nbf" where it is there (RFC 7519 §4.1.4 to 4.1.6).
func checkBearerTimes(m members, now int64) (expiry int64, err error) {
	expiry, hasExpiry, err := m.seconds("exp")
	switch {
	case err != nil:
		return 0, invalid("it " + err.Error())
	case !hasExpiry:
		return 0, invalid("it does not say when it ends (exp)")
	case expiry+bearerLeeway < now:
		return 0, invalid("it has expired")
	}
	issued, hasIssued, err := m.seconds("iat")
	switch {
	case err != nil:
		return 0, invalid("it " + err.Error())
	case !hasIssued || issued < 0:
		return 0, invalid("it does not say when it was issued (iat)")
	case issued-bearerLeeway > now:
		return 0, invalid("it was issued in the future (iat)")
	}
	notBefore, _, err := m.seconds("nbf")
	switch {
	case err != nil:
		return 0, invalid("it " + err.Error())
	case notBefore-bearerLeeway > now:
		return 0, invalid("it is not valid yet (nbf)")
	}
	return expiry, nil
}

package oidc

import (
	"context"
	"encoding/base64"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// flaw is what is wrong with a token, in Texas' words where it has any: clients and tests know them (tokens.md 1.8).
type flaw struct{ reason, text string }

func (f *flaw) Error() string { return f.text }

var (
	flawShape     = &flaw{"header", "invalid token header: InvalidToken"}
	flawNoKey     = &flaw{"no_key_id", "missing key id from token header"}
	flawStranger  = &flaw{"unknown_key", "token can not be validated with this identity provider"}
	flawCritical  = &flaw{"header", "invalid token: it has critical extensions"}
	flawAlgorithm = &flaw{"algorithm", "invalid token: InvalidAlgorithm"}
	flawSignature = &flaw{"signature", "invalid token: InvalidSignature"}
	flawExpired   = &flaw{"expired", "invalid token: ExpiredSignature"}
	flawEarly     = &flaw{"immature", "invalid token: ImmatureSignature"}
	flawIssuer    = &flaw{"issuer", "invalid token: InvalidIssuer"}
	flawAudience  = &flaw{"audience", "invalid token: InvalidAudience"}
	flawIDToken   = &flaw{"id_token", "invalid token: it is an id token; send an access token"}
)

const noBase64 = "Base64 error: a part is not base64url"

func headerFlaw(text string) error { return &flaw{"header", "invalid token header: " + text} }

func claimsFlaw(text string) error { return &flaw{"claims", "invalid token: " + text} }

func missingClaim(name string) error { return claimsFlaw("Missing required claim: " + name) }

// look is the long way, in Texas' order: of several flaws the first is told. Errors are flaws, or trouble.
func (p *introspected) look(ctx context.Context, raw string, now func() time.Time) (*verified, error) {
	jwt, critical, err := readTokenHeader(raw)
	if err != nil {
		return nil, err
	}
	if jwt.kid == "" {
		return nil, flawNoKey
	}
	claimsErr := readTokenClaims(&jwt)
	keys, err := p.keys(ctx, jwt)
	switch {
	case err != nil:
		return nil, err
	case critical: // RFC 7515 §4.1.11: we understand no extension
		return nil, flawCritical
	case !slices.Contains(p.Algorithms, jwt.alg):
		return nil, flawAlgorithm
	}
	key, err := signedBy(&jwt, keys)
	if err != nil {
		return nil, err
	}
	if claimsErr != nil {
		return nil, claimsErr
	}
	metadata := p.Provider.state.Load().metadata
	expiry, err := p.check(jwt, key, metadata, now().Unix())
	if err != nil {
		return nil, err
	}
	answer := activeAnswer(jwt)
	return &verified{
		answer: answer, from: p.from, key: key, announced: metadata.Issuer, until: expiry + bearerLeeway, weight: uint32(1<<10 + len(answer)),
	}, nil
}

// readTokenHeader reads the first of three parts and nothing else.
func readTokenHeader(raw string) (jwt compactJWT, critical bool, err error) {
	if strings.Count(raw, ".") != 2 {
		return jwt, false, flawShape
	}
	decoded, ok := decodePart(raw[:strings.IndexByte(raw, '.')])
	if !ok {
		return jwt, false, headerFlaw(noBase64)
	}
	header, err := readObject(string(decoded))
	if err == nil {
		err = header.noTwinsOf(headerNames)
	}
	// "jku", "x5u", "jwk" and "x5c" are not even read: keys come from the provider's metadata (RFC 8725 §3.10).
	for _, one := range []struct {
		name string
		to   *string
	}{{"alg", &jwt.alg}, {"kid", &jwt.kid}, {"typ", &jwt.typ}} {
		if err == nil {
			err = header.decode(one.name, one.to)
		}
	}
	switch {
	case err != nil:
		return jwt, false, headerFlaw("JSON error: it " + err.Error())
	case !allowedAlgorithm(jwt.alg) && jwt.alg != "HS256" && jwt.alg != "HS384" && jwt.alg != "HS512": // Texas knows these and refuses them later
		return jwt, false, headerFlaw("JSON error: unknown algorithm")
	}
	jwt.raw, jwt.signed = raw, raw[:strings.LastIndexByte(raw, '.')]
	return jwt, header.has("crit") || header.has("b64"), nil
}

// readTokenClaims reads the second part. Its flaw is told when the signature is known to be good, its claims are needed before.
func readTokenClaims(jwt *compactJWT) error {
	decoded, ok := decodePart(jwt.signed[strings.IndexByte(jwt.signed, '.')+1:])
	if !ok {
		return claimsFlaw(noBase64)
	}
	claims, err := readObject(string(decoded))
	if err == nil && !utf8.Valid(decoded) {
		err = errors.New("is not UTF-8") // RFC 8259 §8.1; it is going to be part of an answer
	}
	if err == nil {
		err = claims.noTwins()
	}
	if err != nil {
		return claimsFlaw("JSON error: it " + err.Error())
	}
	jwt.payload, jwt.claims = string(decoded), claims
	return nil
}

// decodePart is strict, so that a token has one spelling: no line breaks, no padding, no stray bits at the end.
func decodePart(part string) (decoded []byte, ok bool) {
	decoded, err := base64.RawURLEncoding.Strict().DecodeString(part)
	return decoded, err == nil && !strings.ContainsAny(part, "\r\n")
}

// keys are those that may have signed the token. A token of another issuer is told so without a fetch, and without our keys' trouble:
// it could not become one of this provider.
func (p *introspected) keys(ctx context.Context, jwt compactJWT) ([]*verificationKey, error) {
	alg := jwt.alg
	if !slices.Contains(p.Algorithms, alg) {
		alg = p.Algorithms[0] // Texas looks for the key first, and minds the algorithm afterwards
	}
	if len(jwt.kid) > maxKeyID {
		return nil, flawStranger
	}
	if s := p.Provider.state.Load(); (s == nil || len(s.keys.find(jwt.kid, alg)) == 0) && !p.mayIssue(jwt.claims) {
		return nil, flawStranger
	}
	found, err := p.Provider.keysFor(ctx, jwt.kid, alg)
	if _, unknown := errors.AsType[*InvalidTokenError](err); unknown {
		return nil, flawStranger
	}
	return found, err
}

func (p *introspected) mayIssue(claims members) bool {
	return slices.ContainsFunc(issuersIn(claims), func(issuer string) bool { return p.Provider.mayIssue(issuer, claims) })
}

// issuersIn is "iss", which Texas takes as a list too.
func issuersIn(claims members) []string {
	var all stringOrList
	if claims.decode("iss", &all) != nil {
		return nil
	}
	return all
}

func signedBy(jwt *compactJWT, keys []*verificationKey) (*verificationKey, error) {
	var ok bool
	if jwt.signature, ok = decodePart(jwt.raw[len(jwt.signed)+1:]); !ok {
		return nil, claimsFlaw(noBase64)
	}
	for _, key := range keys {
		if verifySignature(*jwt, key) == nil {
			return key, nil
		}
	}
	return nil, flawSignature
}

// check asks what is asked of each token whose signature is good, and returns "exp".
func (p *introspected) check(jwt compactJWT, key *verificationKey, metadata *Metadata, now int64) (expiry int64, err error) {
	m := jwt.claims
	issuers := issuersIn(m)
	if len(issuers) == 0 {
		return 0, missingClaim("iss")
	}
	expiry, hasExpiry, err := m.seconds("exp")
	if err != nil || !hasExpiry {
		return 0, missingClaim("exp")
	}
	audience, audienceErr := m.audience()
	if len(p.Audiences) > 0 && (audienceErr != nil || !m.has("aud") || m["aud"] == "null") {
		return 0, missingClaim("aud")
	}
	notBefore, _, err := m.seconds("nbf")
	issuer, tenant := p.Provider.issuerOf(metadata, m), ""
	switch {
	case err != nil:
		return 0, claimsFlaw("Invalid format for claim: nbf")
	case expiry+bearerLeeway < now:
		return 0, flawExpired
	case notBefore-bearerLeeway > now:
		return 0, flawEarly
	case issuer == "" || !slices.Contains(issuers, issuer):
		return 0, flawIssuer
	case len(p.Audiences) > 0 && !slices.ContainsFunc(audience, func(one string) bool { return slices.Contains(p.Audiences, one) }):
		return 0, flawAudience
	}
	issued, err := strconv.ParseInt(m["iat"], 10, 64)
	switch {
	case err != nil || issued < 0:
		return 0, missingClaim("iat")
	case issued-bearerLeeway > now:
		return 0, flawEarly
	}
	if err := m.decode("tid", &tenant); err != nil || !key.speaksFor(issuer, first(tenant, tenantIn(issuer))) { // S-34
		return 0, flawStranger
	}
	if p.isIDToken(jwt) {
		return 0, flawIDToken
	}
	return expiry, nil
}

// isIDToken knows what is recognisably one (S-45). TokenX issues none, and its tokens have copies of what the user's own token said.
func (p *introspected) isIDToken(jwt compactJWT) bool {
	isAccessToken := strings.HasSuffix(strings.ToLower(jwt.typ), "at+jwt") // RFC 9068 §2.1
	return p.Name != TokenX && !isAccessToken && isIDToken(&claimReader{members: jwt.claims})
}

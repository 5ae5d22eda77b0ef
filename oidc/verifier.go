package oidc

import (
	"context"
	"slices"
	"strings"

	"postern/oidc/meter"
	"postern/oidc/trace"
)

// Acceptance says how tokens of one provider are accepted inbound.
type Acceptance struct {
	Name       string    // "entra_id", "tokenx", "maskinporten", "idporten", "openid" or the issuer's own; no two may be the same
	Provider   *Provider // whose metadata and keys count
	Audiences  []string  // one of these; none: not compared (Maskinporten only)
	Algorithms []string  // none: RS256. RSA keys without "alg" verify ProviderConfig.FallbackAlg and no other

	TenantID     string            // Entra ID: AZURE_APP_TENANT_ID; empty: the GUID in the issuer if it has one
	Applications map[string]string // Entra ID: client id to cluster:namespace:app
	IDPorten     *Provider         // TokenX: the enabled ID-porten, whose issuer "idp" is compared with; nil if there is none
	Claims       map[string]string // further issuers: our name of a claim to theirs (groups, roles, scope, name, preferred_username, email, acr)
}

// Verifier turns bearer tokens into identities. It remembers those that it has verified.
type Verifier struct {
	accept  []*acceptance
	cache   *verifiedCache
	asked   *meter.Cache
	unknown tokenCounts // tokens of no provider that is accepted
	deps    Deps
}

// NewVerifier does no I/O. cacheBytes bounds what is remembered; 0 means a default. An error means that the configuration cannot work.
func NewVerifier(accept []Acceptance, cacheBytes int64, d Deps) (*Verifier, error) {
	accepted, err := newAcceptances(accept)
	if err != nil {
		return nil, err
	}
	v := &Verifier{accept: accepted, cache: newVerifiedCache(fingerprintOf(accept), cacheBytes, d.withDefaults().Now), deps: d.withDefaults()}
	counter := newTokenCounter(d.Registerer)
	v.asked = v.cache.metrics(d.Registerer, meter.VerifiedTokens)
	v.unknown = counter.of("unknown")
	for _, a := range v.accept {
		a.counts = counter.of(a.Name)
	}
	return v, nil
}

// Verify returns the bearer of a token. A *[TroubleError] says nothing about the token (503); an *[InvalidTokenError] has a reason without
// any of the token's bytes, fit for error_description. It may be called by any number of goroutines; the identity is shared by all who
// bring the same token.
func (v *Verifier) Verify(ctx context.Context, raw string) (*Identity, error) {
	if len(raw) > maxBearer { // before it is so much as hashed
		v.unknown.add(tokenInvalid)
		return nil, errBearerTooLarge
	}
	key := v.cache.keyOf(raw)
	if v.deps.Revocations.Has(raw) {
		v.unknown.add(tokenInvalid)
		return nil, errRevoked
	}
	now := v.deps.Now()
	if kept := v.cache.get(key, now); kept != nil {
		good, err := kept.stillGood(now)
		switch {
		case err != nil:
			kept.from.counts.add(tokenTrouble)
			return nil, err
		case good:
			kept.from.counts.add(tokenHit)
			v.asked.Hit()
			return kept.identity, nil
		}
		v.cache.drop(key) // and look again: if its key was withdrawn, the token may have become trouble or invalid
	}
	v.asked.Miss()
	made, err := v.verify(ctx, raw)
	if err != nil {
		return nil, err
	}
	v.cache.keep(key, made)
	return made.identity, nil
}

// verify is the long way. No two goroutines share it, even with the same token: what one finds out is nobody else's answer (CVE-2026-71326).
func (v *Verifier) verify(ctx context.Context, raw string) (*verified, error) {
	jwt, err := parseBearer(raw)
	if err != nil {
		v.unknown.add(tokenInvalid)
		return nil, err
	}
	a, err := v.choose(jwt.claims)
	if err != nil {
		v.unknown.add(tokenInvalid)
		return nil, err
	}
	ctx, span := trace.Start(ctx, "validate token", trace.Internal)
	span.SetText("postern.provider", a.Name)
	made, err := a.verify(ctx, jwt, v.deps.Now)
	a.counts.addOutcome(err)
	endValidation(span, err)
	return made, err
}

// choose takes the provider by the unverified issuer, exactly. Of several with the same issuer it is the one that the token is for; if it
// is for none, the first will say so.
func (v *Verifier) choose(m members) (*acceptance, error) {
	issuer, err := m.text("iss")
	if err != nil || issuer == "" {
		return nil, invalid("it does not say who issued it (iss)")
	}
	audience, _ := m.audience() // if it is malformed, the check of the audience will say so
	var chosen *acceptance
	for _, a := range v.accept {
		if !a.Provider.mayIssue(issuer, m) {
			continue
		}
		if a.isFor(audience) {
			return a, nil
		}
		if chosen == nil {
			chosen = a
		}
	}
	if chosen == nil {
		return nil, v.strangerError(issuer, audience)
	}
	return chosen, nil
}

// strangerError helps with the two tokens of Entra ID that developers send by mistake.
func (v *Verifier) strangerError(issuer string, audience []string) error {
	if slices.ContainsFunc(audience, isGraph) {
		return errForGraph
	}
	if strings.HasPrefix(issuer, "https://sts.windows.net/") && slices.ContainsFunc(v.accept, func(a *acceptance) bool { return a.Name == EntraID }) {
		return errEntraVersion
	}
	return invalid("its issuer is not one whose tokens are accepted here")
}

// Issuers are the accepted issuers, as far as they are known now, without those for many tenants: authorization_servers of RFC 9728.
// An issuer is known by the configuration or once the provider's metadata was read; one that is merely guessed is left out.
func (v *Verifier) Issuers() []string {
	var issuers []string
	for _, a := range v.accept {
		if issuer := a.Provider.knownIssuer(); issuer != "" && !slices.Contains(issuers, issuer) {
			issuers = append(issuers, issuer)
		}
	}
	return issuers
}

// Inspect reads claims (JSON) or a whole token, as Verify would, without network and without looking at the signature, for `postern
// explain`. The caller is returned as far as it can be read, with the error that Verify would give; it is nil if not even the provider is
// known. Claims alone have no header: they are read as those of a token whose header has no type.
func (v *Verifier) Inspect(claimsOrToken string) (*Caller, error) {
	jwt, err := parseForInspection(claimsOrToken)
	if err != nil {
		return nil, err
	}
	if jwt.raw == "" { // claims that somebody wrote down are of no particular time
		now := v.deps.Now().Unix()
		jwt.claims.setIfAbsent("exp", now+bearerLeeway)
		jwt.claims.setIfAbsent("iat", now)
	}
	a, err := v.choose(jwt.claims)
	if err != nil {
		return nil, err
	}
	caller, classErr := a.caller(jwt)
	if jwt.raw != "" && !slices.Contains(a.Algorithms, jwt.alg) {
		return &caller, errAlgorithm
	}
	if _, err := a.check(jwt, v.deps.Now()); err != nil {
		return &caller, err
	}
	return &caller, classErr
}

func parseForInspection(claimsOrToken string) (compactJWT, error) {
	text := strings.TrimSpace(claimsOrToken)
	if !strings.HasPrefix(text, "{") {
		return parseBearer(text)
	}
	claims, err := readObject(text)
	if err == nil {
		err = claims.noTwins()
	}
	if err != nil {
		return compactJWT{}, invalid("it " + err.Error())
	}
	return compactJWT{payload: text, claims: claims}, nil
}

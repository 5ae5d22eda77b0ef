package oidc

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"postern/oidc/meter"
)

// Introspected is one provider whose tokens the app may have looked into.
type Introspected struct {
	Name       string // EntraID, TokenX, Maskinporten, IDPorten or OpenID; no two may be the same
	Provider   *Provider
	Audiences  []string // one of these; none: not compared
	Algorithms []string // none: RS256
}

// Introspection is what there is to say of a token.
type Introspection struct {
	JSON   []byte // the whole answer; shared, not to be changed
	Reason string // why the token is not active, a stable code for metrics; empty for an active one
}

// Active says whether the token is good.
func (i Introspection) Active() bool { return i.Reason == "" }

// Introspector tells the app whether a token is good and what it says, as Texas does and in its words (tokens.md 1.8). It decides nothing
// on what a token says: that is [Verifier]'s. It remembers the tokens that were good, with their answers.
type Introspector struct {
	providers map[string]*introspected
	cache     *verifiedCache
	asked     *meter.Cache
	deps      Deps
}

// introspected is a checked [Introspected].
type introspected struct {
	Introspected
	from  *acceptance    // as which an entry of the cache knows its provider
	cache *verifiedCache // under the settings of this provider
}

// NewIntrospector does no I/O. cacheBytes bounds what is remembered; 0 means a default.
func NewIntrospector(list []Introspected, cacheBytes int64, d Deps) (*Introspector, error) {
	d = d.withDefaults()
	i := &Introspector{
		providers: make(map[string]*introspected, len(list)), deps: d,
		cache: newVerifiedCache([sha256.Size]byte{}, cacheBytes, d.Now),
	}
	var problems []error
	for n, one := range list {
		if err := one.problem(); err != nil {
			problems = append(problems, fmt.Errorf("introspect tokens of %s: %w", first(one.Name, fmt.Sprintf("entry %d", n+1)), err))
			continue
		}
		if i.providers[one.Name] != nil {
			problems = append(problems, fmt.Errorf("introspect tokens of %s: the name is taken twice", one.Name))
			continue
		}
		i.providers[one.Name] = newIntrospected(one, i.cache)
	}
	i.asked = i.cache.metrics(d.Registerer, meter.Introspections)
	return i, errors.Join(problems...)
}

func (one Introspected) problem() error {
	switch {
	case one.Name == "":
		return errors.New("name is missing")
	case one.Provider == nil:
		return errors.New("provider is missing")
	case len(one.Audiences) == 0 && one.Name != Maskinporten, slices.Contains(one.Audiences, ""):
		return errors.New("audience is missing") // tokens.md 1.6: every provider's is compared but Maskinporten's
	}
	for _, alg := range one.Algorithms {
		if !allowedAlgorithm(alg) {
			return fmt.Errorf("algorithm %q is not one of RS, PS, ES 256, 384, 512 or EdDSA", alg)
		}
	}
	return nil
}

func newIntrospected(one Introspected, cache *verifiedCache) *introspected {
	one.Audiences = slices.Clone(one.Audiences)
	if one.Algorithms = slices.Clone(one.Algorithms); len(one.Algorithms) == 0 {
		one.Algorithms = []string{"RS256"}
	}
	return &introspected{
		Introspected: one, cache: cache.under(one.fingerprint()),
		from: &acceptance{Acceptance: Acceptance{Name: one.Name, Provider: one.Provider}},
	}
}

// fingerprint covers all that an answer depends on but the token, the provider's name above all: a token of one is never another's hit.
func (one Introspected) fingerprint() [sha256.Size]byte {
	text, err := json.Marshal(map[string]any{
		"introspect": one.Name, "provider": one.Provider.cfg, "audiences": one.Audiences, "algorithms": one.Algorithms,
	})
	if err != nil {
		panic(err) // texts, lists of texts, and booleans always encode
	}
	return sha256.Sum256(text)
}

// Introspect looks into a token as one of the named provider. The only error is a *[TroubleError], which says nothing about the token: nobody
// can know now (503). What one goroutine waits for is waited for by no other.
func (i *Introspector) Introspect(ctx context.Context, provider, raw string) (Introspection, error) {
	p := i.providers[provider]
	switch {
	case p == nil:
		return inactive(&flaw{"not_enabled", "identity provider '" + provider + "' is not enabled"}), nil
	case len(raw) > maxBearer: // before it is so much as hashed
		return inactive(&flaw{"too_large", "invalid token: it is larger than 16 KiB"}), nil
	case i.deps.Revocations.Has(raw): // S-09
		return inactive(&flaw{"revoked", "invalid token: its session has been ended by a logout"}), nil
	}
	key, now := p.cache.keyOf(raw), i.deps.Now()
	if kept := p.cache.get(key, now); kept != nil {
		switch good, err := kept.stillGood(now); {
		case err != nil:
			return Introspection{}, err
		case good:
			i.asked.Hit()
			return Introspection{JSON: kept.answer}, nil
		}
		p.cache.drop(key) // and look again: it may have become trouble, or there is a better text
	}
	i.asked.Miss()
	made, err := p.look(ctx, raw, i.deps.Now)
	if found, ok := errors.AsType[*flaw](err); ok {
		return inactive(found), nil
	}
	if err != nil {
		return Introspection{}, err
	}
	p.cache.keep(key, made)
	return Introspection{JSON: made.answer}, nil
}

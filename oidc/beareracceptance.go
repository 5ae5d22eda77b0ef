package oidc

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// acceptance is a checked [Acceptance].
type acceptance struct {
	Acceptance
	readNames *nameSet // claims of this provider that are read beyond decidedNames
	counts    tokenCounts
	shared    sharedTexts
}

// newAcceptances returns all problems at once.
func newAcceptances(accept []Acceptance) ([]*acceptance, error) {
	var checked []*acceptance
	var problems []error
	for i, a := range accept {
		if err := a.problems(); err != nil {
			problems = append(problems, fmt.Errorf("accept tokens of %s: %w", first(a.Name, fmt.Sprintf("entry %d", i+1)), err))
			continue
		}
		for _, other := range checked {
			if err := a.collidesWith(other); err != nil {
				problems = append(problems, fmt.Errorf("accept tokens of %s: %w", a.Name, err))
			}
		}
		checked = append(checked, newAcceptance(a))
	}
	return checked, errors.Join(problems...)
}

// mappedNames are the claims of further issuers that can have another name (issuers[].claims).
var mappedNames = [...]string{"groups", "roles", "scope", "name", "preferred_username", "email", "acr"}

func (a Acceptance) problems() error {
	var problems []error
	if a.Name == "" {
		problems = append(problems, errors.New("name is missing"))
	}
	if a.Provider == nil {
		problems = append(problems, errors.New("provider is missing"))
	}
	// S-26: without an audience every token of the issuer, for whomever, would be good here. Maskinporten's are bound by scope.
	if len(a.Audiences) == 0 && a.Name != Maskinporten || slices.Contains(a.Audiences, "") {
		problems = append(problems, errors.New("audience is missing"))
	}
	for _, alg := range a.Algorithms {
		if !allowedAlgorithm(alg) {
			problems = append(problems, fmt.Errorf("algorithm %q is not one of RS, PS, ES 256, 384, 512 or EdDSA", alg))
		}
	}
	switch a.Name {
	case EntraID, TokenX, Maskinporten, IDPorten:
		if len(a.Claims) > 0 {
			problems = append(problems, errors.New("claims can be mapped for further issuers only")) // S-19
		}
	}
	for _, ours := range slices.Sorted(maps.Keys(a.Claims)) {
		if !slices.Contains(mappedNames[:], ours) {
			problems = append(problems, fmt.Errorf("claim %q is not one of %s", ours, strings.Join(mappedNames[:], ", ")))
		} else if a.Claims[ours] == "" {
			problems = append(problems, fmt.Errorf("claim %q is mapped to nothing", ours))
		}
	}
	return errors.Join(problems...)
}

// collidesWith keeps it clear whose a token is (S-26).
func (a Acceptance) collidesWith(other *acceptance) error {
	if a.Name == other.Name {
		return errors.New("the name is taken twice")
	}
	if a.Provider.expectedIssuer() != other.Provider.expectedIssuer() {
		return nil
	}
	if len(a.Audiences) == 0 || len(other.Audiences) == 0 || slices.ContainsFunc(a.Audiences, func(one string) bool { return slices.Contains(other.Audiences, one) }) {
		return fmt.Errorf("%s has the same issuer, and their audiences do not differ", other.Name)
	}
	return nil
}

// expectedIssuer is what can be said without the network.
func (p *Provider) expectedIssuer() string {
	if p.cfg.Issuer != "" {
		return p.cfg.Issuer
	}
	derived, _ := deriveIssuer(p.cfg.WellKnownURL) // NewProvider has refused addresses from which nothing can be derived
	return derived
}

// newAcceptance takes its own copies: the cache's key is made of these settings, so they must not change.
func newAcceptance(a Acceptance) *acceptance {
	a.Audiences = slices.Clone(a.Audiences)
	if a.Algorithms = slices.Clone(a.Algorithms); len(a.Algorithms) == 0 {
		a.Algorithms = []string{"RS256"}
	}
	a.Claims = maps.Clone(a.Claims)
	applications := make(map[string]string, len(a.Applications))
	for id, name := range a.Applications {
		applications[strings.ToLower(id)] = name
	}
	a.Applications = applications
	var names []string
	for _, theirs := range a.Claims {
		names = append(names, theirs)
	}
	if a.Name == EntraID {
		names = []string{"name", "preferred_username", "email"}
	}
	if a.Name == EntraID || a.Claims["email"] != "" {
		names = append(names, "email_verified", "xms_edov")
	}
	return &acceptance{Acceptance: a, readNames: newNameSet(names...)}
}

// fingerprintOf covers every setting that a verification depends on, so that a token that passed under some settings was never looked at
// under others (GHSA-4mq7-pvjg-xp2r).
func fingerprintOf(accept []Acceptance) [sha256.Size]byte {
	type settings struct {
		Acceptance Acceptance
		Provider   ProviderConfig
		IDPorten   ProviderConfig
	}
	all := make([]settings, 0, len(accept))
	for _, a := range accept {
		s := settings{Acceptance: a, Provider: a.Provider.cfg}
		if a.IDPorten != nil {
			s.IDPorten = a.IDPorten.cfg
		}
		s.Acceptance.Provider, s.Acceptance.IDPorten = nil, nil
		all = append(all, s)
	}
	text, err := json.Marshal(all)
	if err != nil {
		panic(err) // texts, lists and maps of texts, and booleans always encode
	}
	return sha256.Sum256(text)
}

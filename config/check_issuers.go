package config

import (
	"slices"
	"sort"
	"strings"
)

// checkIssuers is S-26: of a further issuer everything is said that makes its tokens tokens for this app, and nothing that a built-in
// provider stands for.
func (l *loader) checkIssuers() {
	for i := range l.c.Bearer.Issuers {
		issuer := &l.c.Bearer.Issuers[i]
		refuse := func(format string, args ...any) {
			l.problem("issuers", "entry %d "+format, append([]any{i + 1}, args...)...)
		}
		if why := issuerNameProblem(issuer.Name, l.c.Bearer.Issuers[:i]); why != "" {
			refuse("%s", why)
		}
		if issuer.Issuer == "" {
			refuse("needs issuer: what iss of its tokens must be")
		}
		if issuer.Audience == "" {
			refuse("needs audience: what aud of its tokens must name")
		}
		if issuer.JWKSURI == "" && issuer.WellKnownURL == "" {
			refuse("needs jwks-uri or well-known-url, for its keys")
		}
		for _, address := range []struct{ key, text string }{{"jwks-uri", issuer.JWKSURI}, {"well-known-url", issuer.WellKnownURL}} {
			if why := l.providerURLProblem(address.text); address.text != "" && why != "" {
				refuse("%s %s", address.key, why)
			}
		}
		issuer.checkAlgorithms(refuse)
		issuer.checkTenants(refuse)
		issuer.checkClaims(refuse)
	}
}

func issuerNameProblem(name string, before []Issuer) string {
	switch {
	case name == "":
		return "needs a name, under which the policy and the app know it"
	case !token(name):
		return "name must consist of letters, digits and characters such as - . _ (RFC 9110 §5.6.2)"
	case name == "all" || name == "none":
		return "name means something else in bearer.providers"
	case slices.ContainsFunc(builtInProviders(), func(builtIn string) bool { return folded(builtIn) == folded(name) }):
		return "name is that of a built-in provider"
	case slices.ContainsFunc(before, func(other Issuer) bool { return strings.EqualFold(other.Name, name) }):
		return "name is that of an earlier entry"
	}
	return ""
}

func (i *Issuer) checkAlgorithms(refuse func(string, ...any)) {
	for _, algorithm := range i.Algorithms {
		if err := known(algorithm, SignatureAlgorithms()); err != nil {
			refuse("algorithms %v", err)
		}
	}
	if len(i.Algorithms) == 0 {
		i.Algorithms = []string{"RS256"}
	}
}

func (i *Issuer) checkTenants(refuse func(string, ...any)) {
	many := strings.Contains(i.Issuer, tenantPlaceholder)
	switch {
	case many && len(i.Tenants) == 0:
		refuse("needs tenants, since its issuer carries %s", tenantPlaceholder)
	case !many && len(i.Tenants) > 0:
		refuse("has tenants, which are not looked at: its issuer does not carry %s", tenantPlaceholder)
	case slices.ContainsFunc(i.Tenants, func(tenant string) bool { return !guid(tenant) }):
		refuse("tenants must be GUIDs")
	}
}

func (i *Issuer) checkClaims(refuse func(string, ...any)) {
	names := make([]string, 0, len(i.Claims))
	for name := range i.Claims {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		if err := known(name, []string{"groups", "roles", "scope", "name", "preferred_username", "email", "acr"}); err != nil {
			refuse("keys of claims %v", err)
		}
	}
}

// guid is the text form of RFC 9562 §4.
func guid(text string) bool {
	if len(text) != 36 {
		return false
	}
	for i := range len(text) {
		b := text[i] | 0x20
		switch {
		case i == 8 || i == 13 || i == 18 || i == 23:
			if text[i] != '-' {
				return false
			}
		case '0' <= text[i] && text[i] <= '9' || 'a' <= b && b <= 'f':
		default:
			return false
		}
	}
	return true
}

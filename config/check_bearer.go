package config

import (
	"slices"
	"strings"
)

// checkBearer looks at the names of bearer.providers.
func (l *loader) checkBearer() {
	b := &l.c.Bearer
	known := append(builtInProviders(), issuerNames(b.Issuers)...)
	for i, name := range b.Providers {
		switch {
		case name == "all" || name == "none":
			if len(b.Providers) > 1 {
				l.problem("bearer.providers", "%s stands alone", name)
			}
		case !slices.Contains(known, name):
			l.problem("bearer.providers", "entry %d %v", i+1, mustBeKnown(name, append([]string{"all", "none"}, known...)))
		case l.c.whyNotInbound(name) != "":
			l.problem("bearer.providers", "entry %d: %s %s", i+1, name, l.c.whyNotInbound(name))
		case slices.Contains(b.Providers[:i], name):
			l.problem("bearer.providers", "entry %d repeats an earlier one", i+1)
		}
	}
	if len(b.Issuers) > 0 && !b.Enabled() && !l.refused("bearer.providers") {
		l.warn("issuers", "has no effect: bearer.providers accepts nobody's tokens")
	}
	l.checkInboundTenants()
	l.checkOneIssuerEach()
}

// mustBeKnown is [known] for words some of which the operator made up: those are shown only if they can be nothing but names.
func mustBeKnown(text string, words []string) error {
	return known(text, slices.DeleteFunc(words, func(word string) bool { return !printable(word) }))
}

func issuerNames(issuers []Issuer) []string {
	names := make([]string, len(issuers))
	for i, issuer := range issuers {
		names[i] = issuer.Name
	}
	return withoutEmpty(names)
}

// checkInboundTenants is S-26 for Entra ID of many tenants: somebody has to say whose tokens count.
func (l *loader) checkInboundTenants() {
	azure := &l.c.Providers.Azure
	many := manyTenants(azure.WellKnownURL) || strings.Contains(azure.Issuer, tenantPlaceholder)
	if !azure.Enabled || !many || !slices.Contains(l.c.Bearer.Accepted, entraID) {
		return
	}
	switch {
	case azure.TenantID != "" && !guid(azure.TenantID):
		l.missing("AZURE_APP_TENANT_ID", "must be a GUID, since AZURE_APP_WELL_KNOWN_URL is that of every tenant")
	case len(l.c.EntraTenants()) == 0 && len(l.c.Policy.Files) == 0: // a policy may have entra.tenants
		l.missing("AZURE_APP_TENANT_ID", "required (or openid.tenants, or entra.tenants of a policy) to accept tokens of Entra ID, since AZURE_APP_WELL_KNOWN_URL is that of every tenant (S-26)")
	}
}

// checkOneIssuerEach refuses two providers whose tokens could not be told apart: of one issuer, and with an audience in common (S-26).
func (l *loader) checkOneIssuerEach() {
	names := slices.DeleteFunc(l.c.InboundProviders(), func(name string) bool { return slices.Contains(issuerNames(l.c.Bearer.Issuers), name) })
	for i, name := range names {
		for _, other := range names[:i] {
			if l.confusable(name, other) {
				l.problem("bearer.providers", "accepts %s and %s, which have the same issuer and audience (S-26)", other, name)
			}
		}
	}
	for i, issuer := range l.c.Bearer.Issuers {
		for _, other := range append(slices.Clone(names), issuerNames(l.c.Bearer.Issuers[:i])...) {
			if issuer.Name != other && l.confusable(issuer.Name, other) {
				l.problem("issuers", "entry %d has the issuer and the audience of %s too (S-26)", i+1, shownName(other))
			}
		}
	}
}

// confusable says whether a token could belong to both. Who compares no audience takes all.
func (l *loader) confusable(a, b string) bool {
	if !overlap(l.c.inboundIssuers(a), l.c.inboundIssuers(b)) {
		return false
	}
	ours, theirs := l.c.InboundAudiences(a), l.c.InboundAudiences(b)
	return len(ours) == 0 || len(theirs) == 0 || overlap(ours, theirs)
}

func overlap(a, b []string) bool {
	return slices.ContainsFunc(a, func(text string) bool { return slices.Contains(b, text) })
}

// shownName is a name that the operator made up, unless it might be something else.
func shownName(name string) string {
	if !printable(name) {
		return "another one"
	}
	return name
}

// checkPolicy looks at what goes with a policy; the files themselves are read by those who need them.
func (l *loader) checkPolicy() {
	p, f := &l.c.Policy, &l.c.Front
	for i, path := range p.Files {
		if slices.Contains(p.Files[:i], path) {
			l.problem("policy-file", "entry %d repeats an earlier one", i+1)
		}
	}
	if len(p.Files) > 0 && !f.RequireAuth {
		l.warn("require-auth", "false has no effect beside policy-file: without a caller only those paths are open that the policy calls public")
	}
	if p.Mode == "report" && len(p.Files) == 0 && !f.RequireAuth {
		l.warn("policy-mode", "has no effect: there is neither policy-file nor require-auth, so there is nothing to report")
	}
}

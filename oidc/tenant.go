package oidc

import (
	"slices"
	"strings"
)

// issuerOf is the issuer that a token with these claims must have: the provider's, with the token's own tenant filled in where the issuer
// is for many (tokens.md: a plain comparison can never succeed there). It is empty if the tenant is not an allowed one.
func (p *Provider) issuerOf(md *Metadata, claims members) string {
	if !md.multiTenant() {
		return md.Issuer
	}
	tenant, err := claims.text("tid")
	if err != nil || !p.allowsTenant(tenant) {
		return ""
	}
	return strings.ReplaceAll(md.Issuer, tenantPlaceholder, tenant)
}

// tenantOf is the allowed tenant that makes md's issuer into iss, else empty.
func (p *Provider) tenantOf(md *Metadata, iss string) string {
	for _, tenant := range p.cfg.Tenants {
		if strings.ReplaceAll(md.Issuer, tenantPlaceholder, tenant) == iss {
			return tenant
		}
	}
	return ""
}

// isIssuer says whether a text that came without a token is the provider's issuer, or that of an allowed tenant where there are many.
func (p *Provider) isIssuer(md *Metadata, iss string) bool {
	if md.multiTenant() {
		return p.tenantOf(md, iss) != ""
	}
	return iss != "" && iss == md.Issuer
}

func (p *Provider) allowsTenant(tenant string) bool {
	return isGUID(tenant) && slices.ContainsFunc(p.cfg.Tenants, func(t string) bool { return strings.EqualFold(t, tenant) })
}

// issuerHasTenant compares a token's tenant with the GUID in its issuer; an issuer without one, as of test doubles, says nothing.
func issuerHasTenant(issuer, tenant string) bool {
	in := tenantIn(issuer)
	return in == "" || strings.EqualFold(in, tenant)
}

// tenantIn is the GUID in an issuer, empty if it has none.
func tenantIn(issuer string) string {
	for part := range strings.SplitSeq(issuer, "/") {
		if isGUID(part) {
			return part
		}
	}
	return ""
}

// manyTenants stand in the address of metadata for many tenants, where its issuer has the placeholder.
var manyTenants = [...]string{"common", "organizations", "consumers"}

// mayIssue says whether a token with this "iss" is to be verified by this provider. Before the metadata is there it goes by what the
// metadata will have to say (see [ProviderConfig.checkIssuer]), so that a genuine token waits for the keys and is not a stranger's.
// It never waits itself.
func (p *Provider) mayIssue(issuer string, claims members) bool {
	switch s := p.state.Load(); {
	case issuer == "":
		return false
	case s != nil:
		return issuer == p.issuerOf(s.metadata, claims)
	case p.cfg.Issuer != "":
		return issuer == p.issuerOf(&Metadata{Issuer: p.cfg.Issuer}, claims)
	}
	derived, err := deriveIssuer(p.cfg.WellKnownURL)
	if err != nil {
		return false
	}
	for _, all := range manyTenants {
		before, after, found := strings.Cut(derived, "/"+all+"/")
		if !found {
			continue
		}
		tenant, err := claims.text("tid")
		if err != nil || !p.allowsTenant(tenant) {
			return false
		}
		derived = before + "/" + tenant + "/" + after
		break
	}
	return strings.TrimSuffix(issuer, "/") == strings.TrimSuffix(derived, "/")
}

// knownIssuer is what the metadata or the configuration says; empty if neither does yet, and for many tenants.
func (p *Provider) knownIssuer() string {
	issuer := p.cfg.Issuer
	if s := p.state.Load(); s != nil {
		issuer = s.metadata.Issuer
	}
	if strings.Contains(issuer, tenantPlaceholder) {
		return ""
	}
	return issuer
}

// speaksFor says whether a key may sign for an issuer. Keys of Entra ID name theirs, some with the tenant left open (S-34).
func (k *verificationKey) speaksFor(issuer, tenant string) bool {
	return k.issuer == "" || strings.ReplaceAll(k.issuer, tenantPlaceholder, tenant) == issuer
}

func isGUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i, c := range []byte(s) {
		switch i {
		case 8, 13, 18, 23:
			if c != '-' {
				return false
			}
		default:
			if !(c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F') {
				return false
			}
		}
	}
	return true
}

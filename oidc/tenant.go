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

func (p *Provider) allowsTenant(tenant string) bool {
	return isGUID(tenant) && slices.ContainsFunc(p.cfg.Tenants, func(t string) bool { return strings.EqualFold(t, tenant) })
}

// issuerHasTenant compares a token's tenant with the GUID in its issuer; an issuer without one, as of test doubles, says nothing.
func issuerHasTenant(issuer, tenant string) bool {
	for part := range strings.SplitSeq(issuer, "/") {
		if isGUID(part) {
			return strings.EqualFold(part, tenant)
		}
	}
	return true
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

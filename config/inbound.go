package config

import (
	"net/url"
	"slices"
	"strings"
)

// Providers that tokens can come from inbound, by the names that policies and X-Postern-Provider use.
const (
	entraID      = "entra_id"
	tokenX       = "tokenx"
	maskinporten = "maskinporten"
	idPorten     = "idporten"
	openID       = "openid"
)

// tenantPlaceholder stands in the issuer of a provider of many tenants.
const tenantPlaceholder = "{tenantid}"

// InboundProviders are the names of those whose bearer tokens are accepted: built-in providers first, then further issuers as they were
// given. Empty means that bearer validation is off and `Authorization` is left alone.
func (c *Config) InboundProviders() []string { return slices.Clone(c.Bearer.Accepted) }

// resolveInbound turns bearer.providers into names. What was named but cannot be had is left out here; checkBearer refuses it.
func (c *Config) resolveInbound() []string {
	available := c.availableInbound()
	if slices.Equal(c.Bearer.Providers, []string{"all"}) {
		return available
	}
	return slices.DeleteFunc(available, func(name string) bool { return !slices.Contains(c.Bearer.Providers, name) })
}

// availableInbound is everything that `all` means.
func (c *Config) availableInbound() []string {
	var out []string
	for _, name := range builtInProviders() {
		if c.whyNotInbound(name) == "" {
			out = append(out, name)
		}
	}
	for _, issuer := range c.Bearer.Issuers {
		out = append(out, issuer.Name)
	}
	return out
}

// KnownProviders are the names of the built-in providers whose tokens can be read here, whoever accepts them inbound.
func (c *Config) KnownProviders() []string {
	return slices.DeleteFunc(builtInProviders(), func(name string) bool { return c.whyNotInbound(name) != "" })
}

func builtInProviders() []string { return []string{entraID, tokenX, maskinporten, idPorten, openID} }

// whyNotInbound says what keeps a built-in provider from vouching for callers; empty if nothing does.
func (c *Config) whyNotInbound(name string) string {
	p, azure := &c.Providers, c.OpenID.Provider == "azure" && !c.knowsProviderByName()
	switch {
	case name == entraID && !p.Azure.Enabled && !azure:
		return "is not enabled: AZURE_ENABLED=true or openid.provider=azure does that"
	case name == tokenX && !p.TokenX.Enabled:
		return "is not enabled: TOKEN_X_ENABLED=true does that"
	case name == maskinporten && !p.Maskinporten.Enabled:
		return "is not enabled: MASKINPORTEN_ENABLED=true does that"
	case name == idPorten && !p.IDPorten.Enabled:
		return "is not enabled: IDPORTEN_ENABLED=true does that"
	case name == openID && c.OpenID.Provider != "openid":
		return "is not the login provider here: openid.provider says " + c.OpenID.Provider
	case name == openID && (c.OpenID.ClientID == "" || c.OpenID.WellKnownURL == ""):
		return "is not there, since login is off"
	case name == openID && len(c.openIDAudiences()) == 0: // S-26: the client id is the audience of id tokens
		return "needs openid.audiences with another audience than the client id, which is that of id tokens (S-26)"
	}
	return ""
}

// knowsProviderByName says whether openid.provider only names whose sessions come here, as it may for an SSO proxy: its server is the client.
func (c *Config) knowsProviderByName() bool {
	return c.SSOProxy() && (c.OpenID.ClientID == "" || c.OpenID.WellKnownURL == "")
}

// openIDAudiences are those of access tokens of the login provider.
func (c *Config) openIDAudiences() []string {
	return slices.DeleteFunc(slices.Clone(c.OpenID.Audiences), func(audience string) bool { return audience == c.OpenID.ClientID })
}

// EntraClientIDs are the app's own client ids at Entra ID: that of the platform, and that of login if it is at Entra ID.
func (c *Config) EntraClientIDs() []string {
	var ids []string
	if c.Providers.Azure.Enabled {
		ids = append(ids, c.Providers.Azure.ClientID)
	}
	if c.OpenID.Provider == "azure" {
		ids = append(ids, c.OpenID.ClientID)
	}
	return withoutRepeats(withoutEmpty(ids))
}

// IDPortenClientIDs are the app's own client ids at ID-porten (S-02).
func (c *Config) IDPortenClientIDs() []string {
	ids := []string{c.Providers.IDPorten.ClientID}
	if c.OpenID.Provider == "idporten" {
		ids = append(ids, c.OpenID.ClientID)
	}
	return withoutRepeats(withoutEmpty(ids))
}

// InboundAudiences are the audiences of which an inbound token of a provider must name one. None means that none is compared, which is so
// for Maskinporten only: its tokens name no audience unless the API asks for it.
func (c *Config) InboundAudiences(name string) []string {
	switch name {
	case entraID:
		ids := c.EntraClientIDs()
		for _, id := range ids[:len(ids):len(ids)] {
			ids = append(ids, "api://"+id) // the same app by its URI
		}
		return ids
	case tokenX:
		return []string{c.Providers.TokenX.ClientID}
	case maskinporten:
		return nil
	case idPorten:
		return []string{c.Providers.IDPorten.Audience}
	case openID:
		return c.openIDAudiences()
	}
	for _, issuer := range c.Bearer.Issuers {
		if issuer.Name == name {
			return []string{issuer.Audience}
		}
	}
	return nil
}

// EntraSharesLogin says whether the Entra ID of inbound tokens is the login provider, so that its metadata and keys are read once.
func (c *Config) EntraSharesLogin() bool {
	platform := &c.Providers.Azure
	return c.OpenID.Provider == "azure" && (!platform.Enabled || platform.WellKnownURL == c.OpenID.WellKnownURL)
}

// IDPortenSharesLogin is the same for ID-porten.
func (c *Config) IDPortenSharesLogin() bool {
	return c.OpenID.Provider == "idporten" && c.Providers.IDPorten.WellKnownURL == c.OpenID.WellKnownURL
}

// EntraTenants are the tenants that a multi-tenant Entra ID may speak for, GUIDs: openid.tenants, and the app's own.
func (c *Config) EntraTenants() []string {
	tenants := slices.Clone(c.OpenID.Tenants)
	if own := c.Providers.Azure.TenantID; guid(own) {
		tenants = append(tenants, own)
	}
	return withoutRepeats(tenants)
}

// inboundIssuers are the issuers whose tokens a provider brings, as far as they are known without asking anybody; the placeholder is
// filled in.
func (c *Config) inboundIssuers(name string) []string {
	p := &c.Providers
	explicit, wellKnown, tenants := "", "", []string(nil)
	switch name {
	case entraID:
		explicit, wellKnown, tenants = p.Azure.Issuer, p.Azure.WellKnownURL, c.EntraTenants()
		if c.EntraSharesLogin() {
			wellKnown = c.OpenID.WellKnownURL
		}
	case tokenX:
		explicit, wellKnown = p.TokenX.Issuer, p.TokenX.WellKnownURL
	case maskinporten:
		explicit, wellKnown = p.Maskinporten.Issuer, p.Maskinporten.WellKnownURL
	case idPorten:
		explicit, wellKnown = p.IDPorten.Issuer, p.IDPorten.WellKnownURL
	case openID:
		wellKnown, tenants = c.OpenID.WellKnownURL, c.OpenID.Tenants
	}
	for _, issuer := range c.Bearer.Issuers {
		if issuer.Name == name {
			explicit, tenants = issuer.Issuer, issuer.Tenants
		}
	}
	if explicit == "" {
		explicit = issuerOf(wellKnown)
	}
	if explicit == "" || !strings.Contains(explicit, tenantPlaceholder) {
		return withoutEmpty([]string{explicit})
	}
	var out []string
	for _, tenant := range tenants {
		out = append(out, strings.ReplaceAll(explicit, tenantPlaceholder, tenant))
	}
	return out
}

// issuerOf takes the well-known part out of a metadata address, whether it is the end (OIDC Discovery §4.1) or stands between host and
// path (RFC 8414 §3.1). For Entra ID of many tenants it is the issuer that its metadata name.
func issuerOf(wellKnown string) string {
	for _, part := range []string{"/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"} {
		before, after, ok := strings.Cut(wellKnown, part)
		if !ok {
			continue
		}
		if u, err := url.Parse(wellKnown); err == nil && manyTenants(wellKnown) {
			return u.Scheme + "://" + u.Host + "/" + tenantPlaceholder + "/v2.0"
		}
		return before + after
	}
	return ""
}

func withoutEmpty(list []string) []string {
	return slices.DeleteFunc(list, func(text string) bool { return text == "" })
}

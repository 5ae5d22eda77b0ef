package main

import (
	"slices"
	"strings"

	"postern/config"
	"postern/oidc"
)

// loginProvider describes the provider of browser login. Where it is the platform's Entra ID or ID-porten, the platform's explicit
// endpoints win over the metadata, as they do for inbound tokens.
func loginProvider(cfg *config.Config) oidc.ProviderConfig {
	out := oidc.ProviderConfig{
		Name:              oidc.LoginProviderName(cfg.OpenID),
		WellKnownURL:      cfg.OpenID.WellKnownURL,
		Tenants:           cfg.OpenID.Tenants,
		FallbackAlg:       cfg.OpenID.JWKSFallbackAlg,
		AllowHTTP:         cfg.Providers.AllowHTTP,
		AllowTestProvider: allowTestProvider(cfg),
	}
	switch p := &cfg.Providers; {
	case cfg.EntraSharesLogin() && p.Azure.Enabled:
		out.Tenants = cfg.EntraTenants()
		out.Issuer, out.JWKSURI, out.TokenEndpoint = p.Azure.Issuer, p.Azure.JWKSURI, p.Azure.TokenEndpoint
	case cfg.IDPortenSharesLogin() && p.IDPorten.Enabled:
		out.Issuer, out.JWKSURI = p.IDPorten.Issuer, p.IDPorten.JWKSURI
	}
	return out
}

func allowTestProvider(cfg *config.Config) bool {
	return cfg.Providers.AllowTestProvider || onlyLoopback(cfg.Front.Ingress) // S-41
}

// inboundProviders builds the providers whose tokens are accepted, by name, and ID-porten if TokenX needs to know its issuer. One that is
// the login provider too is that very one, so that its metadata and keys are read once; every other one has to be run.
func inboundProviders(cfg *config.Config, shared oidc.Deps, login *oidc.Provider) (map[string]*oidc.Provider, error) {
	names := cfg.InboundProviders()
	if slices.Contains(names, oidc.TokenX) && cfg.Providers.IDPorten.Enabled && !slices.Contains(names, oidc.IDPorten) {
		names = append(names, oidc.IDPorten)
	}
	out := map[string]*oidc.Provider{}
	for _, name := range names {
		if login != nil && (name == oidc.OpenID || name == oidc.EntraID && cfg.EntraSharesLogin() || name == oidc.IDPorten && cfg.IDPortenSharesLogin()) {
			out[name] = login
			continue
		}
		provider, err := oidc.NewProvider(inboundProvider(cfg, name), shared)
		if err != nil {
			return nil, err
		}
		out[name] = provider
	}
	return out, nil
}

// inboundProvider says where a provider of inbound tokens is. Explicit endpoints win over metadata (contract 2.2).
func inboundProvider(cfg *config.Config, name string) oidc.ProviderConfig {
	out := oidc.ProviderConfig{Name: name, AllowHTTP: cfg.Providers.AllowHTTP, AllowTestProvider: allowTestProvider(cfg)}
	platform := config.Provider{}
	switch name {
	case oidc.EntraID:
		platform, out.Tenants = cfg.Providers.Azure, cfg.EntraTenants()
		if !platform.Enabled { // known by openid.provider=azure only
			platform.WellKnownURL = cfg.OpenID.WellKnownURL
		}
	case oidc.TokenX:
		platform = cfg.Providers.TokenX
	case oidc.Maskinporten:
		platform = cfg.Providers.Maskinporten
	case oidc.IDPorten:
		platform = cfg.Providers.IDPorten
	case oidc.OpenID:
		return loginProvider(cfg)
	default:
		issuer := issuerNamed(cfg, name)
		platform = config.Provider{WellKnownURL: issuer.WellKnownURL, Issuer: issuer.Issuer, JWKSURI: issuer.JWKSURI}
		out.Tenants, out.FallbackAlg = issuer.Tenants, fallbackAlgorithm(issuer.Algorithms)
	}
	out.WellKnownURL, out.Issuer, out.JWKSURI, out.TokenEndpoint = platform.WellKnownURL, platform.Issuer, platform.JWKSURI, platform.TokenEndpoint
	return out
}

// fallbackAlgorithm is what RSA keys without "alg" are taken for: the first algorithm of the issuer that RSA keys can have.
func fallbackAlgorithm(algorithms []string) string {
	for _, algorithm := range algorithms {
		if strings.HasPrefix(algorithm, "RS") || strings.HasPrefix(algorithm, "PS") {
			return algorithm
		}
	}
	return ""
}

func issuerNamed(cfg *config.Config, name string) config.Issuer {
	for _, issuer := range cfg.Bearer.Issuers {
		if issuer.Name == name {
			return issuer
		}
	}
	return config.Issuer{}
}

// acceptances say how the tokens of each provider are accepted: what makes a token one for this app.
func acceptances(cfg *config.Config, providers map[string]*oidc.Provider) []oidc.Acceptance {
	var out []oidc.Acceptance
	for _, name := range cfg.InboundProviders() {
		a := oidc.Acceptance{Name: name, Provider: providers[name], Audiences: cfg.InboundAudiences(name)}
		switch name {
		case oidc.EntraID:
			a.TenantID, a.Applications = cfg.Providers.Azure.TenantID, applications(cfg.Providers.Azure.PreAuthorizedApps)
		case oidc.TokenX:
			a.IDPorten = idPortenOf(cfg, providers)
		case oidc.OpenID:
			// Nothing names them for this provider. Its keys do, or are RSA keys for openid.jwks-fallback-alg: none is for two.
			a.Algorithms = config.SignatureAlgorithms()
		case oidc.Maskinporten, oidc.IDPorten:
		default:
			issuer := issuerNamed(cfg, name)
			a.Algorithms, a.Claims = issuer.Algorithms, issuer.Claims
		}
		out = append(out, a)
	}
	return out
}

// idPortenOf is whom the people of TokenX have to come from: nobody in particular while ID-porten is not enabled.
func idPortenOf(cfg *config.Config, providers map[string]*oidc.Provider) *oidc.Provider {
	if !cfg.Providers.IDPorten.Enabled {
		return nil
	}
	return providers[oidc.IDPorten]
}

// applications are names by client id. Of a client id with two names neither counts: nobody knows who calls.
func applications(known []config.PreAuthorized) map[string]string {
	out := map[string]string{}
	twice := map[string]bool{}
	for _, app := range known {
		id := strings.ToLower(app.ClientID)
		if id == "" || app.Name == "" {
			continue
		}
		if other, there := out[id]; there && other != app.Name {
			twice[id] = true
		}
		out[id] = app.Name
	}
	for id := range twice {
		delete(out, id)
	}
	return out
}

package main

import (
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
		AllowTestProvider: allowTestProvider(cfg, cfg.OpenID.WellKnownURL),
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

// allowTestProvider is S-41: for apps that only this machine can reach, and for a Texas beside a provider that only this machine can reach.
func allowTestProvider(cfg *config.Config, wellKnown string) bool {
	return cfg.Providers.AllowTestProvider || onlyLoopback(cfg.Front.Ingress) || cfg.TexasOnly() && loopbackURL(wellKnown)
}

// providers are the identity providers by name. One that is the login provider too is that very one, so that its metadata and keys are
// read once.
type providers struct {
	cfg    *config.Config
	deps   oidc.Deps
	login  *oidc.Provider // nil while login is off
	byName map[string]*oidc.Provider
}

func newProviders(cfg *config.Config, deps oidc.Deps, login *oidc.Provider) *providers {
	return &providers{cfg: cfg, deps: deps, login: login, byName: map[string]*oidc.Provider{}}
}

// named returns a provider, made at its first use.
func (p *providers) named(name string) (*oidc.Provider, error) {
	if known := p.byName[name]; known != nil {
		return known, nil
	}
	made := p.login
	if !p.sharesLogin(name) {
		var err error
		if made, err = oidc.NewProvider(describeProvider(p.cfg, name), p.deps); err != nil {
			return nil, err
		}
	}
	p.byName[name] = made
	return made, nil
}

func (p *providers) sharesLogin(name string) bool {
	return p.login != nil && (name == oidc.OpenID || name == oidc.EntraID && p.cfg.EntraSharesLogin() || name == oidc.IDPorten && p.cfg.IDPortenSharesLogin())
}

// all are those that have to be run, each once.
func (p *providers) all() map[*oidc.Provider]bool {
	run := map[*oidc.Provider]bool{}
	for _, provider := range p.byName {
		run[provider] = true
	}
	if p.login != nil {
		run[p.login] = true
	}
	return run
}

// describeProvider says where a provider is. Explicit endpoints win over metadata (contract 2.2).
func describeProvider(cfg *config.Config, name string) oidc.ProviderConfig {
	out := oidc.ProviderConfig{Name: name, AllowHTTP: cfg.Providers.AllowHTTP}
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
	out.AllowTestProvider = allowTestProvider(cfg, out.WellKnownURL)
	// Nobody logs in by this, so metadata is read for what is missing only: ID-porten is never asked for tokens.
	if out.Issuer != "" && out.JWKSURI != "" && (out.TokenEndpoint != "" || name == oidc.IDPorten) {
		out.WellKnownURL = ""
	}
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

// acceptances say how the tokens of each of these providers are accepted: what makes a token one for this app.
func acceptances(cfg *config.Config, names []string, from *providers) ([]oidc.Acceptance, error) {
	var out []oidc.Acceptance
	for _, name := range names {
		provider, err := from.named(name)
		if err != nil {
			return nil, err
		}
		a := oidc.Acceptance{Name: name, Provider: provider, Audiences: cfg.InboundAudiences(name)}
		switch name {
		case oidc.EntraID:
			a.TenantID, a.Applications = cfg.Providers.Azure.TenantID, applications(cfg.Providers.Azure.PreAuthorizedApps)
		case oidc.TokenX:
			if cfg.Providers.IDPorten.Enabled { // whom its people have to come from: nobody in particular otherwise
				if a.IDPorten, err = from.named(oidc.IDPorten); err != nil {
					return nil, err
				}
			}
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
	return out, nil
}

// inboundVerifier knows the tokens that are accepted at the front door.
func inboundVerifier(cfg *config.Config, from *providers, cacheBytes int64, deps oidc.Deps) (*oidc.Verifier, error) {
	accepted, err := acceptances(cfg, cfg.InboundProviders(), from)
	if err != nil {
		return nil, err
	}
	return oidc.NewVerifier(accepted, cacheBytes, deps)
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

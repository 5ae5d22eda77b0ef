package main

import (
	"fmt"

	"postern/config"
	"postern/obo"
	"postern/oidc"
)

// tokenClient is the app as the client of one provider that it can ask for tokens.
type tokenClient struct {
	name        string
	credentials oidc.Credentials
	silent      bool // it is a provider, and never asked
}

// tokenClients are those of the platform that are enabled, in the order in which they are named to the app.
func tokenClients(cfg *config.Config) []tokenClient {
	var clients []tokenClient
	add := func(name string, p config.Provider, c oidc.Credentials) {
		if p.Enabled {
			c.ClientID, c.JWK, c.Secret, c.FederatedTokenFile = p.ClientID, p.ClientJWK, p.ClientSecret, p.FederatedTokenFile
			clients = append(clients, tokenClient{name, c, name == oidc.IDPorten})
		}
	}
	p := &cfg.Providers
	add(oidc.EntraID, p.Azure, oidc.Credentials{})
	add(oidc.TokenX, p.TokenX, oidc.Credentials{OmitClientID: true})
	add(oidc.Maskinporten, p.Maskinporten, oidc.Credentials{})
	add(oidc.IDPorten, p.IDPorten, oidc.Credentials{})
	return clients
}

// wantsTokens says whether anybody here asks for tokens for the next hop.
func wantsTokens(cfg *config.Config) bool {
	return cfg.TokenAPIEnabled() || len(cfg.Egress.Routes) > 0 || len(cfg.Identity.UpstreamTokens) > 0
}

// addBroker builds what gets tokens for the next hop. Its calls have shorter times than those of a login: an app waits for them.
func (s *sidecar) addBroker(shared oidc.Deps) error {
	shared.HTTP = oidc.NewTokenHTTPClient(s.cfg.Outbound, s.cfg.Token.HTTP)
	var known []obo.Provider
	for _, client := range tokenClients(&s.cfg) {
		provider, err := s.trusted.named(client.name)
		if err != nil {
			return err
		}
		if provider != s.provider && s.health.providers[client.name] == nil {
			s.health.outbound[client.name] = provider
		}
		p := obo.Provider{Name: client.name, Credentials: client.credentials, Deps: shared}
		if !client.silent {
			auth, err := oidc.NewAuthenticator(client.credentials, shared)
			if err != nil {
				return fmt.Errorf("%s: %w", client.name, err)
			}
			p.Endpoint = oidc.NewTokenEndpoint(provider, auth, shared)
		}
		known = append(known, p)
	}
	if s.client != nil && s.client.ProviderName() == oidc.OpenID {
		known = append(known, obo.Provider{Name: oidc.OpenID, Endpoint: s.client.TokenEndpoint(shared)})
	}
	var err error
	s.broker, err = obo.NewBroker(known, obo.Config{CacheBytes: s.cacheBytes, MaxRetries: s.cfg.Token.HTTP.MaxRetries}, obo.Deps{Log: s.log, Registerer: s.registry})
	return err
}

// tokenAddress is where the token API is, empty if it is off.
func tokenAddress(cfg *config.Config) string {
	if !cfg.TokenAPIEnabled() {
		return ""
	}
	return cfg.Token.BindAddress
}

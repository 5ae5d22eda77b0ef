package main

import (
	"fmt"
	"slices"

	"postern/config"
	"postern/obo"
	"postern/obo/guard"
	"postern/obo/tokenapi"
	"postern/oidc"
	"postern/proxy/egress"
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
	if s.asksLoginProvider() {
		known = append(known, obo.Provider{Name: oidc.OpenID, Endpoint: s.client.TokenEndpoint(shared)})
	}
	var err error
	s.broker, err = obo.NewBroker(known, obo.Config{
		CacheBytes: s.cacheBytes, MaxRetries: s.cfg.Token.HTTP.MaxRetries, Revoked: shared.Revocations.Has,
	}, obo.Deps{Log: s.log, Registerer: s.registry})
	return err
}

// addTokenAPI builds what the app asks for tokens, and has them looked into.
func (s *sidecar) addTokenAPI(shared oidc.Deps) error {
	cfg := &s.cfg
	var looked []oidc.Introspected
	for _, client := range tokenClients(cfg) {
		provider, err := s.trusted.named(client.name)
		if err != nil {
			return err
		}
		looked = append(looked, oidc.Introspected{Name: client.name, Provider: provider, Audiences: introspectedAudiences(cfg, client.name)})
	}
	if audiences := cfg.InboundAudiences(oidc.OpenID); s.asksLoginProvider() && len(audiences) > 0 {
		looked = append(looked, oidc.Introspected{Name: oidc.OpenID, Provider: s.provider, Audiences: audiences, Algorithms: config.SignatureAlgorithms()})
	}
	introspector, err := oidc.NewIntrospector(looked, s.cacheBytes, shared)
	if err != nil {
		return err
	}
	callers, err := s.guard(cfg.Token.AllowedHosts, "")
	if err != nil {
		return err
	}
	s.tokenAPI = tokenapi.New(tokenapi.Config{BodyBytes: cfg.Server.Limits.TokenAPIBytes, OpenID: s.asksLoginProvider()}, tokenapi.Deps{
		Broker: s.broker, Introspector: introspector, Guard: callers, CacheSize: s.broker.Cached, Log: s.log, Audit: s.audit, Registerer: s.registry,
		Tracer: s.exporter.Tracer(),
	})
	return nil
}

// addEgress builds what takes the app's calls out. Whose tokens the front door accepts is of no concern there: the app forwards what it has.
func (s *sidecar) addEgress(shared oidc.Deps) error {
	cfg := &s.cfg
	deps := egress.Deps{Tokens: s.broker, Log: s.log, Audit: s.audit, Registerer: s.registry, Tracer: s.exporter.Tracer()}
	if names := exchanged(cfg); len(names) > 0 {
		accepted, err := acceptances(cfg, names, s.trusted)
		if err != nil {
			return err
		}
		shared.Registerer = nil // the series are those of the front door
		if deps.Users, err = oidc.NewVerifier(accepted, s.cacheBytes, shared); err != nil {
			return fmt.Errorf("egress.routes: %w", err)
		}
	}
	callers, err := s.guard(slices.Concat(cfg.Token.AllowedHosts, egress.Hosts(cfg.Egress.Routes)), egressSecret)
	if err != nil {
		return err
	}
	deps.Guard = callers
	handler, err := egress.New(egress.Config{
		Routes: cfg.Egress.Routes, Identity: cfg.Identity, IDPorten: cfg.IDPortenClientIDs(), Outbound: cfg.Outbound,
	}, deps)
	if err != nil {
		return err
	}
	s.egress = handler
	return nil
}

// exchanged are the providers whose users' tokens some route takes.
func exchanged(cfg *config.Config) []string {
	return slices.DeleteFunc(cfg.KnownProviders(), func(name string) bool {
		return !slices.ContainsFunc(cfg.Egress.Routes, func(route config.EgressRoute) bool {
			return route.As != "app" && oidc.Exchanges(route.Provider, name)
		})
	})
}

// egressSecret carries token.secret-file at the egress, where Authorization is the user's.
const egressSecret = "X-Postern-Secret"

// introspectedAudiences are Texas': the app's own client ids, and none for Maskinporten.
func introspectedAudiences(cfg *config.Config, name string) []string {
	if name == oidc.EntraID {
		return cfg.EntraClientIDs()
	}
	return cfg.InboundAudiences(name)
}

// asksLoginProvider says whether the app can be a client of its login provider beyond login, which it is for providers of no particular kind.
func (s *sidecar) asksLoginProvider() bool {
	return s.client != nil && s.client.ProviderName() == oidc.OpenID
}

// guard says who may speak to a listener of the app (S-22). The secret's file is read anew when it changes.
func (s *sidecar) guard(hosts []string, secretHeader string) (*guard.Guard, error) {
	secret, err := s.secretOf("token.secret-file", s.cfg.Token.SecretFile)
	if err != nil {
		return nil, err
	}
	return guard.New(guard.Config{
		AllowRemote: s.cfg.Token.AllowRemote, AllowedHosts: hosts, Secret: secret, SecretHeader: secretHeader,
	}), nil
}

// tokenAddress is where the token API is, empty if it is off.
func tokenAddress(cfg *config.Config) string {
	if !cfg.TokenAPIEnabled() {
		return ""
	}
	return cfg.Token.BindAddress
}

package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"postern/cmd/postern/telemetry"
	"postern/config"
	"postern/obo"
	"postern/oidc"
	"postern/proxy"
	"postern/session"
)

// sidecar is every room of one configuration, put together. This is the one file that knows them all.
type sidecar struct {
	cfg         config.Config
	log         *slog.Logger
	audit       *slog.Logger // of audit events, never nil
	registry    *prometheus.Registry
	front       *proxy.Handler // nil as a Texas
	forwardAuth http.Handler   // nil without a front door
	admin       http.Handler
	tokenAPI    http.Handler // nil without a provider of the platform
	egress      streaming    // nil without routes
	health      *health
	exporter    *telemetry.Exporter // nil while no telemetry is sent
	hangups     <-chan os.Signal    // that ask for audit.file to be opened again

	secretFiles map[string]string // paths that secrets were read from, by option
	cacheBytes  int64             // for each cache; 0 leaves it to the cache

	policy   *livePolicy
	trusted  *providers
	broker   *obo.Broker            // nil if nobody asks for tokens
	secrets  map[string]*liveSecret // that callers of a listener must know, by option
	signer   *oidc.Signer           // nil without assertions
	provider *oidc.Provider         // nil while login is off
	client   *oidc.Client           // nil while login is off
	ring     *session.KeyRing       // nil while login is off
	store    store                  // nil while login is off
	sessions *session.Manager       // nil while login is off
}

// store is where sessions are kept, and what the process does with it beside.
type store interface {
	session.Store
	Ping(ctx context.Context) error
	Close() error
}

// newSidecar builds the rooms from the innermost outwards. It does no I/O but reading key files: a provider or store that is down does not
// stop the start.
func newSidecar(loaded *config.Loaded, log, audit *slog.Logger) (*sidecar, error) {
	cfg := *loaded.Config
	s := &sidecar{cfg: cfg, log: log, audit: audit, registry: newRegistry(), secrets: map[string]*liveSecret{}, secretFiles: maps.Clone(loaded.SecretFiles)}
	if s.secretFiles == nil {
		s.secretFiles = map[string]string{}
	}
	s.health = &health{started: time.Now(), now: time.Now, providers: map[string]*oidc.Provider{}, outbound: map[string]*oidc.Provider{}}
	s.cacheBytes = cacheBudget(cfg.Server.CacheMaxMemory, memoryLimit(os.DirFS("/")), cachesOf(&cfg))
	shared := oidc.Deps{HTTP: oidc.NewHTTPClient(cfg.Outbound), Log: log, Registerer: s.registry, Revocations: oidc.NewRevocations(nil)}
	deps := proxy.Deps{Log: log, Audit: audit, Registerer: s.registry, Revoked: shared.Revocations.Has}
	s.addTelemetry()
	deps.Tracer = s.exporter.Tracer()
	var err error
	if s.policy, err = newLivePolicy(&cfg, log, audit, s.registry); err != nil {
		return nil, err
	}
	deps.Policy, s.health.policy = s.policy.current, s.policy
	if len(cfg.EntraTenants()) == 0 { // S-46: whose tokens an Entra ID of many tenants may bring; tenants that are added later take a restart
		cfg.OpenID.Tenants = s.policy.current().EntraTenants()
		s.cfg = cfg
	}
	if cfg.SSOProxy() {
		err = s.addSessions(&deps, shared, nil)
	} else if cfg.LoginEnabled() {
		err = s.addLogin(&deps, shared)
	}
	if err != nil {
		return nil, err
	}
	s.trusted = newProviders(&s.cfg, shared, s.provider)
	if err := s.addBearer(&deps, shared); err != nil {
		return nil, err
	}
	if wantsTokens(&cfg) {
		if err := s.addBroker(shared); err != nil {
			return nil, err
		}
		deps.Tokens = s.broker
	}
	if len(cfg.Egress.Routes) > 0 {
		if err := s.addEgress(shared); err != nil {
			return nil, err
		}
	}
	if cfg.TokenAPIEnabled() {
		if err := s.addTokenAPI(shared); err != nil {
			return nil, err
		}
	}
	if cfg.Identity.Assertion {
		if err := s.addSigner(&deps); err != nil {
			return nil, err
		}
	}
	if err := s.addAdmin(); err != nil {
		return nil, err
	}
	s.health.show(s.registry)
	if !cfg.HasFrontDoor() {
		return s, nil
	}
	if deps.ForwardAuthSecret, err = s.secretOf("forward-auth.secret-file", cfg.ForwardAuth.SecretFile); err != nil {
		return nil, err
	}
	front, err := proxy.New(proxy.Config{
		Front: cfg.Front, Upstream: cfg.Upstream, Cookie: cfg.Cookie, RateLimit: cfg.RateLimit, Identity: cfg.Identity,
		OpenID: cfg.OpenID, Session: cfg.Session, Limits: cfg.Server.Limits, SSO: cfg.SSO, Outbound: cfg.Outbound,
		PolicyFiles: len(cfg.Policy.Files) > 0, PolicyReports: cfg.Policy.Mode == "report", BearerExplicit: cfg.Bearer.Set,
		AppName: cfg.Providers.TokenX.ClientID, ForwardAuthRenews: cfg.SSOServer(),
	}, deps)
	if err != nil {
		return nil, err
	}
	s.front, s.forwardAuth, s.policy.changed = front, front.ForwardAuth(), front.Reconsider
	return s, s.addExposure()
}

// addExposure builds what looks at the app's port. There is no app behind an SSO server.
func (s *sidecar) addExposure() (err error) {
	if s.cfg.SSOServer() {
		return nil
	}
	var look func(context.Context) (sighting, error)
	if port := newAppPort(&s.cfg); port != nil {
		look = port.look
	}
	s.health.exposure, err = newExposure(look, s.cfg.Upstream.Exposed == "refuse", s.log, s.registry)
	return err
}

// addLogin builds what browser login needs: the provider, the client, and where sessions are kept.
func (s *sidecar) addLogin(deps *proxy.Deps, shared oidc.Deps) error {
	cfg := s.cfg
	provider, err := oidc.NewProvider(loginProvider(&cfg), shared)
	if err != nil {
		return err
	}
	client, err := oidc.NewClient(cfg.OpenID, provider, shared)
	if err != nil {
		return err
	}
	s.provider, s.client = provider, client
	s.health.providers["login"], deps.Client = provider, client
	return s.addSessions(deps, shared, client)
}

// addSessions builds where sessions are kept. Without a client they are an SSO server's, and only read.
func (s *sidecar) addSessions(deps *proxy.Deps, shared oidc.Deps, client *oidc.Client) error {
	ring, err := s.keyRing()
	if err != nil {
		return err
	}
	sessionDeps := session.Deps{Log: s.log, Audit: s.audit, Registerer: s.registry, Revocations: shared.Revocations}
	kept, err := s.newStore(sessionDeps)
	if err != nil {
		return err
	}
	cfg, refresher := sessionConfig(&s.cfg), session.Refresher(nil)
	if client != nil {
		refresher = client
	}
	cfg.CacheBytes = s.cacheBytes
	sessions := session.NewManager(cfg, ring, kept, refresher, sessionDeps)
	s.ring, s.store, s.sessions, s.health.store = ring, kept, sessions, &storeHealth{}
	deps.Sessions, deps.Ring = sessions, ring
	return nil
}

// sharedTicketAge is how old a ticket may be for an SSO proxy. Its record says when the session ends, by the server's options and not by ours.
const sharedTicketAge = 366 * 24 * time.Hour

// sessionConfig says how sessions behave in the mode that was chosen. As SSO server they are renewed for forward-auth and on request.
func sessionConfig(cfg *config.Config) session.ManagerConfig {
	out := session.ManagerConfig{
		Session: cfg.Session, CookieName: cfg.Cookie.Prefix + ".session", Provider: oidc.LoginProviderName(cfg.OpenID),
		KeepIDToken: cfg.Upstream.IncludeIDToken || cfg.Session.ForwardAuthSetHeaders,
	}
	if !cfg.SSO.Enabled {
		return out
	}
	out.CookieName, out.ManualRefreshOnly = cfg.SSO.SessionCookieName, !cfg.Session.ForwardAuth
	if cfg.SSOProxy() {
		out.ManualRefreshOnly, out.ReadOnly, out.ReadsWonderwall, out.MaxLifetime = true, true, true, sharedTicketAge
		if !cfg.OpenID.ProviderSet {
			out.Provider = ""
		}
	}
	return out
}

// addBearer builds what the validation of inbound tokens needs, if anybody's are accepted.
func (s *sidecar) addBearer(deps *proxy.Deps, shared oidc.Deps) error {
	names := s.cfg.InboundProviders()
	if len(names) == 0 {
		return nil
	}
	var err error
	if deps.Bearer, err = inboundVerifier(&s.cfg, s.trusted, s.cacheBytes, shared); err != nil {
		return err
	}
	for _, name := range names { // ID-porten may also be there for the issuer of TokenX' people alone, which nobody waits for (S-29)
		if provider := s.trusted.byName[name]; provider != s.provider {
			s.health.providers[name] = provider
		}
	}
	return nil
}

// addSigner finds the keys of assertions: those of a file, or one that is made now and ends with the process (S-20).
func (s *sidecar) addSigner(deps *proxy.Deps) (err error) {
	if file := s.cfg.Identity.AssertionKeyFile; file != "" {
		text, err := config.ReadSecret(nil, file)
		if err != nil {
			return fmt.Errorf("identity.assertion-key-file: %w", err)
		}
		if s.signer, err = oidc.NewSigner(text.Reveal()); err != nil {
			return fmt.Errorf("identity.assertion-key-file: %w", err)
		}
		s.secretFiles["identity.assertion-key-file"] = file
		deps.SignerKept = true
	} else if s.signer, err = oidc.NewRandomSigner(rand.Reader); err != nil {
		return err
	}
	deps.Signer = s.signer
	return nil
}

func (s *sidecar) keyRing() (*session.KeyRing, error) {
	keys := s.cfg.Encryption.Keys
	if len(keys) == 0 {
		key, err := session.RandomKey(rand.Reader)
		if err != nil {
			return nil, err
		}
		keys = []config.Secret{key}
		s.log.Warn("encryption-key is not set: a random one is used, and a restart signs everybody out")
	}
	ring, err := session.NewKeyRing(keys)
	if err != nil {
		return nil, fmt.Errorf("encryption-key: %w", err)
	}
	return ring, nil
}

func (s *sidecar) newStore(deps session.Deps) (store, error) {
	if !s.cfg.Redis.Enabled() {
		return session.NewMemoryStore(s.cfg.Server.CacheMaxMemory, deps), nil
	}
	redis.SetLogger(redisLogger{s.log}) // the library has one logger for the whole process
	kept, err := session.NewRedisStore(s.cfg.Redis, deps)
	if err != nil {
		return nil, fmt.Errorf("redis: %w", err)
	}
	return kept, nil
}

// background runs what works without a request: metadata and keys, the store's health, files that may change. It returns when ctx ends.
func (s *sidecar) background(ctx context.Context, run func(func())) {
	run(func() { s.policy.watch(ctx) })
	if s.health.audit != nil {
		run(func() { s.health.audit.watch(ctx, s.hangups) })
	}
	if s.health.exposure != nil {
		run(func() { s.health.exposure.watch(ctx) })
	}
	for provider := range s.trusted.all() {
		run(func() { provider.Run(ctx) })
	}
	if s.store != nil {
		run(func() { s.health.store.watch(ctx, s.store, s.sessions.Informed()) })
		run(func() { s.sessions.Run(ctx) })
	}
	for option, apply := range s.watchedSecrets() {
		if path := s.secretFiles[option]; path != "" {
			run(func() { watchSecret(ctx, option, path, apply, s.log) })
		}
	}
}

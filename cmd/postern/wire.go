package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"postern/config"
	"postern/oidc"
	"postern/proxy"
	"postern/session"
)

// sidecar is every room of one configuration, put together. This is the one file that knows them all.
type sidecar struct {
	cfg      config.Config
	log      *slog.Logger
	registry *prometheus.Registry
	front    http.Handler
	health   *health

	secretFiles map[string]string // paths that secrets were read from, by option

	provider *oidc.Provider   // nil while login is off
	client   *oidc.Client     // nil while login is off
	ring     *session.KeyRing // nil while login is off
	store    store            // nil while login is off
	sessions *session.Manager // nil while login is off
}

// store is where sessions are kept, and what the process does with it beside.
type store interface {
	session.Store
	Ping(ctx context.Context) error
	Close() error
}

// newSidecar builds the rooms from the innermost outwards. It does no I/O but reading key files: a provider or store that is down does not
// stop the start.
func newSidecar(loaded *config.Loaded, log *slog.Logger) (*sidecar, error) {
	cfg := *loaded.Config
	s := &sidecar{cfg: cfg, log: log, registry: newRegistry(), secretFiles: loaded.SecretFiles}
	s.health = &health{started: time.Now(), now: time.Now}
	deps := proxy.Deps{Log: log, Registerer: s.registry}
	if cfg.LoginEnabled() {
		if err := s.addLogin(&deps); err != nil {
			return nil, err
		}
	}
	front, err := proxy.New(proxy.Config{
		Front: cfg.Front, Upstream: cfg.Upstream, Cookie: cfg.Cookie, RateLimit: cfg.RateLimit, Identity: cfg.Identity,
		OpenID: cfg.OpenID, Session: cfg.Session, Limits: cfg.Server.Limits,
	}, deps)
	if err != nil {
		return nil, err
	}
	s.front = front
	return s, nil
}

// addLogin builds what browser login needs: the provider, the client, and where sessions are kept.
func (s *sidecar) addLogin(deps *proxy.Deps) error {
	cfg := s.cfg
	shared := oidc.Deps{HTTP: oidc.NewHTTPClient(cfg.Outbound), Log: s.log, Registerer: s.registry}
	provider, err := oidc.NewProvider(oidc.ProviderConfig{
		Name:              oidc.LoginProviderName(cfg.OpenID),
		WellKnownURL:      cfg.OpenID.WellKnownURL,
		Tenants:           cfg.OpenID.Tenants,
		FallbackAlg:       cfg.OpenID.JWKSFallbackAlg,
		AllowHTTP:         cfg.Providers.AllowHTTP,
		AllowTestProvider: cfg.Providers.AllowTestProvider || onlyLoopback(cfg.Front.Ingress),
	}, shared)
	if err != nil {
		return err
	}
	client, err := oidc.NewClient(cfg.OpenID, provider, shared)
	if err != nil {
		return err
	}
	ring, err := s.keyRing()
	if err != nil {
		return err
	}
	sessionDeps := session.Deps{Log: s.log, Registerer: s.registry}
	kept, err := s.newStore(sessionDeps)
	if err != nil {
		return err
	}
	sessions := session.NewManager(session.ManagerConfig{
		Session: cfg.Session, CookieName: cfg.Cookie.Prefix + ".session", Provider: client.ProviderName(),
	}, ring, kept, client, sessionDeps)
	s.provider, s.client, s.ring, s.store, s.sessions = provider, client, ring, kept, sessions
	s.health.provider, s.health.store = provider, &storeHealth{}
	deps.Client, deps.Sessions, deps.Ring = client, sessions, ring
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
	if s.provider == nil {
		return
	}
	run(func() { s.provider.Run(ctx) })
	run(func() { s.health.store.watch(ctx, s.store) })
	for option, apply := range s.watchedSecrets() {
		if path := s.secretFiles[option]; path != "" {
			run(func() { watchSecret(ctx, option, path, apply, s.log) })
		}
	}
}

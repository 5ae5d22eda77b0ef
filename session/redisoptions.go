package session

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"postern/config"
)

// connect makes the client, which does no I/O yet.
func (s *RedisStore) connect(cfg config.Redis, now func() time.Time) error {
	options, err := redisOptions(cfg)
	if err != nil {
		return err
	}
	made := &conns{tls: options.TLSConfig, open: map[*conn]bool{}}
	if len(cfg.SentinelAddresses) > 0 {
		s.sentinels = newSentinels(cfg.SentinelMaster, cfg.SentinelAddresses, options)
		made.primary = s.sentinels.primary
	}
	s.credentials = newCredentials(options.Username, options.Password)
	options.Dialer, options.CredentialsProvider = made.dial, s.credentials.get
	s.client = redis.NewUniversalClient(options)
	guarded := func(node *redis.Client, more func()) {
		node.AddHook(s.watchGuard(&guard{breaker: breaker{now: now}, gone: func() {
			made.dropAsked(node.Options().Addr)
			more()
		}}))
	}
	switch client := s.client.(type) {
	case *redis.ClusterClient: // each node as it is found
		client.AddHook(oneKeyEach{})
		client.OnNewNode(func(node *redis.Client) {
			guarded(node, func() { client.ReloadState(context.Background()) }) // a replica may have taken over
		})
	case *redis.Client:
		guarded(client, func() {})
	}
	return nil
}

// redisOptions says how to reach Redis. redis.uri gives the credentials, the database and TLS also for Sentinel and Cluster, whose
// addresses come from their own options.
func redisOptions(cfg config.Redis) (*redis.UniversalOptions, error) {
	o, err := redisAddress(cfg)
	if err != nil {
		return nil, err
	}
	if cfg.Username != "" {
		o.Username = cfg.Username
	}
	if !cfg.Password.Empty() {
		o.Password = cfg.Password.Reveal()
	}
	switch {
	case len(cfg.SentinelAddresses) > 0:
		if cfg.SentinelMaster == "" {
			return nil, errors.New("redis.sentinel-addresses needs redis.sentinel-master")
		}
		o.Addrs = []string{"the primary of " + cfg.SentinelMaster} // found anew for each connection
	case len(cfg.ClusterAddresses) > 0:
		o.Addrs, o.IsClusterMode = cfg.ClusterAddresses, true
	}
	if o.TLSConfig != nil && (len(cfg.SentinelAddresses) > 0 || o.IsClusterMode) {
		o.TLSConfig.ServerName = "" // each node's own name, not that of redis.uri
	}
	if err := trustCA(cfg, o); err != nil {
		return nil, err
	}
	boundTimes(o, cfg.ConnectionIdleTimeout)
	return o, nil
}

func redisAddress(cfg config.Redis) (*redis.UniversalOptions, error) {
	switch {
	case !cfg.URI.Empty():
		parsed, err := redis.ParseURL(cfg.URI.Reveal())
		if err != nil {
			return nil, errors.New("redis.uri is not a redis://, rediss:// or unix:// URL with a known database and parameters") // the cause would quote it
		}
		return &redis.UniversalOptions{
			Addrs: []string{parsed.Addr}, DB: parsed.DB, Username: parsed.Username, Password: parsed.Password,
			Protocol: parsed.Protocol, ClientName: parsed.ClientName, PoolSize: parsed.PoolSize, TLSConfig: parsed.TLSConfig,
		}, nil
	case cfg.Address != "":
		o := &redis.UniversalOptions{Addrs: []string{cfg.Address}}
		if cfg.TLS {
			o.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12}
		}
		return o, nil
	case len(cfg.SentinelAddresses) > 0, len(cfg.ClusterAddresses) > 0:
		o := &redis.UniversalOptions{}
		if cfg.CAFile != "" {
			o.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12}
		}
		return o, nil
	}
	return nil, errors.New("no address of Redis is configured")
}

func trustCA(cfg config.Redis, o *redis.UniversalOptions) error {
	if cfg.CAFile == "" {
		return nil
	}
	if o.TLSConfig == nil {
		return errors.New("redis.ca-file needs TLS: write redis.uri as rediss://")
	}
	bundle, err := os.ReadFile(cfg.CAFile)
	if err != nil {
		return fmt.Errorf("read redis.ca-file: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(bundle) {
		return errors.New("redis.ca-file holds no certificate in PEM")
	}
	o.TLSConfig.RootCAs = roots
	return nil
}

// boundTimes overrides what the client library does by default: it waits 5 seconds for a server that hangs, whatever the context says,
// and 1.7 seconds for one that is gone.
func boundTimes(o *redis.UniversalOptions, idleSeconds int) {
	o.ContextTimeoutEnabled = true
	o.DialTimeout, o.ReadTimeout, o.WriteTimeout = dialTimeout, 400*time.Millisecond, 400*time.Millisecond
	o.PoolTimeout = 400 * time.Millisecond
	o.MaxRetries, o.DialerRetries = 1, 1
	if o.IsClusterMode {
		o.MaxRetries = -1 // of a node's client: that of the Cluster tries again by itself
	}
	o.MinIdleConns = 1
	o.PipelinePoolSize = -1 // a second pool, for pipelines that there are none of
	o.ReadBufferSize, o.WriteBufferSize = 16<<10, 16<<10
	o.DisableIdentity = true // CLIENT SETINFO is refused by tight ACLs
	o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	switch {
	case idleSeconds > 0:
		o.ConnMaxIdleTime = time.Duration(idleSeconds) * time.Second
	case idleSeconds < 0:
		o.ConnMaxIdleTime = -1
	}
}

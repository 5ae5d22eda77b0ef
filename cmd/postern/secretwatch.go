package main

import (
	"bytes"
	"context"
	"log/slog"
	"time"

	"postern/config"
	"postern/session"
)

const fileRecheck = 5 * time.Second

// watchedSecrets are the secrets that can be exchanged without a restart when their file changes, by the name of the option.
func (s *sidecar) watchedSecrets() map[string]func(path string) error {
	watched := map[string]func(path string) error{
		"identity.assertion-key-file": func(path string) error {
			text, err := config.ReadSecret(nil, path)
			if err != nil {
				return err
			}
			return s.signer.Replace(text.Reveal())
		},
	}
	for option, secret := range s.secrets {
		watched[option] = secret.read
	}
	if s.ring != nil {
		watched["encryption-key"] = func(path string) error {
			keys, err := config.ReadEncryptionKeys(nil, path)
			if err != nil {
				return err
			}
			err = s.ring.Replace(keys)
			if err == nil {
				s.audit.Info("key ring changed", "audit", true, "keys", len(keys))
			}
			return err
		}
	}
	if kept, ok := s.store.(*session.RedisStore); ok { // an SSO proxy has a store and no client
		watched["redis.uri"] = func(string) error { return s.readRedisCredentials(kept) }
		watched["redis.password"] = watched["redis.uri"]
	}
	if s.client == nil {
		return watched
	}
	option := "openid.client-secret"
	if !s.cfg.OpenID.ClientJWK.Empty() { // a private key wins over a secret
		option = "openid.client-jwk"
	}
	watched[option] = func(path string) error {
		text, err := config.ReadSecret(nil, path)
		if err != nil {
			return err
		}
		return s.client.ReplaceCredential(text)
	}
	return watched
}

// readRedisCredentials reads both files that credentials of Redis may be in, whichever has changed. Where the servers are takes a restart.
func (s *sidecar) readRedisCredentials(kept *session.RedisStore) error {
	cfg := s.cfg.Redis
	for option, secret := range map[string]*config.Secret{"redis.uri": &cfg.URI, "redis.password": &cfg.Password} {
		path := s.secretFiles[option]
		if path == "" {
			continue
		}
		text, err := config.ReadSecret(nil, path)
		if err != nil {
			return err
		}
		*secret = text
	}
	return kept.ReplaceCredentials(cfg)
}

// watchSecret applies a secret's file whenever its content changes, until ctx ends. A file that cannot be used leaves the old secret in
// force.
func watchSecret(ctx context.Context, option, path string, apply func(path string) error, log *slog.Logger) {
	last, _ := config.ReadFile(path)
	tick := time.NewTicker(fileRecheck)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now, err := config.ReadFile(path)
		if err != nil || bytes.Equal(now, last) {
			continue
		}
		last = now
		if err := apply(path); err != nil {
			log.ErrorContext(ctx, "a secret's file has changed and cannot be used: the old secret stays", "option", option, "error", err.Error())
			continue
		}
		log.InfoContext(ctx, "secret replaced", "option", option)
	}
}

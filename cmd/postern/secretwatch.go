package main

import (
	"bytes"
	"context"
	"log/slog"
	"time"

	"postern/config"
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
		"token.secret-file": s.readTokenSecret,
	}
	if s.client == nil {
		return watched
	}
	replaceCredential := func(path string) error {
		text, err := config.ReadSecret(nil, path)
		if err != nil {
			return err
		}
		return s.client.ReplaceCredential(text)
	}
	option := "openid.client-secret"
	if !s.cfg.OpenID.ClientJWK.Empty() { // a private key wins over a secret
		option = "openid.client-jwk"
	}
	watched[option] = replaceCredential
	watched["encryption-key"] = func(path string) error {
		keys, err := config.ReadEncryptionKeys(nil, path)
		if err != nil {
			return err
		}
		return s.ring.Replace(keys)
	}
	return watched
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

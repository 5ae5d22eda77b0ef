package main

import (
	"fmt"
	"sync/atomic"

	"postern/config"
)

// liveSecret is what the callers of a listener must know; its file is read anew when it changes.
type liveSecret struct{ text atomic.Pointer[string] }

func (s *liveSecret) read(path string) error {
	text, err := config.ReadSecret(nil, path)
	if err != nil {
		return err
	}
	secret := text.Reveal()
	s.text.Store(&secret)
	return nil
}

// secretOf reads the secret of an option and has its file watched. Without a file nothing is asked for, and the result is nil.
func (s *sidecar) secretOf(option, path string) (func() string, error) {
	if path == "" {
		return nil, nil
	}
	secret := s.secrets[option]
	if secret == nil {
		secret = &liveSecret{}
		if err := secret.read(path); err != nil {
			return nil, fmt.Errorf("%s: %w", option, err)
		}
		s.secrets[option], s.secretFiles[option] = secret, path
	}
	return func() string { return *secret.text.Load() }, nil
}

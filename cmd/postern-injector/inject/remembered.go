package inject

import (
	"crypto/sha256"
	"encoding/binary"
	"strings"
	"sync"

	"postern/config"
)

// Bounds of what is remembered. Pods come in many of a kind: a few kinds at a time are enough.
const (
	maxRemembered  = 256
	maxRemembrance = 4 << 10 // of warnings
)

// remembered is what does not depend on the pod that is looked at, and takes most of the time of a review: which variables there are, and what a
// sidecar with such and such an environment makes of it. It lives as long as the [Settings] that
// [ReadSettings] made, and is safe for concurrent use.
type remembered struct {
	once      sync.Once
	variables map[string]config.Variable

	mu   sync.Mutex
	good map[[sha256.Size]byte]judgement
}

// judgement is what a sidecar thinks of an environment that it can start with.
type judgement struct {
	login    bool // people could log in
	warnings []string
}

// known are all variables of the sidecar, by name. The map must not be changed.
func (s *Settings) known() map[string]config.Variable {
	if s.remembered == nil {
		return config.Variables()
	}
	s.remembered.once.Do(func() { s.remembered.variables = config.Variables() })
	return s.remembered.variables
}

// judge loads the environment ("NAME=value") as a sidecar would. An environment is judged once: the judgement depends on nothing else. What is
// wrong is not remembered; there is no hurry to say it again.
func (s *Settings) judge(environ []string) (judgement, error) {
	key := keyOf(environ)
	if known, ok := s.remembered.recall(key); ok {
		return known, nil
	}
	loaded, err := config.Load(config.Source{Environ: environ, ReadFile: func(string) ([]byte, error) { return []byte("in the sidecar\n"), nil }})
	j := judgement{login: loaded.Config != nil && loaded.Config.LoginEnabled(), warnings: loaded.Warnings}
	if err == nil && len(strings.Join(j.warnings, "")) <= maxRemembrance {
		s.remembered.remember(key, j)
	}
	return j, err
}

// keyOf tells environments apart whatever their values hold: the pod's author writes some of them.
func keyOf(environ []string) (key [sha256.Size]byte) {
	h := sha256.New()
	for _, pair := range environ {
		_ = binary.Write(h, binary.BigEndian, uint64(len(pair))) // a hash takes everything
		_, _ = h.Write([]byte(pair))
	}
	h.Sum(key[:0])
	return key
}

func (r *remembered) recall(key [sha256.Size]byte) (judgement, bool) {
	if r == nil {
		return judgement{}, false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	j, ok := r.good[key]
	return j, ok
}

func (r *remembered) remember(key [sha256.Size]byte, j judgement) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.good == nil || len(r.good) >= maxRemembered {
		r.good = map[[sha256.Size]byte]judgement{}
	}
	r.good[key] = j
}

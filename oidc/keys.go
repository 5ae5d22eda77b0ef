package oidc

import (
	"context"
	"crypto"
	"errors"
	"slices"
	"sync"
	"time"

	"postern/oidc/meter"
)

const (
	keysUsable = 24 * time.Hour   // S-34: a set that could not be refreshed for so long is not used
	seekEvery  = 30 * time.Second // S-34: fetches for unknown key ids
	maxSought  = 1000             // key ids remembered as looked for in vain
	maxKeys    = 100
)

// keySet is a provider's usable keys as of the moment when their fetch began.
type keySet struct {
	keys []verificationKey
	asOf time.Time
}

func (s *keySet) stale(now time.Time) bool { return now.Sub(s.asOf) > keysUsable }

// find returns the keys of that id for that algorithm, normally one. A token without a key id gets a key only if there is no choice
// (OIDC Core §10.1).
func (s *keySet) find(kid, alg string) []*verificationKey {
	var found []*verificationKey
	for i := range s.keys {
		if key := &s.keys[i]; key.alg == alg && (key.kid == kid || kid == "") {
			found = append(found, key)
		}
	}
	if kid == "" && len(found) > 1 {
		return nil
	}
	return found
}

// holds says whether a key that was found once is still in the set, as it was: an id may come back with other members.
func (s *keySet) holds(key *verificationKey) bool {
	public, canCompare := key.public.(interface{ Equal(crypto.PublicKey) bool })
	return canCompare && slices.ContainsFunc(s.keys, func(k verificationKey) bool {
		return k.kid == key.kid && k.alg == key.alg && k.issuer == key.issuer && public.Equal(k.public)
	})
}

func (p *Provider) fetchKeys(ctx context.Context, md *Metadata) (*keySet, error) {
	asOf := p.deps.Now()
	body, err := p.fetch(ctx, opFetchKeys, md.JWKSURI)
	if err != nil {
		return nil, &fault{reasonKeysUnreach, err}
	}
	keys, err := parseKeySet(body, p.cfg.FallbackAlg)
	if err != nil {
		return nil, &fault{reasonKeysInvalid, err}
	}
	set := &keySet{keys: keys, asOf: asOf}
	if len(keys) == 0 {
		// A well-formed set withdraws what it no longer lists, also when nothing usable is left.
		return set, &fault{reasonKeysInvalid, errors.New("the key set has no usable key")}
	}
	return set, nil
}

// keysFor returns the keys that may have signed a token. An unknown key id may cost one fetch (S-34). Missing keys are a *TroubleError,
// a key id that the provider does not know an *InvalidTokenError.
func (p *Provider) keysFor(ctx context.Context, kid, alg string) ([]*verificationKey, error) {
	return p.keysOrFetch(ctx, &p.seek, kid, alg)
}

// keysOrFetch is keysFor with the fetches that one kind of token may cause.
func (p *Provider) keysOrFetch(ctx context.Context, budget *seeker, kid, alg string) ([]*verificationKey, error) {
	found, err := p.keysAtHand(ctx, kid, alg)
	if err != nil || len(found) > 0 {
		return found, err
	}
	if kid == "" {
		return nil, invalid("it names no key, and the provider does not have exactly one for its algorithm")
	}
	if err := p.lookFor(ctx, budget, kid); err != nil {
		return nil, err
	}
	if found, err = p.keysAtHand(ctx, kid, alg); err == nil && len(found) == 0 {
		err = invalid("its key is not one of the provider's for its algorithm")
	}
	return found, err
}

func (p *Provider) keysAtHand(ctx context.Context, kid, alg string) ([]*verificationKey, error) {
	s, err := p.current(ctx, "read keys")
	if err != nil {
		return nil, err
	}
	if err := p.keysTrouble(s, p.deps.Now()); err != nil {
		return nil, err
	}
	return s.keys.find(kid, alg), nil
}

// keysTrouble is nil while the keys of s may be used.
func (p *Provider) keysTrouble(s *snapshot, now time.Time) error {
	if reason := s.keys.unusable(now); reason != "" {
		return &TroubleError{Provider: p.cfg.Name, Op: "read keys", RetryAfter: seekEvery, Err: errors.New(reason)}
	}
	return nil
}

func (s *keySet) unusable(now time.Time) string {
	switch {
	case s.stale(now):
		return reasonKeysStale
	case len(s.keys) == 0:
		return reasonKeysInvalid
	}
	return ""
}

// seeker holds back the fetches that tokens of one kind can cause.
type seeker struct {
	mu     sync.Mutex // never held during a fetch
	next   time.Time
	flight *flight
	sought map[string]struct{}
}

type flight struct {
	done chan struct{}
	err  error // read after done
}

// withdrawn remembers key ids that a newer set no longer has: they need not be looked for.
func (s *seeker) withdrawn(old, new *keySet) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, key := range old.keys {
		if !slices.ContainsFunc(new.keys, func(k verificationKey) bool { return k.kid == key.kid }) {
			s.remember(key.kid)
		}
	}
}

// remember notes a key id that was looked for in vain. The caller holds the lock.
func (s *seeker) remember(kid string) {
	if s.sought == nil || len(s.sought) >= maxSought {
		s.sought = make(map[string]struct{})
	}
	s.sought[kid] = struct{}{}
}

// lookFor fetches the keys for a key id that is not among them, or joins the fetch under way. After it returns nil the keys in force
// are as new as the rate allows: what is still missing does not exist. While the next fetch is held back, an id that was not yet looked
// for is trouble of ours (503), one that was looked for in vain is not (401).
func (p *Provider) lookFor(ctx context.Context, s *seeker, kid string) error {
	trouble := func(after time.Duration, err error) error {
		return &TroubleError{Provider: p.cfg.Name, Op: "look for key", RetryAfter: after, Err: err}
	}
	s.mu.Lock()
	under := s.flight
	if under == nil {
		if wait := s.next.Sub(p.deps.Now()); wait > 0 {
			_, inVain := s.sought[kid]
			s.mu.Unlock()
			if inVain {
				return nil
			}
			return trouble(wait, errors.New("unknown key id while fetches for unknown keys are held back"))
		}
		under = &flight{done: make(chan struct{})}
		s.flight, s.next = under, p.deps.Now().Add(seekEvery)
		// The fetch serves everybody who waits: it must not end with the request that happened to come first.
		go p.fly(meter.Apart(ctx), s, under)
	}
	s.mu.Unlock()

	began := time.Now()
	defer func() { meter.Waited(ctx, time.Since(began)) }()
	select {
	case <-under.done:
	case <-ctx.Done():
		return trouble(0, context.Cause(ctx))
	}
	if under.err != nil {
		return trouble(seekEvery, under.err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.remember(kid)
	return nil
}

func (p *Provider) fly(ctx context.Context, s *seeker, f *flight) {
	keys, err := p.fetchKeys(ctx, p.state.Load().metadata)
	p.install(nil, keys)
	f.err = err
	s.mu.Lock()
	s.flight = nil
	s.mu.Unlock()
	close(f.done)
}

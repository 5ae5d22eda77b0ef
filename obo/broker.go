package obo

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/singleflight"

	"postern/oidc"
	"postern/oidc/meter"
	"postern/oidc/trace"
)

// Provider is one at which the app is a client.
type Provider struct {
	Name        string              // as requests name it
	Endpoint    *oidc.TokenEndpoint // nil: known, and never asked for tokens
	Credentials oidc.Credentials    // Maskinporten: whose key signs the grant itself
	Deps        oidc.Deps           // of that signature
}

// Config is how the broker behaves. The zero value works.
type Config struct {
	CacheBytes int64                 // bound of all tokens together; 0 means a default
	MaxRetries *int                  // attempts after the first; nil means three
	Revoked    func(raw string) bool // whether a user token was ended by a logout (S-09); nil: none is
}

// Deps are what the broker needs from outside. The zero value works.
type Deps struct {
	Log        *slog.Logger          // nil: silent
	Registerer prometheus.Registerer // nil: metrics are not registered
	Now        func() time.Time      // nil: time.Now
	Jitter     func() float64        // in [0, 1), safe for concurrent use; nil: random
}

// Token is a token for the next hop.
type Token struct {
	Access    oidc.Token
	ExpiresIn int64 // whole seconds until its own end or that of the user token that bought it, whichever comes first
	Cached    bool
}

// use is what a token is for: two that differ in it are never the same.
type use byte

const (
	machine  use = 'm' // the app's own
	onBehalf use = 'u' // of a user
)

// spanNames are those of a purchase.
var spanNames = [...]string{machine: "machine token", onBehalf: "user token"}

const (
	callDeadline = 5 * time.Second // of all attempts together
	patience     = time.Second     // how long somebody waits for a new token who could have the old one
)

// Broker gets tokens at the providers of the app. It may be used by any number of goroutines.
type Broker struct {
	cfg      Config
	deps     Deps
	sources  map[string]*source
	cache    *cache
	refusals *refusals
	flights  singleflight.Group
	metrics  *metrics
}

// NewBroker does no I/O; an error means that the configuration cannot work.
func NewBroker(providers []Provider, cfg Config, d Deps) (*Broker, error) {
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	if d.Now == nil {
		d.Now = time.Now
	}
	if d.Jitter == nil {
		d.Jitter = randomShare
	}
	b := &Broker{cfg: cfg, deps: d, sources: map[string]*source{}, cache: newCache(cfg.CacheBytes, d.Now), refusals: newRefusals(d.Now)}
	for _, p := range providers {
		s, err := newSource(p, d.Now)
		if err != nil {
			return nil, fmt.Errorf("get tokens of %s: %w", p.Name, err)
		}
		b.sources[p.Name] = s
	}
	b.metrics = newMetrics(d.Registerer, b.cache, b.sources)
	for _, s := range b.sources {
		s.hits = b.metrics.hitsOf(s)
	}
	return b, nil
}

// Machine gets a token of the app's own.
func (b *Broker) Machine(ctx context.Context, r Request) (Token, error) {
	return b.get(ctx, machine, r)
}

// Exchange gets a token on behalf of the user whose token is given. It does not look at that token but for its end: the provider does.
func (b *Broker) Exchange(ctx context.Context, r Request) (Token, error) {
	if b.cfg.Revoked != nil && b.cfg.Revoked(r.UserToken) {
		return Token{}, &oidc.InvalidTokenError{Reason: "its session has been ended by a logout"}
	}
	return b.get(ctx, onBehalf, r)
}

// Cached is how many tokens are kept: exchanged ones, or the app's own.
func (b *Broker) Cached(exchanged bool) int {
	if exchanged {
		return int(b.cache.exchanges.Load())
	}
	return int(b.cache.machines.Load())
}

// get is the way of every request: check, cache, flight, grant, store.
func (b *Broker) get(ctx context.Context, use use, r Request) (Token, error) {
	s, grant, err := b.source(use, r.Provider)
	if err != nil {
		return Token{}, err
	}
	r = r.normalized()
	k, now := keyOf(use, r), b.deps.Now()
	kept := b.cache.get(k)
	switch {
	case r.SkipCache:
		kept = nil
	case kept != nil && kept.fresh(now):
		if use == machine && kept.renewNow(now) {
			b.flights.DoChan(string(k[:]), b.flight(ctx, s, grant, use, r, k))
		}
		s.hits[use].Inc()
		b.metrics.cache.Hit()
		return kept.token(now), nil
	default:
		if known := b.recall(use, r, k, now); known != nil {
			b.metrics.of(r.Provider, use, outcomeRefused).Inc()
			return Token{}, known
		}
	}
	b.metrics.cache.Miss()
	made, err := b.await(ctx, kept, k, b.flight(ctx, s, grant, use, r, k))
	if _, refused := errors.AsType[*oidc.RefusalError](err); refused && r.SkipCache {
		b.cache.drop(k) // whoever skips the cache has seen the old token fail, and there is no new one
	}
	if _, inTrouble := errors.AsType[*oidc.TroubleError](err); inTrouble && kept != nil {
		if now = b.deps.Now(); kept.lasts(now) {
			made, err = kept.token(now), nil
		}
	}
	b.metrics.outcome(r.Provider, use, made, err)
	return made, err
}

// recall finds what the provider said no to a moment ago: the same request, or, where the user is known by name, one of theirs.
func (b *Broker) recall(use use, r Request, k key, now time.Time) error {
	if known := b.refusals.recall(k, r.RefusalAge, now); known != nil || r.User == "" {
		return known
	}
	return b.refusals.recall(userKey(use, r), r.RefusalAge, now)
}

// source finds who can be asked, and how.
func (b *Broker) source(use use, provider string) (*source, grant, error) {
	s := b.sources[provider]
	if s == nil {
		return nil, nil, &UnsupportedError{provider, "is not enabled"}
	}
	grant, what := s.machine, "token requests"
	if use == onBehalf {
		grant, what = s.exchange, "token exchange"
	}
	if grant == nil {
		return nil, nil, &UnsupportedError{provider, "does not support " + what}
	}
	return s, grant, nil
}

// await joins the flight for a key, or begins it. Whoever leaves cancels nobody else's. Who could have an old token that lives does not
// wait for long.
func (b *Broker) await(ctx context.Context, kept *entry, k key, fly func() (any, error)) (Token, error) {
	landed := b.flights.DoChan(string(k[:]), fly)
	var enough <-chan time.Time
	if kept != nil {
		timer := time.NewTimer(patience)
		defer timer.Stop()
		enough = timer.C
	}
	began := time.Now()
	defer func() { meter.Waited(ctx, time.Since(began)) }()
	for {
		select {
		case result := <-landed:
			made, _ := result.Val.(Token)
			return made, result.Err
		case <-ctx.Done():
			return Token{}, context.Cause(ctx)
		case <-enough:
			if now := b.deps.Now(); kept.lasts(now) {
				return kept.token(now), nil
			}
			enough = nil
		}
	}
}

// flight is one purchase for everybody who waits for it, so it must not end with the request that happened to come first.
func (b *Broker) flight(ctx context.Context, s *source, grant grant, use use, r Request, k key) func() (any, error) {
	return func() (made any, err error) {
		defer func() {
			if panicked := recover(); panicked != nil { // the library would end the process
				b.deps.Log.ErrorContext(ctx, "panic", "where", "token flight", "stack", string(debug.Stack()))
				made, err = Token{}, fmt.Errorf("get token: panic of type %T", panicked)
			}
		}()
		ctx, cancel := context.WithTimeout(meter.Apart(ctx), callDeadline)
		defer cancel()
		return b.buy(ctx, s, grant, use, r, k)
	}
}

// buy asks the provider, and keeps what it says.
func (b *Broker) buy(ctx context.Context, s *source, grant grant, use use, r Request, k key) (Token, error) {
	ctx, span := trace.Start(ctx, spanNames[use], trace.Internal)
	if span != nil {
		span.SetText("texas.identity_provider", s.name)
		span.SetText("texas.target", oidc.CleanText(r.Target))
	}
	answer, err := b.ask(ctx, s, use, grant(r))
	span.End(err)
	if refusal, ok := errors.AsType[*oidc.RefusalError](err); ok {
		b.refusals.remember(k, refusal)
		if end := oidc.UnverifiedExpiry(r.UserToken); r.User != "" && end.After(b.deps.Now()) { // else it may be about the token alone
			b.refusals.remember(userKey(use, r), refusal)
		}
	}
	if err != nil {
		return Token{}, err
	}
	now := b.deps.Now()
	e := newEntry(use, answer, now)
	if use == onBehalf {
		if e.userEnd = oidc.UnverifiedExpiry(r.UserToken); e.endedForUser(now) {
			return Token{}, errUserTokenEnded(s.name)
		}
	}
	b.cache.keep(k, e)
	made := e.token(now)
	made.Cached = false
	return made, nil
}

// errUserTokenEnded: the provider's clock, or its leeway, was kinder than ours. What an ended token buys is not handed out.
func errUserTokenEnded(provider string) error {
	return &oidc.RefusalError{
		Provider: provider, Op: "exchange token", Status: 400, Code: "invalid_grant",
		Description: "the user token has expired", Words: "The user token has expired.",
	}
}

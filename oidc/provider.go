package oidc

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"postern/oidc/meter"
)

const (
	firstRetry   = 100 * time.Millisecond
	startRetry   = 4 * time.Second // with jitter below the 5 s of the contract
	refreshEvery = 15 * time.Minute
	refreshRetry = time.Minute
	fetchTimeout = 5 * time.Second
	firstWait    = 2 * time.Second // how long a request waits for the first fetch
	maxInFlight  = 64              // S-28: calls of requests that are at the provider at the same time
)

// ProviderConfig says where a provider is and what may be believed of it.
type ProviderConfig struct {
	Name          string // for errors, logs and metrics
	WellKnownURL  string // metadata; may be empty if Issuer and JWKSURI are given
	Issuer        string // these three win over the metadata; with Issuer given, the metadata must name exactly that one
	JWKSURI       string
	TokenEndpoint string
	Tenants       []string // GUIDs accepted where the issuer carries {tenantid}
	FallbackAlg   string   // for RSA keys without "alg"; empty: RS256. EC and OKP keys without one follow their curve

	AllowHTTP         bool // URLs of the provider may be http beyond loopback (S-50)
	AllowTestProvider bool // metadata with postern_test_provider is accepted (S-41)
}

func (cfg ProviderConfig) check() error {
	var problems []error
	if cfg.Name == "" {
		problems = append(problems, errors.New("name is missing"))
	}
	switch {
	case cfg.WellKnownURL == "" && (cfg.Issuer == "" || cfg.JWKSURI == ""):
		problems = append(problems, errors.New("well-known URL is missing"))
	case cfg.WellKnownURL != "" && cfg.Issuer == "":
		if _, err := deriveIssuer(cfg.WellKnownURL); err != nil {
			problems = append(problems, err)
		}
	}
	for what, raw := range map[string]string{"well-known URL": cfg.WellKnownURL, "JWKS URI": cfg.JWKSURI, "token endpoint": cfg.TokenEndpoint} {
		if raw == "" {
			continue
		}
		if err := checkURL(raw, cfg.AllowHTTP, true); err != nil {
			problems = append(problems, fmt.Errorf("%s %w", what, err))
		}
	}
	if strings.Contains(cfg.Issuer, tenantPlaceholder) && len(cfg.Tenants) == 0 {
		problems = append(problems, errors.New("the issuer is for many tenants, and none is allowed by name"))
	}
	for _, tenant := range cfg.Tenants {
		if !isGUID(tenant) {
			problems = append(problems, fmt.Errorf("tenant %q is not a GUID", tenant))
		}
	}
	if cfg.FallbackAlg != "" && !allowedAlgorithm(cfg.FallbackAlg) {
		problems = append(problems, fmt.Errorf("fallback algorithm %q is not one of RS, PS, ES 256, 384, 512 or EdDSA", cfg.FallbackAlg))
	}
	return errors.Join(problems...)
}

// Provider is one identity provider: its metadata and keys. Make it with [NewProvider] and run [Provider.Run] once.
type Provider struct {
	cfg     ProviderConfig
	deps    Deps
	metrics *metrics

	state  atomic.Pointer[snapshot] // nil until metadata and keys were read once
	reason atomic.Pointer[string]   // why the last fetch failed; empty if it did not
	write  sync.Mutex               // orders the writers of state
	ready  chan struct{}            // closed with the first state
	failed chan struct{}            // closed when the first fetches did not succeed in firstWait: requests no longer wait
	seek   seeker                   // for tokens of callers, and of logins
	logout seeker                   // for logout tokens, which are everybody's to send: they delay nobody else (S-33)
	room   chan struct{}            // one slot for each call in flight
}

// snapshot is replaced as a whole, never changed.
type snapshot struct {
	metadata *Metadata
	keys     *keySet
}

// Health is what operators see of a provider. Reason is a stable code, empty if all is well: "starting", "metadata_unreachable",
// "metadata_invalid", "issuer_mismatch", "tenants_missing", "endpoint_insecure", "test_provider_refused", "keys_unreachable",
// "keys_invalid", "keys_stale".
type Health struct {
	Ready    bool // metadata and keys were read once (S-29: it stays so)
	Degraded bool // ready, and the last refresh failed
	Reason   string
}

// NewProvider does no I/O; an error means that the configuration cannot work.
func NewProvider(cfg ProviderConfig, d Deps) (*Provider, error) {
	if err := cfg.check(); err != nil {
		return nil, fmt.Errorf("configure provider %s: %w", cfg.Name, err)
	}
	p := &Provider{
		cfg: cfg, deps: d.withDefaults(),
		ready: make(chan struct{}), failed: make(chan struct{}),
		room: make(chan struct{}, maxInFlight),
	}
	p.metrics = newMetrics(d.Registerer, p)
	starting := reasonStarting
	p.reason.Store(&starting)
	return p, nil
}

// Run keeps metadata and keys fresh until ctx ends. Until they are there it tries at least every 5 s, then it refreshes every 15 min
// (S-34), sooner after a failure. What was read stays in force while a refresh fails.
func (p *Provider) Run(ctx context.Context) {
	begun := p.deps.Now()
	retry, waiting := firstRetry, true
	for {
		started := p.deps.Now()
		err := p.refresh(ctx)
		if ctx.Err() != nil {
			return
		}
		p.note(err)
		pause := refreshEvery
		if err != nil {
			pause = retry
			longest := startRetry
			if p.state.Load() != nil {
				longest = refreshRetry
			}
			retry = min(retry*2, longest)
		} else {
			retry = firstRetry
		}
		if waiting && (err == nil || p.deps.Now().Sub(begun) >= firstWait) {
			waiting = false
			close(p.failed) // of no consequence after success: readers look for the state first
		}
		timer := time.NewTimer(p.deps.jitter(pause) - p.deps.Now().Sub(started))
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
	}
}

// refresh reads both documents. With old metadata at hand a failure to read new ones does not keep withdrawn keys alive.
func (p *Provider) refresh(ctx context.Context) error {
	md, mdErr := p.fetchMetadata(ctx)
	if mdErr != nil {
		current := p.state.Load()
		if current == nil {
			return mdErr
		}
		md = current.metadata
	}
	keys, keysErr := p.fetchKeys(ctx, md)
	p.install(md, keys)
	if mdErr != nil {
		return mdErr
	}
	return keysErr
}

func (p *Provider) fetchMetadata(ctx context.Context) (*Metadata, error) {
	if p.cfg.WellKnownURL == "" {
		return &Metadata{Issuer: p.cfg.Issuer, JWKSURI: p.cfg.JWKSURI, TokenEndpoint: p.cfg.TokenEndpoint}, nil
	}
	body, err := p.fetch(ctx, "fetch metadata", p.cfg.WellKnownURL)
	if err != nil {
		return nil, &fault{reasonUnreachable, err}
	}
	md, err := parseMetadata(body)
	if err != nil {
		return nil, &fault{reasonInvalid, err}
	}
	return p.cfg.adopt(md)
}

// fetch GETs a public document.
func (p *Provider) fetch(ctx context.Context, op, address string) (body []byte, err error) {
	began := p.deps.Now()
	defer func() { p.metrics.call(op, began, p.deps.Now(), err) }()
	ctx, span := p.span(ctx, op)
	defer func() { span.End(err) }()
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", op, err)
	}
	req.Header.Set("Accept", "application/json")
	span.Inject(req.Header)
	resp, err := p.deps.HTTP.Do(req)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", op, err)
	}
	span.SetNumber("http.response.status_code", int64(resp.StatusCode))
	p.metrics.clock(resp.Header, began, p.deps.Now())
	if body, err = readBody(resp); err != nil {
		return nil, fmt.Errorf("%s: read answer: %w", op, err)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %w", op, statusError(resp.StatusCode))
	}
	return body, nil
}

// statusError is an HTTP status that is none of the expected ones.
type statusError int

func (s statusError) Error() string {
	if s >= 300 && s < 400 {
		return fmt.Sprintf("answer %d: redirects are refused", int(s))
	}
	return fmt.Sprintf("answer %d", int(s))
}

// install replaces the snapshot. Keys of a fetch that began before the one in force are dropped: they may hold a key withdrawn since.
func (p *Provider) install(md *Metadata, keys *keySet) {
	p.write.Lock()
	defer p.write.Unlock()
	current := p.state.Load()
	next := &snapshot{metadata: md, keys: keys}
	if current != nil {
		if md == nil {
			next.metadata = current.metadata
		}
		if keys == nil || keys.asOf.Before(current.keys.asOf) {
			next.keys = current.keys
		}
		if next.keys != current.keys {
			p.seek.withdrawn(current.keys, next.keys)
			p.logout.withdrawn(current.keys, next.keys)
		}
	} else if keys == nil || len(keys.keys) == 0 {
		return
	}
	p.state.Store(next)
	if current == nil {
		close(p.ready)
	}
}

// note remembers how the last fetch went, and logs when that changed.
func (p *Provider) note(err error) {
	reason := ""
	if f := (*fault)(nil); errors.As(err, &f) {
		reason = f.reason
	} else if err != nil {
		reason = reasonUnreachable
	}
	if old := p.reason.Swap(&reason); *old == reason {
		return
	}
	if err != nil {
		p.deps.Log.Warn("identity provider in trouble", "provider", p.cfg.Name, "reason", reason, "error", err)
		return
	}
	p.deps.Log.Info("identity provider ready", "provider", p.cfg.Name)
}

// current returns the snapshot, and waits for the first one as the contract says (§2.2).
func (p *Provider) current(ctx context.Context, op string) (*snapshot, error) {
	if s := p.state.Load(); s != nil {
		return s, nil
	}
	timer := time.NewTimer(firstWait)
	defer timer.Stop()
	began := time.Now()
	defer func() { meter.Waited(ctx, time.Since(began)) }()
	var cause error
	select {
	case <-p.ready:
	case <-p.failed:
	case <-timer.C:
	case <-ctx.Done():
		cause = context.Cause(ctx)
	}
	if s := p.state.Load(); s != nil {
		return s, nil
	}
	err := fmt.Errorf("%w: %s", ErrNotReady, *p.reason.Load())
	if cause != nil {
		err = fmt.Errorf("%w (%w)", err, cause)
	}
	return nil, &TroubleError{Provider: p.cfg.Name, Op: op, RetryAfter: startRetry, Err: err}
}

// Metadata returns the metadata in force. During the first fetch it waits up to 2 s; without any it returns a *[TroubleError] that
// wraps [ErrNotReady].
func (p *Provider) Metadata(ctx context.Context) (*Metadata, error) {
	s, err := p.current(ctx, "read metadata")
	if err != nil {
		return nil, err
	}
	return s.metadata, nil
}

// Ready is nil once metadata and keys were read.
func (p *Provider) Ready() error {
	if p.state.Load() != nil {
		return nil
	}
	return fmt.Errorf("%s: %w: %s", p.cfg.Name, ErrNotReady, *p.reason.Load())
}

// Health tells how the provider is doing. It takes no lock.
func (p *Provider) Health() Health {
	h := Health{Reason: *p.reason.Load()}
	s := p.state.Load()
	if s == nil {
		return h
	}
	h.Ready = true
	if s.keys.stale(p.deps.Now()) {
		h.Reason = reasonKeysStale
	}
	h.Degraded = h.Reason != ""
	return h
}

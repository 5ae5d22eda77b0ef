package certs

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"postern/cmd/postern-injector/kube"
)

const (
	defaultPoll   = 5 * time.Second
	defaultSettle = 30 * time.Second
	maxBackoff    = time.Minute
)

// Secrets is where the pair is kept for all replicas.
type Secrets interface {
	GetSecret(ctx context.Context, namespace, name string) (*kube.Secret, error)
	CreateSecret(ctx context.Context, namespace, name string, data map[string][]byte) (*kube.Secret, error)
	PatchSecret(ctx context.Context, namespace, name, version string, data map[string][]byte) (*kube.Secret, error)
}

// Webhooks is where the API server learns what to trust.
type Webhooks interface {
	GetWebhooks(ctx context.Context, kind kube.WebhookKind, name string) (*kube.WebhookConfiguration, error)
	SetCABundle(ctx context.Context, kind kube.WebhookKind, read *kube.WebhookConfiguration, bundle []byte) (*kube.WebhookConfiguration, error)
}

// Config says where things are.
type Config struct {
	Namespace     string        // of the Secret
	Secret        string        // its name
	Configuration string        // name of the MutatingWebhookConfiguration
	Names         []string      // DNS names and addresses that the leaf is for; at least one
	Poll          time.Duration // between two looks; 0: 5 s
	Settle        time.Duration // how long caBundle must have held a CA before its leaf is served in place of another; 0: 30 s
}

// Keeper serves a certificate of our own. Make it with [NewKeeper] and run [Keeper.Run] once.
type Keeper struct {
	cfg      Config
	secrets  Secrets
	webhooks Webhooks
	now      func() time.Time
	log      *slog.Logger
	metrics  *Metrics

	serving atomic.Pointer[pair] // nil: nothing yet

	// What follows belongs to Run.
	bundles bundles
	due     schedule
	judged  struct { // the pair of the Secret's version that was looked at last
		pair    *pair
		version string
	}
	confirmed *x509.Certificate // the CA that every entry was seen to hold, without a break since then
	since     time.Time
	alarmed   time.Time // when the end of the served leaf was last warned of
}

// NewKeeper makes a keeper that has nothing to serve before it has run. The metrics learn from it.
func NewKeeper(cfg Config, secrets Secrets, webhooks Webhooks, now func() time.Time, log *slog.Logger, metrics *Metrics) *Keeper {
	if cfg.Poll == 0 {
		cfg.Poll = defaultPoll
	}
	if cfg.Settle == 0 {
		cfg.Settle = defaultSettle
	}
	return &Keeper{cfg: cfg, secrets: secrets, webhooks: webhooks, now: now, log: log, metrics: metrics, bundles: bundles{now: now}}
}

// ErrNoCertificate is the answer to a handshake before there is something to serve.
var ErrNoCertificate = errors.New("there is no certificate to serve yet")

// Certificate implements [tls.Config.GetCertificate].
func (k *Keeper) Certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	p := k.serving.Load()
	if p == nil {
		return nil, ErrNoCertificate
	}
	return &p.cert, nil
}

// Ready says whether there is a certificate that the API server can accept.
func (k *Keeper) Ready() bool {
	p := k.serving.Load()
	return p != nil && k.now().Before(p.cert.Leaf.NotAfter)
}

// Run keeps everything right until ctx ends. Trouble is logged, counted and tried again, for ever.
func (k *Keeper) Run(ctx context.Context) {
	backoff := k.cfg.Poll
	for {
		wait := k.cfg.Poll
		if err := k.look(ctx); err == nil {
			backoff = k.cfg.Poll
		} else if ctx.Err() == nil {
			wait, backoff = backoff, min(2*backoff, max(maxBackoff, k.cfg.Poll))
			k.log.ErrorContext(ctx, "the certificate or caBundle could not be looked after; it is tried again", "error", err.Error(), "again_in", wait.String())
		}
		k.alarm(ctx)
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
	}
}

// look is one round: the Secret, caBundle, and what is served. That the Secret cannot be read does not keep caBundle from being put right.
func (k *Keeper) look(ctx context.Context) error {
	p, previous, secretErr := k.kept(ctx)
	if secretErr != nil {
		k.metrics.failed("secret")
	}
	required := previous
	if secretErr != nil {
		required = k.previous(nil)
	}
	if p != nil {
		required = append(required, p.ca)
	}
	if len(required) == 0 {
		return secretErr
	}
	bundleErr := k.bundle(ctx, required, p)
	if bundleErr != nil {
		k.metrics.failed("ca_bundle")
	} else if p != nil {
		k.serve(ctx, p)
	}
	return errors.Join(secretErr, bundleErr)
}

// bundle sees to it that every entry holds the CAs. Replicas that start together all write it, and the slower ones read again what is there.
func (k *Keeper) bundle(ctx context.Context, required []*x509.Certificate, p *pair) (err error) {
	for range attempts {
		if err = k.writeBundle(ctx, required, p); !kube.IsConflict(err) {
			return err
		}
	}
	return err
}

// writeBundle has read that every entry holds the CAs when it returns nil.
func (k *Keeper) writeBundle(ctx context.Context, required []*x509.Certificate, p *pair) error {
	cfg, err := k.webhooks.GetWebhooks(ctx, kube.Mutating, k.cfg.Configuration)
	if err != nil {
		k.confirmed = nil
		return err
	}
	if len(cfg.Webhooks) == 0 {
		k.confirmed = nil
		return errors.New("the webhook configuration " + k.cfg.Configuration + " has no entries")
	}
	if p != nil && !allHold(cfg, p.ca) {
		k.confirmed = nil
	}
	text := encode(k.bundles.wanted(required, bundlesOf(cfg))...)
	if !allEqual(cfg, text) {
		if _, err := k.webhooks.SetCABundle(ctx, kube.Mutating, cfg, text); err != nil {
			return err
		}
		k.metrics.bundleWritten()
		if cfg, err = k.webhooks.GetWebhooks(ctx, kube.Mutating, k.cfg.Configuration); err != nil {
			return err
		}
		k.log.InfoContext(ctx, "caBundle was put right", "webhook_configuration", k.cfg.Configuration, "certificates", len(certificates(text)))
	}
	if !allHold(cfg, required...) {
		k.confirmed = nil
		return errors.New("caBundle of " + k.cfg.Configuration + " was changed by somebody else at the same time")
	}
	if p != nil && (k.confirmed == nil || !k.confirmed.Equal(p.ca)) {
		k.confirmed, k.since = p.ca, k.now()
	}
	return nil
}

// serve puts a pair into service if the API server surely trusts it. Whoever has nothing better need not wait.
func (k *Keeper) serve(ctx context.Context, p *pair) {
	served := k.serving.Load()
	if served != nil && served.cert.Leaf.Equal(p.cert.Leaf) {
		return
	}
	if k.Ready() && k.now().Sub(k.since) < k.cfg.Settle {
		return
	}
	k.serving.Store(p)
	k.metrics.serving(p.cert.Leaf.NotAfter)
	k.log.InfoContext(ctx, "certificate in service", "serial", p.cert.Leaf.SerialNumber.Text(16), "not_after", p.cert.Leaf.NotAfter.UTC())
}

const (
	alarmLeft  = 10 * 24 * time.Hour
	alarmEvery = time.Hour
)

// alarm warns of a leaf that should have been replaced by now.
func (k *Keeper) alarm(ctx context.Context) {
	p := k.serving.Load()
	if p == nil {
		return
	}
	k.alarmed = warnOfEnd(ctx, k.log, p.cert.Leaf, k.now(), k.alarmed)
}

// warnOfEnd logs when less than ten days are left, once an hour, and says when it was last done.
func warnOfEnd(ctx context.Context, log *slog.Logger, leaf *x509.Certificate, now, last time.Time) time.Time {
	if left := leaf.NotAfter.Sub(now); left < alarmLeft && now.Sub(last) >= alarmEvery {
		log.ErrorContext(ctx, "the certificate in service ends soon", "left", left.Round(time.Second).String(), "not_after", leaf.NotAfter.UTC())
		return now
	}
	return last
}

// bundlesOf is caBundle of every entry, each text once: mostly all hold the same.
func bundlesOf(cfg *kube.WebhookConfiguration) (all [][]byte) {
	for _, w := range cfg.Webhooks {
		if text := w.ClientConfig.CABundle; !slices.ContainsFunc(all, func(t []byte) bool { return bytes.Equal(t, text) }) {
			all = append(all, text)
		}
	}
	return all
}

func allEqual(cfg *kube.WebhookConfiguration, text []byte) bool {
	for _, w := range cfg.Webhooks {
		if string(w.ClientConfig.CABundle) != string(text) {
			return false
		}
	}
	return true
}

func allHold(cfg *kube.WebhookConfiguration, cas ...*x509.Certificate) bool {
	for _, text := range bundlesOf(cfg) {
		if !holds(text, cas) {
			return false
		}
	}
	return len(cfg.Webhooks) > 0
}

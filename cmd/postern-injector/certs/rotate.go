package certs

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"time"

	"postern/cmd/postern-injector/kube"
)

// attempts is how often a round reads the Secret, or caBundle, again after somebody else was faster.
const attempts = 3

// kept is the pair of the Secret, made or replaced if that is due, and the CAs of those before it that may still be served.
func (k *Keeper) kept(ctx context.Context) (*pair, []*x509.Certificate, error) {
	var conflict error
	for range attempts {
		secret, err := k.secrets.GetSecret(ctx, k.cfg.Namespace, k.cfg.Secret)
		if err != nil && !kube.IsNotFound(err) {
			return nil, nil, err
		}
		if err != nil {
			secret = nil
		}
		p, why := k.judge(secret)
		if why == nil {
			return p, k.previous(secret), nil
		}
		p, previous, err := k.write(ctx, secret, why)
		if err == nil {
			return p, previous, nil
		}
		if !kube.IsConflict(err) {
			return nil, nil, err
		}
		conflict = err
	}
	return nil, nil, fmt.Errorf("the Secret changes all the time: %w", conflict)
}

var errDue = errors.New("it is due")

// judge is what a Secret holds, if that can be used, and why it must be replaced: nil if it need not be.
func (k *Keeper) judge(secret *kube.Secret) (*pair, error) {
	if secret == nil {
		return nil, errNone
	}
	p := k.judged.pair
	if p == nil || k.judged.version != secret.Metadata.ResourceVersion || !k.now().Before(p.cert.Leaf.NotAfter) {
		var err error
		if p, err = parsePair(secret.Data, k.cfg.Names, k.now()); err != nil {
			return nil, err
		}
		k.judged.pair, k.judged.version = p, secret.Metadata.ResourceVersion
	}
	at, err := k.due.of(p.cert.Leaf)
	if err != nil {
		return nil, err
	}
	if !k.now().Before(at) {
		return p, errDue
	}
	return p, nil
}

// write puts a new pair in the place of what was read: it fails if that has changed since.
func (k *Keeper) write(ctx context.Context, secret *kube.Secret, why error) (*pair, []*x509.Certificate, error) {
	p, err := makePair(k.cfg.Names, k.now())
	if err != nil {
		return nil, nil, err
	}
	previous := k.previous(secret)
	data := map[string][]byte{keyCert: p.text[keyCert], keyKey: p.text[keyKey], keyCA: p.text[keyCA], keyPrevious: encode(previous...)}
	if secret == nil {
		_, err = k.secrets.CreateSecret(ctx, k.cfg.Namespace, k.cfg.Secret, data)
	} else {
		for key := range secret.Data {
			if _, known := data[key]; !known {
				data[key] = nil // nothing else belongs there, least of all a CA's key (S-48)
			}
		}
		_, err = k.secrets.PatchSecret(ctx, k.cfg.Namespace, k.cfg.Secret, secret.Metadata.ResourceVersion, data)
	}
	if err != nil {
		return nil, nil, err
	}
	k.metrics.rotated()
	k.log.InfoContext(ctx, "new certificate", "reason", why.Error(), "serial", p.cert.Leaf.SerialNumber.Text(16), "not_after", p.cert.Leaf.NotAfter.UTC())
	return p, previous, nil
}

// previous is the CAs whose leaves some replica may still serve, newest first: of what this one serves, and of all that the Secret names.
func (k *Keeper) previous(secret *kube.Secret) (all []*x509.Certificate) {
	now := k.now()
	add := func(found ...*x509.Certificate) {
		for _, c := range found {
			if ours(c) && !over(c, now) && !contains(all, c) {
				all = append(all, c)
			}
		}
	}
	if served := k.serving.Load(); served != nil {
		add(served.ca)
	}
	if secret != nil {
		add(certificates(secret.Data[keyCA])...)
		add(certificates(secret.Data[keyPrevious])...)
	}
	slices.SortStableFunc(all, func(a, b *x509.Certificate) int { return b.NotBefore.Compare(a.NotBefore) })
	return all[:min(len(all), maxBundle-2)]
}

// schedule says when a leaf is replaced: a little before two thirds of its life, and not in all replicas at the same moment.
type schedule struct {
	leaf *x509.Certificate
	at   time.Time
}

// spread is the part of a leaf's life over which replicas spread.
const spread = 30

func (s *schedule) of(leaf *x509.Certificate) (time.Time, error) {
	if s.leaf != nil && s.leaf.Equal(leaf) {
		return s.at, nil
	}
	life := leaf.NotAfter.Sub(leaf.NotBefore)
	early, err := rand.Int(rand.Reader, big.NewInt(int64(life/spread)+1))
	if err != nil {
		return time.Time{}, fmt.Errorf("spread rotations: %w", err)
	}
	s.leaf, s.at = leaf, leaf.NotAfter.Add(-life/3).Add(-time.Duration(early.Int64()))
	return s.at, nil
}

package certs

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"slices"
	"time"
)

const (
	maxBundle = 8 // CAs; two or three are usual

	// foreignGrace is how long a CA of somebody else stays: replicas of an installation that had other certificates may still serve them.
	foreignGrace = 10 * time.Minute

	futureGrace = time.Hour // a CA of our own that begins later than this was made by nobody here
)

// certificates are those of a PEM text that parse; whatever else it holds is passed over.
func certificates(text []byte) (all []*x509.Certificate) {
	for len(all) < 10*maxBundle {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		if c, err := x509.ParseCertificate(block.Bytes); err == nil && !contains(all, c) {
			all = append(all, c)
		}
	}
	return all
}

func encode(all ...*x509.Certificate) []byte {
	var text []byte
	for _, c := range all {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	return text
}

func contains(all []*x509.Certificate, one *x509.Certificate) bool {
	return slices.ContainsFunc(all, one.Equal)
}

// bundles decides what caBundle must hold.
type bundles struct {
	now     func() time.Time
	foreign map[string]time.Time // CAs of others by their raw bytes, since when they have been seen
}

// wanted is the CAs that must be in every entry: first those that are required, then those that are there and must not leave yet. The order
// depends on the certificates alone, so that replicas do not undo each other's.
func (b *bundles) wanted(required []*x509.Certificate, there [][]byte) []*x509.Certificate {
	var all, kept []*x509.Certificate
	for _, c := range required {
		if !contains(all, c) {
			all = append(all, c)
		}
	}
	seen := map[string]time.Time{}
	for _, text := range there {
		for _, c := range certificates(text) {
			if contains(all, c) || contains(kept, c) || !b.stays(c, seen) {
				continue
			}
			kept = append(kept, c)
		}
	}
	b.foreign = seen
	slices.SortFunc(kept, func(a, c *x509.Certificate) int { return c.NotBefore.Compare(a.NotBefore) })
	all = append(all, kept...)
	all = all[:min(len(all), max(maxBundle, len(required)))]
	slices.SortFunc(all, func(a, c *x509.Certificate) int { return bytes.Compare(a.Raw, c.Raw) })
	return all
}

// stays says whether somebody may still serve what a CA signed.
func (b *bundles) stays(c *x509.Certificate, seen map[string]time.Time) bool {
	now := b.now()
	if !c.IsCA || now.After(c.NotAfter) || c.NotBefore.After(now.Add(futureGrace)) {
		return false
	}
	if ours(c) {
		return !over(c, now)
	}
	since, known := b.foreign[string(c.Raw)]
	if !known {
		since = now
	}
	seen[string(c.Raw)] = since
	return now.Sub(since) < foreignGrace
}

// holds says whether a text holds all of the CAs.
func holds(text []byte, all []*x509.Certificate) bool {
	there := certificates(text)
	return !slices.ContainsFunc(all, func(c *x509.Certificate) bool { return !contains(there, c) })
}

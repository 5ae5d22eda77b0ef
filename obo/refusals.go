package obo

import (
	"time"

	"github.com/maypok86/otter/v2"

	"postern/oidc"
)

const (
	refusalAge    = 5 * time.Second // how long a refusal answers for the provider, unless a request says otherwise
	maxRefusalAge = time.Minute
	maxRefusals   = 1024
)

// refusals remembers what the provider said no to, so that an app that asks over and over does not do so at the provider. Nothing in it
// keeps anybody out for longer than a moment: a permission that was given just now counts soon.
type refusals struct {
	entries *otter.Cache[key, refused]
	now     func() time.Time
}

type refused struct {
	refusal *oidc.RefusalError
	at      time.Time
}

func newRefusals(now func() time.Time) *refusals {
	return &refusals{now: now, entries: otter.Must(&otter.Options[key, refused]{
		MaximumSize:      maxRefusals,
		ExpiryCalculator: otter.ExpiryWriting[key, refused](maxRefusalAge),
		Clock:            clock(now),
	})}
}

func (r *refusals) remember(k key, refusal *oidc.RefusalError) {
	r.entries.Set(k, refused{refusal, r.now()})
}

// recall returns a refusal that is no older than so many seconds, or than a few if that is 0; nil if there is none.
func (r *refusals) recall(k key, seconds int64, now time.Time) error {
	age := refusalAge
	if seconds > 0 {
		age = time.Duration(seconds) * time.Second
	}
	if known, ok := r.entries.GetIfPresent(k); ok && now.Sub(known.at) < age {
		return known.refusal
	}
	return nil
}

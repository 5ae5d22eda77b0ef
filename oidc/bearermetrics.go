package oidc

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"

	"postern/oidc/meter"
)

// tokenResult is how the verification of a bearer token ended.
type tokenResult int

const (
	tokenHit     tokenResult = iota // it was remembered
	tokenOK                         // it was verified
	tokenInvalid                    // 401
	tokenTrouble                    // 503
)

// tokenCounts are the counters of one provider, by result.
type tokenCounts [4]prometheus.Counter

func (c *tokenCounts) add(result tokenResult) { c[result].Inc() }

func (c *tokenCounts) addOutcome(err error) {
	result := tokenOK
	if trouble := (*TroubleError)(nil); errors.As(err, &trouble) {
		result = tokenTrouble
	} else if err != nil {
		result = tokenInvalid
	}
	c.add(result)
}

// tokenCounter is shared by all verifiers of one registerer.
type tokenCounter struct{ vec *prometheus.CounterVec }

func newTokenCounter(r prometheus.Registerer) tokenCounter {
	return tokenCounter{meter.Share(r, prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "postern_tokens_verified_total",
		Help: "Bearer tokens, by provider and how their verification ended: hit (remembered), ok, invalid, trouble.",
	}, []string{"provider", "result"}))}
}

// of looks the counters up once, so that a request does not have to.
func (c tokenCounter) of(provider string) tokenCounts {
	return tokenCounts{
		tokenHit:     c.vec.WithLabelValues(provider, "hit"),
		tokenOK:      c.vec.WithLabelValues(provider, "ok"),
		tokenInvalid: c.vec.WithLabelValues(provider, "invalid"),
		tokenTrouble: c.vec.WithLabelValues(provider, "trouble"),
	}
}

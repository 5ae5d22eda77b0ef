package obo

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"

	"postern/oidc"
)

// Outcomes of a request for a token.
const (
	outcomeHit     = "hit"     // from the cache
	outcomeFetched = "fetched" // new from the provider
	outcomeRefused = "refused" // the provider says no, or said so a moment ago
	outcomeTrouble = "trouble" // no usable answer
	outcomeGone    = "gone"    // whoever asked has left
)

type metrics struct{ requests *prometheus.CounterVec }

func newMetrics(to prometheus.Registerer, c *cache) *metrics {
	m := &metrics{prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "postern_tokens_total", Help: "Requests for tokens for the next hop: by provider, grant (machine, exchange) and outcome.",
	}, []string{"provider", "grant", "outcome"})}
	if to == nil {
		return m
	}
	to.MustRegister(m.requests, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "postern_token_cache_bytes", Help: "Estimated size of the tokens that are kept for the next hop.",
	}, func() float64 { return float64(c.size()) }))
	return m
}

func (m *metrics) of(provider string, use use, outcome string) prometheus.Counter {
	grant := "machine"
	if use == onBehalf {
		grant = "exchange"
	}
	return m.requests.WithLabelValues(provider, grant, outcome)
}

func (m *metrics) hitsOf(s *source) map[use]prometheus.Counter {
	hits := map[use]prometheus.Counter{}
	for use, grant := range map[use]grant{machine: s.machine, onBehalf: s.exchange} {
		if grant != nil {
			hits[use] = m.of(s.name, use, outcomeHit)
		}
	}
	return hits
}

func (m *metrics) outcome(provider string, use use, made Token, err error) {
	outcome := outcomeGone
	if _, is := errors.AsType[*oidc.TroubleError](err); is {
		outcome = outcomeTrouble
	} else if _, is := errors.AsType[*oidc.RefusalError](err); is {
		outcome = outcomeRefused
	} else if err == nil {
		if outcome = outcomeFetched; made.Cached {
			outcome = outcomeHit
		}
	}
	m.of(provider, use, outcome).Inc()
}

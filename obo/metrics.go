package obo

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"

	"postern/oidc"
	"postern/oidc/meter"
)

// Outcomes of a request for a token.
const (
	outcomeHit     = "hit"     // from the cache
	outcomeFetched = "fetched" // new from the provider
	outcomeRefused = "refused" // the provider says no, or said so a moment ago
	outcomeTrouble = "trouble" // no usable answer
	outcomeGone    = "gone"    // whoever asked has left
)

type metrics struct {
	requests *prometheus.CounterVec
	cache    *meter.Cache
}

func newMetrics(to prometheus.Registerer, c *cache, sources map[string]*source) *metrics {
	m := &metrics{requests: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "postern_tokens_total", Help: "Requests for tokens for the next hop: by provider, grant (machine, exchange) and outcome.",
	}, []string{"provider", "grant", "outcome"})}
	m.cache = meter.NewCache(to, meter.NextHopTokens, func() int { return int(c.size()) }, c.entries.EstimatedSize) // #nosec G115 -- at most the bound
	if to == nil {
		return m
	}
	to.MustRegister(m.requests)
	for _, s := range sources {
		if s.endpoint == nil {
			continue
		}
		to.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "postern_provider_breaker_open", ConstLabels: prometheus.Labels{"provider": s.name},
			Help: "1 while the provider is taken for out of reach: requests for tokens fail at once, but for one at a time that tries.",
		}, s.breaker.state))
	}
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

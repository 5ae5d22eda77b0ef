package oidc

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are those of one provider; their families are shared by all providers of one registerer.
type metrics struct {
	provider string
	calls    *prometheus.HistogramVec
}

func newMetrics(r prometheus.Registerer, p *Provider) *metrics {
	m := &metrics{provider: p.cfg.Name, calls: prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "postern_provider_call_seconds",
		Help:    "Duration of calls to identity providers, by what for and how they ended.",
		Buckets: []float64{.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
	}, []string{"provider", "operation", "outcome"})}
	if r == nil {
		return m
	}
	if err := r.Register(m.calls); err != nil {
		if known := (prometheus.AlreadyRegisteredError{}); errors.As(err, &known) {
			if vec, ok := known.ExistingCollector.(*prometheus.HistogramVec); ok {
				m.calls = vec
			}
		}
	}
	labels := prometheus.Labels{"provider": p.cfg.Name}
	for _, gauge := range []prometheus.Collector{
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "postern_provider_ready", Help: "1 once metadata and keys of the provider were read.", ConstLabels: labels,
		}, func() float64 { return yes(p.Health().Ready) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "postern_provider_degraded", Help: "1 while the provider's metadata or keys cannot be refreshed.", ConstLabels: labels,
		}, func() float64 { return yes(p.Health().Degraded) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "postern_provider_keys_age_seconds", Help: "Age of the provider's keys in force.", ConstLabels: labels,
		}, func() float64 {
			s := p.state.Load()
			if s == nil {
				return 0
			}
			return p.deps.Now().Sub(s.keys.asOf).Seconds()
		}),
	} {
		_ = r.Register(gauge) // a second provider of one name shows the first one's
	}
	return m
}

func yes(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func (m *metrics) call(operation string, took time.Duration, err error) {
	outcome := "ok"
	if refusal := (*RefusalError)(nil); errors.As(err, &refusal) {
		outcome = "refused"
	} else if err != nil {
		outcome = "trouble"
	}
	m.calls.WithLabelValues(m.provider, operation, outcome).Observe(took.Seconds())
}

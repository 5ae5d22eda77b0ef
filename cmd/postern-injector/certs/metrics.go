package certs

import (
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics counts what happens to certificates.
type Metrics struct {
	rotations, bundles prometheus.Counter
	failures           *prometheus.CounterVec
	end                atomic.Int64 // of the served leaf, in Unix seconds; 0: nothing is served
}

// NewMetrics registers the metrics of certificates.
func NewMetrics(registry prometheus.Registerer, now func() time.Time) (*Metrics, error) {
	m := &Metrics{
		rotations: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "postern_injector_certificate_rotations_total", Help: "Certificates that this replica made, or read anew from files.",
		}),
		bundles: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "postern_injector_ca_bundle_writes_total", Help: "How often this replica put caBundle of the webhook configuration right.",
		}),
		failures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "postern_injector_certificate_failures_total", Help: "Rounds of looking after the certificate that failed, by what could not be done.",
		}, []string{"step"}),
	}
	left := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "postern_injector_certificate_left_seconds", Help: "Time until the certificate in service ends; 0 if there is none or it has ended.",
	}, func() float64 { return max(0, time.Unix(m.end.Load(), 0).Sub(now()).Seconds()) })
	for _, step := range []string{"secret", "ca_bundle", "files"} {
		m.failures.WithLabelValues(step)
	}
	for _, c := range []prometheus.Collector{m.rotations, m.bundles, m.failures, left} {
		if err := registry.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (m *Metrics) serving(end time.Time) { m.end.Store(end.Unix()) }
func (m *Metrics) rotated()              { m.rotations.Inc() }
func (m *Metrics) bundleWritten()        { m.bundles.Inc() }
func (m *Metrics) failed(step string)    { m.failures.WithLabelValues(step).Inc() }

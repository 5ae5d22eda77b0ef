package webhook

import (
	"regexp"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics counts decisions and what becomes of events and settings.
type Metrics struct {
	admissions *prometheus.CounterVec
	problems   *prometheus.CounterVec
	durations  *prometheus.HistogramVec
	panics     prometheus.Counter
	events     *prometheus.CounterVec
	codes      bounded
}

// NewMetrics registers the metrics of the webhook.
func NewMetrics(registry prometheus.Registerer) (*Metrics, error) {
	m := &Metrics{
		admissions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "postern_injector_admissions_total", Help: "Reviews by who asked for the sidecar, the result, and its reason.",
		}, []string{"asked_by", "result", "reason"}),
		problems: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "postern_injector_problems_total", Help: "Problems of refused pods, by their code.",
		}, []string{"code"}),
		durations: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "postern_injector_admission_duration_seconds", Help: "Time that reviews take.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5},
		}, []string{"asked_by", "result"}),
		panics: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "postern_injector_panics_total", Help: "Reviews that ended in a panic; each is an error of this program.",
		}),
		events: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "postern_injector_events_total", Help: "Events by what became of them: created, repeated, dropped or failed.",
		}, []string{"outcome"}),
		codes: bounded{seen: map[string]bool{}},
	}
	for _, outcome := range []string{eventCreated, eventRepeated, eventDropped, eventFailed} {
		m.events.WithLabelValues(outcome)
	}
	for _, c := range []prometheus.Collector{m.admissions, m.problems, m.durations, m.panics, m.events} {
		if err := registry.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (m *Metrics) decided(d *decision, took time.Duration) {
	m.admissions.WithLabelValues(string(d.asked), d.result, m.codes.label(d.reason)).Inc()
	m.durations.WithLabelValues(string(d.asked), d.result).Observe(took.Seconds())
	for _, code := range d.problems {
		m.problems.WithLabelValues(m.codes.label(code)).Inc()
	}
}

func (m *Metrics) panicked()            { m.panics.Inc() }
func (m *Metrics) event(outcome string) { m.events.WithLabelValues(outcome).Inc() }

// maxCodes is more than there are reasons and problems.
const maxCodes = 100

// code is what a stable code looks like; anything else would be a text in the wrong place.
var code = regexp.MustCompile(`^[a-z][a-z0-9_]{0,49}$`)

// bounded keeps a label from taking ever new values, whatever is given for it.
type bounded struct {
	mu   sync.Mutex
	seen map[string]bool
}

func (b *bounded) label(value string) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.seen[value] {
		if len(b.seen) >= maxCodes || !code.MatchString(value) {
			return "other"
		}
		b.seen[value] = true
	}
	return value
}

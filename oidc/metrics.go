package oidc

import (
	"errors"
	"math"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"postern/oidc/meter"
)

// metrics are those of one provider; their families are shared by all providers of one registerer.
type metrics struct {
	provider string
	calls    *prometheus.HistogramVec
	phases   *meter.Phases
	success  atomic.Int64  // when the provider last answered, in nanoseconds since 1970
	skew     atomic.Uint64 // of the last Date, as bits of a float64 of seconds; NaN: not known
}

func newMetrics(r prometheus.Registerer, p *Provider) *metrics {
	m := &metrics{provider: p.cfg.Name, phases: meter.NewPhases(r), calls: meter.Share(r, prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "postern_provider_call_seconds",
		Help:    "Duration of calls to identity providers, by what for and how they ended: ok, refused, trouble.",
		Buckets: []float64{.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
	}, []string{"provider", "operation", "outcome"}))}
	m.skew.Store(math.Float64bits(math.NaN()))
	if r == nil {
		return m
	}
	labels := prometheus.Labels{"provider": p.cfg.Name}
	for _, gauge := range []struct {
		name, help string
		value      func() float64
	}{
		{"postern_provider_ready", "1 once metadata and keys of the provider were read.", func() float64 { return yes(p.Health().Ready) }},
		{
			"postern_provider_degraded", "1 while the provider's metadata or keys cannot be refreshed.",
			func() float64 { return yes(p.Health().Degraded) },
		},
		{"postern_provider_keys_age_seconds", "Age of the provider's keys in force.", p.keysAge},
		{
			"postern_provider_last_success_timestamp_seconds", "When the provider last gave a usable answer to any call, a refusal included; 0 for never.",
			func() float64 { return float64(m.success.Load()) / float64(time.Second) },
		},
		{
			"postern_provider_clock_skew_seconds", "How far this clock is ahead of the provider's, by the Date of its last answer; to half a second. NaN while not known.",
			func() float64 { return math.Float64frombits(m.skew.Load()) },
		},
	} {
		opts := prometheus.GaugeOpts{Name: gauge.name, Help: gauge.help, ConstLabels: labels}
		_ = r.Register(prometheus.NewGaugeFunc(opts, gauge.value)) // a second provider of one name shows the first one's
	}
	return m
}

func yes(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func (p *Provider) keysAge() float64 {
	s := p.state.Load()
	if s == nil {
		return 0
	}
	return p.deps.Now().Sub(s.keys.asOf).Seconds()
}

// Operations that are phases of their own. All others are the phase "provider".
const (
	opFetchKeys   = "fetch keys"
	OpGetToken    = "get token"      // of the app's own, for the next hop
	OpExchange    = "exchange token" // for one on behalf of a user
	longestSkewed = 10 * time.Second // of a call whose answer says something about clocks
)

var phaseOf = map[string]meter.Phase{opFetchKeys: meter.Keys, OpGetToken: meter.Exchange, OpExchange: meter.Exchange}

// call notes a call that began then, and what became of it.
func (m *metrics) call(operation string, began, ended time.Time, err error) {
	outcome := "ok"
	if refusal := (*RefusalError)(nil); errors.As(err, &refusal) {
		outcome = "refused"
	} else if err != nil {
		outcome = "trouble"
	}
	if outcome != "trouble" {
		m.success.Store(ended.UnixNano())
	}
	took := ended.Sub(began)
	m.calls.WithLabelValues(m.provider, operation, outcome).Observe(took.Seconds())
	phase, own := phaseOf[operation]
	if !own {
		phase = meter.Provider
	}
	m.phases.Observe(phase, took)
}

// clock compares clocks by the header of an answer (RFC 9110 §6.6.1), whose Date is cut to whole seconds and was made about half-way. What a cache
// says is as old as it says (RFC 9111 §5.1).
func (m *metrics) clock(header http.Header, began, answered time.Time) {
	said, err := http.ParseTime(header.Get("Date"))
	took := answered.Sub(began)
	if err != nil || took < 0 || took > longestSkewed {
		return
	}
	if age, err := strconv.ParseUint(header.Get("Age"), 10, 31); err == nil {
		said = said.Add(time.Duration(age) * time.Second)
	}
	middle := began.Add(took / 2)
	m.skew.Store(math.Float64bits(middle.Sub(said.Add(time.Second / 2)).Seconds()))
}

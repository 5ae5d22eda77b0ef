package proxy

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"postern/oidc/meter"
	"postern/proxy/forward"
)

// metrics are the front door's series. Every label has a closed set of values: nothing that a client writes becomes one.
type metrics struct {
	requests  map[string]*routeMetrics
	phases    *meter.Phases
	decisions *decisions
	reasons   *prometheus.CounterVec

	wouldRefuse *prometheus.CounterVec
	logins      *prometheus.CounterVec
	logouts     *prometheus.CounterVec
	downstream  *prometheus.CounterVec

	streamsEnded *prometheus.CounterVec

	wonderwall *wonderwall // nil while login is off
}

type routeMetrics struct {
	status  [6]prometheus.Counter // by hundreds; 0 is "client gone"
	seconds prometheus.Observer
}

var statusClasses = [6]string{"499", "1xx", "2xx", "3xx", "4xx", "5xx"}

func newMetrics(reg prometheus.Registerer) *metrics {
	requests := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "postern_requests_total", Help: "Requests of the public listener by route and class of status.",
	}, []string{"route", "status"})
	duration := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "postern_request_duration_seconds", Help: "Time from the end of the request's header to the end of its answer.",
		Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
	}, []string{"route"})
	m := &metrics{
		requests:  make(map[string]*routeMetrics),
		phases:    meter.NewPhases(reg),
		decisions: newDecisions(reg),
		reasons: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "postern_refusals_total", Help: "Requests that Postern answered with a refusal, by reason code.",
		}, []string{"reason"}),
		wouldRefuse: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "postern_would_refuse_total", Help: "Requests that policy-mode report let pass, by the reason why they would have been refused.",
		}, []string{"reason"}),
		logins: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "postern_logins_total", Help: "Logins by result: completed, or the reason code.",
		}, []string{"result"}),
		logouts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "postern_logouts_total", Help: "Ended sessions by the way that they were ended.",
		}, []string{"operation"}),
		downstream: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "postern_upstream_tokens_total", Help: "Tokens of upstream-tokens by header and outcome: sent, or why they are not there.",
		}, []string{"header", "outcome"}),
		streamsEnded: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "postern_streams_ended_total", Help: "Upgraded connections, event streams and gRPC calls that Postern ended, by reason.",
		}, []string{"reason"}),
	}
	if reg != nil {
		reg.MustRegister(requests, duration, m.reasons, m.wouldRefuse, m.logins, m.logouts, m.downstream, m.streamsEnded)
	}
	for _, route := range allRoutes() {
		series := &routeMetrics{seconds: duration.WithLabelValues(route)}
		for class, name := range statusClasses {
			series.status[class] = requests.WithLabelValues(route, name)
		}
		m.requests[route] = series
	}
	return m
}

func (m *metrics) observe(route string, status int, reason string, took time.Duration) {
	series := m.requests[route]
	class := status / 100
	if status == forward.StatusClientGone || class < 1 || class > 5 {
		class = 0
	}
	series.status[class].Inc()
	series.seconds.Observe(took.Seconds())
	if reason != "" {
		m.reasons.WithLabelValues(reason).Inc()
	}
}

// spent notes where the time of a visit went: the app's until the header of its answer, and ours until the app was asked, or the answer was there.
func (m *metrics) spent(v *visit, took time.Duration) {
	if v.Status == forward.StatusClientGone {
		return // nobody knows how long it would have been
	}
	own := took
	if v.asked > 0 {
		own = v.asked
		if !v.told {
			m.phases.Observe(meter.App, took-own) // it did not answer
		}
	}
	m.phases.Observe(meter.Own, max(0, own-v.waits.Total()))
}

func (m *metrics) loggedOut(operation string, sessions int) {
	m.logouts.WithLabelValues(operation).Add(float64(sessions))
	m.wonderwall.loggedOut(operation, sessions)
}

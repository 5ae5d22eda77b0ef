package egress

import (
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"postern/config"
	"postern/oidc"
	"postern/oidc/correlation"
	"postern/oidc/trace"
	"postern/proxy/forward"
)

const headerRequestID = correlation.HeaderRequestID

// visit is one call on its way out, and the writer of its answer. It is written to the log once, at the end.
type visit struct {
	forward.Answer

	h        *Handler
	request  *http.Request
	ctx      correlation.Context // of its log lines
	scope    trace.Scope         // the context of what is asked of other rooms
	span     *trace.Span         // of the target's part
	id       string              // S-37
	started  time.Time
	route    *route         // nil until it is known
	user     *oidc.Identity // whose token came along and is valid; nil before that
	reason   string         // stable code of a failure, else empty
	err      error          // its cause, for the log
	answered bool           // by the target

	ids, authorization [1]string // as header values
}

// routeName is a label with a closed set of values: the configured names, and "" for calls of no route.
func (v *visit) routeName() string {
	if v.route == nil {
		return ""
	}
	return v.route.name
}

// finish counts the call and writes its one event: method, path and route, and never a query, a cookie or a token.
func (h *Handler) finish(v *visit, r *http.Request) {
	took := h.now().Sub(v.started)
	h.metrics.observe(v, took)
	v.endSpan(r)
	level := slog.LevelDebug
	switch {
	case v.Status == forward.StatusClientGone:
	case v.Status >= 500:
		level = slog.LevelWarn
	case v.reason != "":
		level = slog.LevelInfo
	}
	if !h.log.Enabled(&v.scope, level) {
		return
	}
	attrs := make([]slog.Attr, 0, 9)
	attrs = append(attrs,
		slog.String("method", forward.MaskDigits(r.Method)),
		slog.String("path", forward.MaskDigits(r.URL.Path)), // decoded, so that nothing hides in escapes (S-37)
		slog.String("route", v.routeName()),
		slog.Int("status", v.Status),
		slog.Float64("duration_ms", float64(took.Microseconds())/1000),
	)
	if v.reason != "" {
		attrs = append(attrs, slog.String("reason", v.reason))
	}
	if v.err != nil {
		attrs = append(attrs, slog.String("error", forward.MaskDigits(v.err.Error())))
	}
	h.log.LogAttrs(&v.scope, level, "egress", attrs...)
}

// metrics are the egress's series.
type metrics struct {
	calls    *prometheus.CounterVec
	answered map[string]prometheus.Counter // the most frequent ones of calls, kept at hand
	seconds  map[string]prometheus.Observer
}

func newMetrics(reg prometheus.Registerer, routes []config.EgressRoute) *metrics {
	calls := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "postern_egress_requests_total", Help: "Calls of the app by route and outcome: answered (by the target, whatever it said), or why not.",
	}, []string{"route", "outcome"})
	duration := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "postern_egress_request_duration_seconds", Help: "Time from the end of the call's header to the end of its answer.",
		Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
	}, []string{"route"})
	if reg != nil {
		reg.MustRegister(calls, duration)
	}
	m := &metrics{calls: calls, answered: map[string]prometheus.Counter{}, seconds: map[string]prometheus.Observer{"": duration.WithLabelValues("")}}
	for _, one := range routes {
		m.answered[one.Name], m.seconds[one.Name] = calls.WithLabelValues(one.Name, "answered"), duration.WithLabelValues(one.Name)
	}
	return m
}

func (m *metrics) observe(v *visit, took time.Duration) {
	name := v.routeName()
	switch {
	case v.reason != "":
		m.calls.WithLabelValues(name, v.reason).Inc()
	case v.answered:
		m.answered[name].Inc()
	default: // cut off on the way
		m.calls.WithLabelValues(name, "aborted").Inc()
	}
	m.seconds[name].Observe(took.Seconds())
}

package tokenapi

import (
	"errors"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"postern/obo"
	"postern/oidc"
)

// metrics are Texas' (tokens.md 1.11), under its names for the dashboards that there are, and two of ours. All labels are bounded: paths and
// providers are known ones, or "other" and "unknown".
type metrics struct {
	requests, hits, errors, inactive, refused *prometheus.CounterVec
	took, latency                             *prometheus.HistogramVec
	ok                                        map[*endpoint]prometheus.Observer // looked up once
}

// counts are the metrics of one endpoint and provider, looked up once.
type counts struct {
	requests, hits prometheus.Counter
	latency        prometheus.Observer
}

// texasBuckets are from 1 ms to 10 s, as Texas has.
var texasBuckets = []float64{
	.001, .002, .003, .004, .005, .0075, .01, .015, .02, .025, .03, .04, .05, .075, .1, .15, .2, .25, .3, .4, .5, .75, 1, 1.5, 2, 2.5, 3, 4, 5, 7.5, 10,
}

func newMetrics(r prometheus.Registerer, cacheSize func(exchanged bool) int) *metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return register(r, prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels))
	}
	histogram := func(name, help string, labels ...string) *prometheus.HistogramVec {
		return register(r, prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: texasBuckets}, labels))
	}
	m := &metrics{
		requests: counter("texas_handler_requests", "Requests to the token API that could be read.", "path", "identity_provider", "request_type"),
		hits:     counter("texas_token_cache_hits", "Tokens that came from the cache.", "path", "identity_provider"),
		errors:   counter("texas_handler_errors", "Requests to the token API that failed, by what failed.", "path", "identity_provider", "error_kind"),
		inactive: counter("postern_introspections_inactive_total", "Tokens that were not active, by why.", "identity_provider", "reason"),
		refused:  counter("postern_token_api_refused_total", "Requests of somebody who may not ask: peer, host, origin, cross_site, secret.", "reason"),
		took:     histogram("http_response_secs", "Duration of requests to the token API.", "status_code", "path"),
		latency:  histogram("texas_identity_provider_latency_secs", "Duration of getting a token at the provider, retries included.", "identity_provider"),
		ok:       map[*endpoint]prometheus.Observer{},
	}
	if r == nil || cacheSize == nil {
		return m
	}
	for label, exchanged := range map[string]bool{"token": false, "token/exchange": true} {
		_ = r.Register(prometheus.NewGaugeFunc(prometheus.GaugeOpts{ // a second handler shows the first one's
			Name: "texas_token_cache_size", Help: "Tokens in the cache.", ConstLabels: prometheus.Labels{"cache_type": label},
		}, func() float64 { return float64(cacheSize(exchanged)) }))
	}
	return m
}

// register shares a family with whoever has registered it before.
func register[C prometheus.Collector](r prometheus.Registerer, made C) C {
	if r == nil {
		return made
	}
	if err := r.Register(made); err != nil {
		if known, ok := errors.AsType[prometheus.AlreadyRegisteredError](err); ok {
			if shared, ok := known.ExistingCollector.(C); ok {
				return shared
			}
		}
	}
	return made
}

func (m *metrics) of(e *endpoint, provider string) counts {
	m.ok[e] = m.took.WithLabelValues("200", e.path)
	return counts{
		requests: m.requests.WithLabelValues(e.path, provider, e.request),
		hits:     m.hits.WithLabelValues(e.path, provider),
		latency:  m.latency.WithLabelValues(provider),
	}
}

func (v *visit) counts() counts { return v.provider.counts[v.endpoint] }

func (m *metrics) observe(v *visit, took time.Duration) {
	if v.status == 200 && v.endpoint != nil {
		m.ok[v.endpoint].Observe(took.Seconds())
		return
	}
	m.took.WithLabelValues(strconv.Itoa(v.status), v.path()).Observe(took.Seconds())
	if v.kind != "" {
		provider := "unknown"
		if v.provider != nil {
			provider = v.provider.name
		}
		m.errors.WithLabelValues(v.path(), provider, v.kind).Inc()
	}
}

const kindRefused = "Refused"

// kindOf names an error of the broker or of an introspection as Texas does.
func kindOf(err error) string {
	if unsupported, ok := errors.AsType[*obo.UnsupportedError](err); ok {
		switch unsupported.Why {
		case "does not support token requests":
			return "TokenRequestUnsupported"
		case "does not support token exchange":
			return "TokenExchangeUnsupported"
		}
		return "IdentityProviderNotEnabled"
	}
	if _, ok := errors.AsType[*oidc.InvalidTokenError](err); ok {
		return "UserTokenEnded"
	}
	if _, ok := errors.AsType[*oidc.RefusalError](err); ok {
		return "Upstream"
	}
	trouble, ok := errors.AsType[*oidc.TroubleError](err)
	switch {
	case !ok:
		return "Internal"
	case errors.Is(err, oidc.ErrCredential):
		return "Sign"
	case trouble.Malformed:
		return "Json"
	case trouble.Answer != nil:
		return "Upstream"
	}
	return "UpstreamRequest"
}

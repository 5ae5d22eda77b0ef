package session

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"postern/oidc/meter"
)

// managerMetrics are the series of a [Manager].
type managerMetrics struct {
	refreshes *prometheus.CounterVec
	created   prometheus.Counter
	ended     *prometheus.CounterVec
	locks     *prometheus.HistogramVec
	cache     *meter.Cache
}

// Outcomes of a refresh.
const (
	refreshRenewed   = "renewed"   // new tokens, kept in the store
	refreshElsewhere = "elsewhere" // another replica was faster
	refreshEnded     = "ended"     // the provider ended the session
	refreshTrouble   = "trouble"   // the provider gave no usable answer
	refreshStore     = "store"     // the store gave none, or the lock was not to be had in time
	refreshLost      = "lost"      // new tokens that could not be kept
)

// Causes of the end of a session.
const (
	endedLogout    = "logout"     // of this browser, or a new login in it
	endedAll       = "everywhere" // the provider, or an operator, ends all sessions of somebody
	endedOvertaken = "overtaken"  // a logout came in while the login was under way
	endedTooMany   = "too_many"   // the oldest one of a person with too many
	endedProvider  = "provider"   // it refused to renew the tokens
)

// Outcomes of waiting for the lock of a session.
const (
	lockGot       = "got"
	lockElsewhere = "elsewhere" // whoever had it has done what was to be done
	lockTrouble   = "trouble"
)

func newManagerMetrics(to prometheus.Registerer, c *cache) *managerMetrics {
	m := &managerMetrics{
		refreshes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "postern_session_refreshes_total", Help: "Refreshes of sessions by outcome: renewed, elsewhere, ended, trouble, store, lost.",
		}, []string{"outcome"}),
		created: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "postern_sessions_created_total", Help: "Sessions that logins have made.",
		}),
		ended: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "postern_sessions_ended_total",
			Help: "Sessions that this process has ended before their time, by cause: logout, everywhere, overtaken, too_many, provider. Those that run out are not seen.",
		}, []string{"cause"}),
		locks: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "postern_session_lock_wait_seconds",
			Help: "How long a refresh waited to have a session alone among the replicas, by outcome: got, elsewhere (another one did the refresh), trouble.",
			Buckets: []float64{
				.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 15,
			},
		}, []string{"outcome"}),
		cache: meter.NewCache(to, meter.Sessions, c.bytes, c.count),
	}
	register(to, m.refreshes, m.created, m.ended, m.locks)
	for _, outcome := range []string{refreshRenewed, refreshElsewhere, refreshEnded, refreshTrouble, refreshStore, refreshLost} {
		m.refreshes.WithLabelValues(outcome)
	}
	for _, cause := range []string{endedLogout, endedAll, endedOvertaken, endedTooMany, endedProvider} {
		m.ended.WithLabelValues(cause)
	}
	for _, outcome := range []string{lockGot, lockElsewhere, lockTrouble} {
		m.locks.WithLabelValues(outcome)
	}
	return m
}

func (m *managerMetrics) refreshed(outcome string) { m.refreshes.WithLabelValues(outcome).Inc() }

func (m *managerMetrics) end(cause string) { m.ended.WithLabelValues(cause).Inc() }

func (m *managerMetrics) waited(outcome string, took time.Duration) {
	m.locks.WithLabelValues(outcome).Observe(took.Seconds())
}

func register(to prometheus.Registerer, all ...prometheus.Collector) {
	if to != nil {
		to.MustRegister(all...) // a name registered twice is a mistake of the program
	}
}

package session

import "github.com/prometheus/client_golang/prometheus"

// storeMetrics counts trouble with the store by operation.
type storeMetrics struct{ trouble *prometheus.CounterVec }

func newStoreMetrics(to prometheus.Registerer) *storeMetrics {
	m := &storeMetrics{prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "postern_session_store_errors_total", Help: "Calls of the session store that got no usable answer.",
	}, []string{"operation"})}
	register(to, m.trouble)
	return m
}

func (m *storeMetrics) failed(op string) { m.trouble.WithLabelValues(op).Inc() }

// refreshMetrics counts refresh grants by what came of them.
type refreshMetrics struct{ outcomes *prometheus.CounterVec }

// Outcomes of a refresh.
const (
	refreshRenewed = "renewed" // new tokens, kept in the store
	refreshEnded   = "ended"   // the provider ended the session
	refreshTrouble = "trouble" // no usable answer
	refreshLost    = "lost"    // new tokens that could not be kept
)

func newRefreshMetrics(to prometheus.Registerer) *refreshMetrics {
	m := &refreshMetrics{prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "postern_session_refreshes_total", Help: "Refresh grants by outcome: renewed, ended, trouble, lost.",
	}, []string{"outcome"})}
	register(to, m.outcomes)
	return m
}

func (m *refreshMetrics) count(outcome string) { m.outcomes.WithLabelValues(outcome).Inc() }

func register(to prometheus.Registerer, c prometheus.Collector) {
	if to != nil {
		to.MustRegister(c) // a name registered twice is a mistake of the program
	}
}

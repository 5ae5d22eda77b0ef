package session

import (
	"context"
	"math"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"postern/oidc/meter"
)

// storeMetrics are the series of a [RedisStore]: ours, and wonderwall's, under its names for the dashboards that there are.
type storeMetrics struct {
	phases  *meter.Phases
	trouble *prometheus.CounterVec
	latency map[string]prometheus.Observer // by call; nil for those that wonderwall does not have
	success atomic.Int64                   // when the store last answered, in nanoseconds since 1970
}

// crud is what wonderwall calls the calls of ours. Those that wait for news, or are about the servers, are none of them.
var crud = map[string]string{
	"create session": "Write", "read session": "Read", "replace session": "Update", "delete session": "Delete",
	"mark": "Write", "lock": "Write", "unlock": "Delete",
	"append to log": "Write", "read what has ended": "Read", "add to set": "Write", "read set": "Read", "remove from set": "Delete",
}

// waiting is the call that waits at the store for news: how long it takes says nothing.
const waiting = "read log"

func newStoreMetrics(to prometheus.Registerer) *storeMetrics {
	latency := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "wonderwall_redis_latency", Help: "Duration in seconds of calls to Redis by operation: Read, Write, Update, Delete.",
		Buckets: prometheus.ExponentialBuckets(.001, 2, 16),
	}, []string{"operation"})
	m := &storeMetrics{
		phases: meter.NewPhases(to),
		trouble: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "postern_session_store_errors_total", Help: "Calls of the session store that got no usable answer.",
		}, []string{"operation"}),
		latency: map[string]prometheus.Observer{},
	}
	for op, name := range crud {
		m.latency[op] = latency.WithLabelValues(name)
		m.trouble.WithLabelValues(op)
	}
	register(to, m.trouble, latency, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "postern_session_store_last_success_timestamp_seconds", Help: "When the session store last answered; 0 for never.",
	}, func() float64 { return float64(m.success.Load()) / float64(time.Second) }))
	return m
}

// called notes a call that was let go to the store, and what became of it. The time is part of what a request has waited.
func (m *storeMetrics) called(ctx context.Context, op string, now time.Time, took time.Duration, answered bool) {
	if answered {
		m.success.Store(now.UnixNano())
	}
	if op == waiting {
		return
	}
	m.phases.Observe(meter.Store, took)
	meter.Waited(ctx, took)
	if seconds := m.latency[op]; seconds != nil {
		seconds.Observe(took.Seconds())
	}
}

func (m *storeMetrics) failed(op string) { m.trouble.WithLabelValues(op).Inc() }

// pool shows what the client library's pool of connections is doing, as its own exporter does for wonderwall.
type pool struct{ stats func() *redis.PoolStats }

var (
	poolHits     = prometheus.NewDesc("wonderwall_pool_hit_total", "Times that a connection to Redis was found in the pool.", nil, nil)
	poolMisses   = prometheus.NewDesc("wonderwall_pool_miss_total", "Times that no connection to Redis was found in the pool.", nil, nil)
	poolTimeouts = prometheus.NewDesc("wonderwall_pool_timeout_total", "Times that waiting for a connection of the pool took too long.", nil, nil)
	poolTotal    = prometheus.NewDesc("wonderwall_pool_conn_total_current", "Connections to Redis in the pool.", nil, nil)
	poolIdle     = prometheus.NewDesc("wonderwall_pool_conn_idle_current", "Idle connections to Redis in the pool.", nil, nil)
	poolStale    = prometheus.NewDesc("wonderwall_pool_conn_stale_total", "Connections that were removed from the pool because they were stale.", nil, nil)
)

// Describe implements [prometheus.Collector].
func (p pool) Describe(to chan<- *prometheus.Desc) {
	for _, one := range [...]*prometheus.Desc{poolHits, poolMisses, poolTimeouts, poolTotal, poolIdle, poolStale} {
		to <- one
	}
}

// Collect implements [prometheus.Collector].
func (p pool) Collect(to chan<- prometheus.Metric) {
	stats := p.stats()
	for _, one := range [...]struct {
		desc  *prometheus.Desc
		kind  prometheus.ValueType
		value uint32
	}{
		{poolHits, prometheus.CounterValue, stats.Hits},
		{poolMisses, prometheus.CounterValue, stats.Misses},
		{poolTimeouts, prometheus.CounterValue, stats.Timeouts},
		{poolTotal, prometheus.GaugeValue, stats.TotalConns},
		{poolIdle, prometheus.GaugeValue, stats.IdleConns},
		{poolStale, prometheus.CounterValue, stats.StaleConns},
	} {
		to <- prometheus.MustNewConstMetric(one.desc, one.kind, float64(one.value))
	}
}

// showState registers what is read off the client when somebody asks.
func (s *RedisStore) showState(to prometheus.Registerer) {
	register(to, pool{s.client.PoolStats}, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "postern_session_store_breaker_open",
		Help: "Servers of the session store that are taken for out of reach: calls to them fail at once, but for one at a time that tries.",
	}, func() float64 {
		s.guarded.Lock()
		defer s.guarded.Unlock()
		open := 0
		for _, g := range s.guards {
			if g.openSince(s.now().Add(-breakerForgotten)) {
				open++
			}
		}
		return float64(open)
	}))
}

// breakerForgotten is when a server that nobody calls any more, since its Cluster has none of that name now, is no longer shown as out of reach. The
// others are called every second.
const breakerForgotten = 15 * time.Second

const maxGuards = math.MaxUint8 // servers whose breakers are shown

// watchGuard remembers a guard for the metrics.
func (s *RedisStore) watchGuard(g *guard) *guard {
	s.guarded.Lock()
	defer s.guarded.Unlock()
	if len(s.guards) == maxGuards {
		s.guards = s.guards[1:]
	}
	s.guards = append(s.guards, g)
	return g
}

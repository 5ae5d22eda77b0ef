package meter

import "github.com/prometheus/client_golang/prometheus"

// Cache counts what one cache was asked.
type Cache struct{ hits, misses prometheus.Counter }

// Names of the caches.
const (
	Sessions       = "sessions"
	VerifiedTokens = "verified_tokens"
	Introspections = "introspections"
	NextHopTokens  = "next_hop_tokens" // #nosec G101 -- a name
)

// NewCache makes the series of the cache of that name. bytes and entries are asked when somebody reads the metrics: they must be quick. A second cache of
// one name shares the counters, and the sizes shown are those of the first.
func NewCache(to prometheus.Registerer, name string, bytes, entries func() int) *Cache {
	requests := Share(to, prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "postern_cache_requests_total", Help: "Look-ups in a cache by result: hit, or miss, where whoever knows had to be asked or the answer to be worked out.",
	}, []string{"cache", "result"}))
	labels := prometheus.Labels{"cache": name}
	if to != nil {
		_ = to.Register(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "postern_cache_bytes", Help: "Memory that a cache takes, estimated.", ConstLabels: labels,
		}, func() float64 { return float64(bytes()) }))
		_ = to.Register(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "postern_cache_entries", Help: "Entries in a cache.", ConstLabels: labels,
		}, func() float64 { return float64(entries()) }))
	}
	return &Cache{requests.WithLabelValues(name, "hit"), requests.WithLabelValues(name, "miss")}
}

// Hit counts an answer from the cache.
func (c *Cache) Hit() { c.hits.Inc() }

// Miss counts a question that the cache could not answer.
func (c *Cache) Miss() { c.misses.Inc() }

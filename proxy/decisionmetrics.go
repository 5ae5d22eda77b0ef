package proxy

import (
	"maps"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"postern/oidc/meter"
	"postern/proxy/policy"
)

// decisions counts what the access policy decides. Rules are named by whoever wrote the policy, and policies change: of so many names only the first
// are told apart.
type decisions struct {
	vec   *prometheus.CounterVec
	rules *meter.Bounded

	known atomic.Pointer[map[decision]prometheus.Counter] // never changed, only replaced: a look-up takes no lock
	write sync.Mutex
}

const mostRules = 100

type decision struct {
	outcome policy.Outcome
	reason  policy.Reason
	rule    string
}

func newDecisions(reg prometheus.Registerer) *decisions {
	d := &decisions{rules: meter.NewBounded(mostRules), vec: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "postern_policy_decisions_total",
		Help: "Decisions of the access policy by outcome, by the reason why a caller is not admitted, and by the rule that decided.",
	}, []string{"outcome", "reason", "rule"})}
	d.known.Store(&map[decision]prometheus.Counter{})
	if reg != nil {
		reg.MustRegister(d.vec)
	}
	d.rules.Label("") // what no rule decides never is one of too many
	d.counter(decision{outcome: policy.Admitted, reason: policy.Allowed})
	d.counter(decision{outcome: policy.Public, reason: policy.NoCaller})
	return d
}

func (d *decisions) count(made policy.Decision) {
	key := decision{made.Outcome, made.Reason, made.Rule}
	counter := (*d.known.Load())[key]
	if counter == nil {
		counter = d.counter(key)
	}
	counter.Inc()
}

// counter finds one for the first time, or one of a rule too many.
func (d *decisions) counter(key decision) prometheus.Counter {
	reason, rule := key.reason.Code(), d.rules.Label(key.rule)
	if key.outcome == policy.Admitted {
		reason = ""
	}
	counter := d.vec.WithLabelValues(key.outcome.String(), reason, rule)
	if rule == meter.Other {
		return counter
	}
	d.write.Lock()
	defer d.write.Unlock()
	next := maps.Clone(*d.known.Load())
	next[key] = counter
	d.known.Store(&next)
	return counter
}

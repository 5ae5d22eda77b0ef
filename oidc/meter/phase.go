package meter

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Phase is where time goes.
type Phase uint8

// The phases. Those before App are one call each, those that no request waits for included; the others are one request of the front door each.
const (
	Store    Phase = iota // a call to the session store
	Provider              // a call to a provider for metadata, a login, a refresh, a revocation
	Keys                  // a fetch of a provider's keys
	Exchange              // a call to a provider for a token for the next hop
	App                   // from the request to the app until the header of its answer
	Own                   // from the header of a request until the app was asked, or the answer was there; less what it waited for of the above
)

var names = [...]string{Store: "store", Provider: "provider", Keys: "keys", Exchange: "exchange", App: "app", Own: "own"}

// Phases are the durations of the phases, one family for all rooms.
type Phases [len(names)]prometheus.Observer

// NewPhases shares the family with whoever has registered it before. Without a registerer it is counted and not shown.
func NewPhases(to prometheus.Registerer) *Phases {
	family := Share(to, prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "postern_phase_duration_seconds",
		Help: "Where the time goes: one call to the store or a provider, the app until its answer begins, and what a request costs in Postern itself.",
		Buckets: []float64{
			.00001, .000025, .00005, .0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10,
		},
	}, []string{"phase"}))
	p := &Phases{}
	for phase, name := range names {
		p[phase] = family.WithLabelValues(name)
	}
	return p
}

// Observe notes how long a phase took.
func (p *Phases) Observe(phase Phase, took time.Duration) { p[phase].Observe(took.Seconds()) }

// Waits is the context of a request, which learns how long that request waited for others. It is a part of what the request has anyway, so that it
// costs no allocation. Several goroutines may wait at once.
type Waits struct {
	context.Context

	total atomic.Int64
}

type waitsKey struct{}

// Value implements [context.Context].
func (w *Waits) Value(key any) any {
	if key == (waitsKey{}) {
		return w
	}
	return w.Context.Value(key)
}

// Total is how long the request has waited so far.
func (w *Waits) Total() time.Duration { return time.Duration(w.total.Load()) }

// Apart is the context of what goes on for others too: it does not end with the request, and no request is charged with it.
func Apart(ctx context.Context) context.Context { return Uncharged(context.WithoutCancel(ctx)) }

// Uncharged is a context in which no request is charged with what is waited for: somebody notes it for several at once.
func Uncharged(ctx context.Context) context.Context { return context.WithValue(ctx, waitsKey{}, nil) }

// Waited notes that whoever works in this context has waited. In a context of no request it does nothing.
func Waited(ctx context.Context, took time.Duration) {
	if w, ok := ctx.Value(waitsKey{}).(*Waits); ok {
		w.total.Add(int64(took))
	}
}

package main

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	exposureRecheck = time.Minute
	exposureSoon    = time.Second // until somebody listens: the sidecar of a pod starts before its app
)

// exposure is whether the app's port can be reached beside Postern, so that identity headers prove nothing to the app (S-05). It is looked at
// in the background and remembered; no request and no probe waits for it. Make it with [newExposure] and run watch once.
type exposure struct {
	look    func(context.Context) (sighting, error) // nil: there is no port to look at
	refuses bool                                    // upstream-exposed is "refuse"
	log     *slog.Logger
	gauge   prometheus.Gauge
	state   atomic.Int32 // one of the states below
}

// The states. Trouble with a look leaves what was known.
const (
	exposureUnseen  int32 = iota // no look has come to an end
	exposureUnknown              // every look so far has failed
	exposureNone
	exposureOpen
)

func newExposure(look func(context.Context) (sighting, error), refuses bool, log *slog.Logger, registry prometheus.Registerer) (*exposure, error) {
	e := &exposure{look: look, refuses: refuses, log: log, gauge: prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "postern_upstream_exposed", Help: "1 while the app's port also listens on an address other than loopback.",
	})}
	if look == nil {
		e.state.Store(exposureNone)
	}
	return e, registry.Register(e.gauge)
}

// reason is a stable code while something is wrong, "" else. A nil exposure is that of no app.
func (e *exposure) reason() string {
	if e == nil {
		return ""
	}
	switch e.state.Load() {
	case exposureOpen:
		return "upstream_exposed"
	case exposureUnknown:
		return "upstream_unknown"
	default:
		return ""
	}
}

// refused says whether the pod must not be ready because of it.
func (e *exposure) refused() bool { return e != nil && e.refuses && e.state.Load() == exposureOpen }

// waits says whether the pod must not be ready before it is known.
func (e *exposure) waits() bool { return e != nil && e.refuses && e.state.Load() < exposureNone }

// watch looks until ctx ends.
func (e *exposure) watch(ctx context.Context) {
	if e.look == nil {
		return
	}
	troubled := false
	for {
		wait := exposureRecheck
		seen, err := e.look(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			e.state.CompareAndSwap(exposureUnseen, exposureUnknown)
			if !troubled {
				e.log.WarnContext(ctx, "it cannot be told whether the app's port can be reached beside postern", "error", err.Error())
			}
		default:
			e.saw(ctx, seen)
			if seen.pending {
				wait = exposureSoon
			}
		}
		troubled = err != nil
		if e.state.Load() == exposureUnknown {
			wait = exposureSoon
		}
		if !pause(ctx, wait) {
			return
		}
	}
}

// saw remembers, and says so when it is another thing than before.
func (e *exposure) saw(ctx context.Context, seen sighting) {
	now := exposureNone
	if len(seen.exposed) > 0 {
		now = exposureOpen
	}
	before := e.state.Swap(now)
	switch {
	case now == before:
	case now == exposureOpen:
		e.gauge.Set(1)
		e.log.WarnContext(ctx, "the app's port listens beyond loopback: whoever reaches it there writes identity headers as they like. "+
			"Let the app listen on 127.0.0.1, or admit only postern's ports by a NetworkPolicy; else trust identity.assertion and no plain header",
			"reason", "upstream_exposed", "address", seen.exposed[0].String(), "addresses", len(seen.exposed), "ready", !e.refuses)
	case before == exposureOpen:
		e.gauge.Set(0)
		e.log.InfoContext(ctx, "the app's port no longer listens beyond loopback")
	}
}

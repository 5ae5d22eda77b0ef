package telemetry

import (
	"context"
	"time"

	"postern/oidc/trace"
)

// sendSpans sends spans in batches: when one is full, and when the oldest has waited for long enough.
func (e *Exporter) sendSpans(ctx context.Context) {
	batch := make([]*trace.Record, 0, 16)
	for {
		ended := e.fill(ctx, &batch)
		if len(batch) > 0 {
			e.deliver(ctx, e.spans, "traces", len(batch), encodeSpans(e.cfg.Resource, e.deps.Version, batch))
			clear(batch)
			batch = batch[:0]
		}
		if ended && len(e.queue) == 0 || ctx.Err() != nil {
			return
		}
	}
}

// fill takes spans from the queue. It says whether this is the end.
func (e *Exporter) fill(ctx context.Context, batch *[]*trace.Record) (ended bool) {
	var full <-chan time.Time // runs from the first one
	for len(*batch) < e.cfg.BatchSize {
		select {
		case r := <-e.queue:
			*batch = append(*batch, r)
			if full == nil {
				timer := time.NewTimer(e.cfg.BatchDelay)
				defer timer.Stop() //nolint:gocritic // there is one
				full = timer.C
			}
		case <-full:
			return false
		case <-e.stopping:
			for len(*batch) < e.cfg.BatchSize {
				select {
				case r := <-e.queue:
					*batch = append(*batch, r)
				default:
					return true
				}
			}
			return true
		case <-ctx.Done():
			return true
		}
	}
	return false
}

// pushMetrics pushes every so often, and once at the end.
func (e *Exporter) pushMetrics(ctx context.Context) {
	tick := time.NewTicker(e.cfg.MetricInterval)
	defer tick.Stop()
	for {
		ended := false
		select {
		case <-tick.C:
		case <-e.stopping:
			ended = true
		case <-ctx.Done():
			return
		}
		families, err := e.deps.Registry.Gather() // what could be gathered comes beside an error
		if err != nil {
			e.complain("metrics", err)
		}
		body := encodeMetrics(e.cfg.Resource, e.deps.Version, e.deps.Began, e.deps.Now(), families)
		e.deliver(ctx, e.metrics, "metrics", 1, body)
		if ended {
			return
		}
	}
}

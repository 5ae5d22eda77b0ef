package telemetry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"postern/config"
	"postern/oidc/trace"
)

// Deps are what an [Exporter] needs from outside.
type Deps struct {
	Log      *slog.Logger
	Registry interface { // whose metrics are pushed, and which shows how sending goes
		prometheus.Gatherer
		prometheus.Registerer
	}
	Version string
	Began   time.Time        // when the counters began
	Now     func() time.Time // nil: time.Now
}

// Exporter sends what there is to tell. Nobody waits for it.
type Exporter struct {
	cfg  config.Otel
	deps Deps

	queue           chan *trace.Record
	spans, metrics  *client // nil: not sent
	outcomes        *prometheus.CounterVec
	dropped, failed atomic.Int64 // since the last line of the log
	said            atomic.Int64 // when that was, in Unix nanoseconds
	stopping        chan struct{}
	stop            sync.Once
}

// New makes the exporter that cfg asks for, nil if nothing is to be sent. The error is about certificates.
func New(cfg config.Otel, d Deps) (*Exporter, error) {
	if !cfg.Traces.On && !cfg.Metrics.On {
		return nil, nil
	}
	if d.Now == nil {
		d.Now = time.Now
	}
	e := &Exporter{cfg: cfg, deps: d, stopping: make(chan struct{}), outcomes: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "postern_telemetry_total", Help: "Spans and pushes of metrics by what became of them: sent, rejected, failed, or dropped because too many waited.",
	}, []string{"signal", "outcome"})}
	var err error
	if cfg.Traces.On {
		if e.spans, err = newClient(cfg.Traces, d.Now); err != nil {
			return nil, fmt.Errorf("export of traces: %w", err)
		}
		e.queue = make(chan *trace.Record, cfg.QueueSize)
	}
	if cfg.Metrics.On {
		if e.metrics, err = newClient(cfg.Metrics, d.Now); err != nil {
			return nil, fmt.Errorf("export of metrics: %w", err)
		}
	}
	if err := d.Registry.Register(e.outcomes); err != nil {
		return nil, fmt.Errorf("export: %w", err)
	}
	return e, nil
}

// Tracer records requests for the exporter; nil if no spans are sent.
func (e *Exporter) Tracer() *trace.Tracer {
	if e == nil || e.spans == nil {
		return nil
	}
	return trace.New(trace.Config{Sampler: trace.Sampler{ParentBased: e.cfg.ParentBased, Ratio: e.cfg.Ratio}, Sink: e, Now: e.deps.Now})
}

// Take implements [trace.Sink].
func (e *Exporter) Take(r *trace.Record) {
	select {
	case e.queue <- r:
	default:
		e.dropped.Add(1)
		e.outcomes.WithLabelValues("traces", "dropped").Inc()
	}
}

// Run sends until ctx ends. After [Exporter.Stop] it sends what is left, once, and returns.
func (e *Exporter) Run(ctx context.Context) {
	var both sync.WaitGroup
	if e.spans != nil {
		both.Go(func() { e.sendSpans(ctx) })
	}
	if e.metrics != nil {
		both.Go(func() { e.pushMetrics(ctx) })
	}
	both.Wait()
	for _, c := range []*client{e.spans, e.metrics} {
		if c != nil {
			c.transport.CloseIdleConnections()
		}
	}
}

// Stop is for the end of the process, when no request is under way any more.
func (e *Exporter) Stop() { e.stop.Do(func() { close(e.stopping) }) }

// stopped says whether this is the end.
func (e *Exporter) stopped() bool {
	select {
	case <-e.stopping:
		return true
	default:
		return false
	}
}

const (
	firstPause = time.Second
	patience   = 30 * time.Second // with one batch; others wait meanwhile, as many as the queue holds
)

// deliver sends one body, and again while there is hope.
func (e *Exporter) deliver(ctx context.Context, c *client, signal string, items int, body []byte) {
	began, pause := e.deps.Now(), firstPause
	for {
		rejected, err := c.send(ctx, body)
		if err == nil {
			e.outcomes.WithLabelValues(signal, "sent").Add(float64(items) - min(float64(rejected), float64(items)))
			if rejected > 0 {
				e.outcomes.WithLabelValues(signal, "rejected").Add(min(float64(rejected), float64(items)))
				e.complain(signal, errRejected)
			}
			return
		}
		t, _ := errors.AsType[*trouble](err)
		wait := max(pause, t.after)
		if !t.again || e.stopped() || ctx.Err() != nil {
			e.giveUp(signal, items, err)
			return
		}
		if e.deps.Now().Sub(began)+wait > patience {
			e.giveUp(signal, items, err)
			e.rest(ctx, wait)
			return
		}
		e.complain(signal, err)
		e.rest(ctx, wait)
		pause *= 2
	}
}

var errRejected = errors.New("the collector has rejected a part")

// rest waits, unless this is the end.
func (e *Exporter) rest(ctx context.Context, wait time.Duration) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-e.stopping:
	case <-ctx.Done():
	}
}

func (e *Exporter) giveUp(signal string, items int, err error) {
	e.outcomes.WithLabelValues(signal, "failed").Add(float64(items))
	e.failed.Add(int64(items))
	e.complain(signal, err)
}

// complain writes at most a line a minute.
func (e *Exporter) complain(signal string, err error) {
	now := e.deps.Now().UnixNano()
	if last := e.said.Load(); last != 0 && now-last < int64(time.Minute) || !e.said.CompareAndSwap(last, now) {
		return
	}
	e.deps.Log.Warn("telemetry is not delivered", "signal", signal, "error", err.Error(), "lost", e.failed.Swap(0)+e.dropped.Swap(0))
}

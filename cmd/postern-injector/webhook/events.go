package webhook

import (
	"context"
	"log/slog"
	"time"

	"golang.org/x/time/rate"

	"postern/cmd/postern-injector/kube"
)

const (
	eventCreated  = "created"
	eventRepeated = "repeated"
	eventDropped  = "dropped"
	eventFailed   = "failed"

	maxQueued      = 256
	eventsPerSec   = 5
	eventBurst     = 25
	repeatAfter    = 10 * time.Minute
	maxRemembered  = 1024
	maxNote        = 1000 // bytes; the API takes 1 kB
	eventComponent = "postern.dev/injector"
)

// Events records what happens in the background: nobody waits for it, and what is too much is dropped and counted.
type Events struct {
	create   func(context.Context, kube.Event) error
	instance string
	now      func() time.Time
	log      *slog.Logger
	metrics  *Metrics
	queue    chan Happening
	limit    *rate.Limiter

	told map[Happening]time.Time // belongs to Run
}

// NewEvents makes a recorder that gives events to create; instance is the replica's name. Run it once with [Events.Run].
func NewEvents(create func(context.Context, kube.Event) error, instance string, now func() time.Time, log *slog.Logger, metrics *Metrics) *Events {
	return &Events{
		create: create, instance: oneLine(instance, 100), now: now, log: log, metrics: metrics,
		queue: make(chan Happening, maxQueued), limit: rate.NewLimiter(eventsPerSec, eventBurst), told: map[Happening]time.Time{},
	}
}

// Record takes a happening if there is room. It never waits.
func (e *Events) Record(h Happening) {
	h.Note = oneLine(h.Note, maxNote-len("…"))
	select {
	case e.queue <- h:
	default:
		e.metrics.event(eventDropped)
	}
}

// Run creates events until ctx ends.
func (e *Events) Run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case h := <-e.queue:
			if e.repeated(h) {
				e.metrics.event(eventRepeated)
				continue
			}
			if e.limit.Wait(ctx) != nil {
				return
			}
			e.send(ctx, h)
		}
	}
}

func (e *Events) send(ctx context.Context, h Happening) {
	err := e.create(ctx, kube.Event{
		Regarding: h.Regarding, Time: e.now(), Type: "Warning", Reason: h.Reason, Action: "Inject", Note: h.Note,
		Component: eventComponent, Instance: e.instance,
	})
	if err != nil {
		e.metrics.event(eventFailed)
		e.log.WarnContext(ctx, "an event could not be created", "namespace", h.Regarding.Namespace, "error", err.Error())
		return
	}
	e.metrics.event(eventCreated)
}

// repeated says whether the same was told a short while ago: a controller whose pods are refused tries again and again.
func (e *Events) repeated(h Happening) bool {
	now := e.now()
	if last, ok := e.told[h]; ok && now.Sub(last) < repeatAfter {
		return true
	}
	if len(e.told) >= maxRemembered {
		for old, when := range e.told {
			if now.Sub(when) >= repeatAfter {
				delete(e.told, old)
			}
		}
		if len(e.told) >= maxRemembered {
			clear(e.told) // better twice than never
		}
	}
	e.told[h] = now
	return false
}

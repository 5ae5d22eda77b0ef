package main

import (
	"context"
	"net"
	"net/http"
	"sync"
	"time"

	"postern/proxy/forward"
)

// farewellTime is what is left, at the end of a drain, to answer those for whom there is no time any more: 503 says more than a reset.
const farewellTime = time.Second

// schedule is what happens when while the process goes away, all of it within shutdown-graceful-period.
type schedule struct {
	wait     time.Time // until then requests are served as ever
	farewell time.Time // until then they may be finished; what is under way is answered with 503 then
	requests time.Time // what is under way then is cut
	end      time.Time // refreshes and revocations too are over, or lost
}

// scheduleOf leaves refreshes at most a quarter of the time in which requests are finished, and farewells a quarter of the rest.
func scheduleOf(now time.Time, wait, graceful time.Duration, refreshes bool) schedule {
	s := schedule{wait: now.Add(wait), end: now.Add(graceful)}
	s.requests = s.end
	if refreshes {
		s.requests = s.end.Add(-min(refreshPatience, (graceful-wait)/4))
	}
	s.farewell = s.requests.Add(-min(farewellTime, s.requests.Sub(s.wait)/4))
	return s
}

// drain lets the platform take the pod out of service, then finishes what is under way: both within shutdown-graceful-period. A further signal
// changes nothing. It returns when all must be over.
func (s *sidecar) drain(r *running) (end time.Time) {
	s.health.draining.Store(true)
	s.log.Info("draining")
	plan := scheduleOf(time.Now(), s.cfg.Server.ShutdownWait, s.cfg.Server.ShutdownGraceful, s.sessions != nil)
	select {
	case <-time.After(time.Until(plan.wait)):
	case err := <-r.failed:
		s.log.Error("a listener failed while draining", "error", err.Error())
	}
	farewell := time.AfterFunc(time.Until(plan.farewell), func() { r.cut(forward.ErrShutdown) })
	defer farewell.Stop()
	deadline, cancel := context.WithDeadline(context.Background(), plan.requests)
	defer cancel()
	for server := range r.backward() {
		if err := server.drain(deadline); err != nil {
			s.log.Warn("requests were cut off at the end of shutdown-graceful-period", "error", err.Error())
		}
	}
	return plan.end
}

// drain takes no new connections, and ends when no request and no stream is under way or ctx is over.
func (d drained) drain(ctx context.Context) error {
	var streams sync.WaitGroup
	if d.streams != nil {
		streams.Go(func() { d.streams.Drain(ctx) })
	}
	defer streams.Wait()
	return d.Shutdown(ctx)
}

// leaving tells HTTP/1 clients with each answer that their connection ends, once the process is going away: one that is closed while it is idle
// may be closed on the next request. HTTP/2 has a frame for it, which Shutdown sends.
func (s *sidecar) leaving(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.health.draining.Load() && r.ProtoMajor == 1 && !forward.AsksForUpgrade(r) {
			w.Header()["Connection"] = []string{"close"}
		}
		next.ServeHTTP(w, r)
	})
}

// base is the context of all requests of the servers that are drained.
func (r *running) base(net.Listener) context.Context { return r.requests }

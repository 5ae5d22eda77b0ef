package proxy

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"postern/oidc"
	"postern/proxy/forward"
	"postern/proxy/policy"
)

// Why streams end before app or client end them (contract 4.1, S-44). The status of gRPC says what to do about it: log in, give up, or just
// come again.
var (
	sessionEnded = &forward.Ending{Reason: "session_ended", Text: "session ended", WebSocket: policyViolation, GRPC: "16"}    // UNAUTHENTICATED
	tokenExpired = &forward.Ending{Reason: "token_expired", Text: "token expired", WebSocket: policyViolation, GRPC: "16"}    // UNAUTHENTICATED
	notAdmitted  = &forward.Ending{Reason: "not_admitted", Text: "no longer admitted", WebSocket: policyViolation, GRPC: "7"} // PERMISSION_DENIED
	tooOld       = &forward.Ending{Reason: "max_age", Text: "stream-max-age reached", WebSocket: policyViolation, GRPC: "14"} // UNAVAILABLE
)

const (
	policyViolation = 1008 // RFC 6455 §7.4.1

	// leaseCheck is the longest that a lease goes without a look at the clock: timers do not count the time that a machine sleeps.
	leaseCheck = time.Minute

	// bearerCheck is how soon the stream of a token ends that a logout has ended (S-09).
	bearerCheck = time.Second
)

// lease holds a stream to the life of its caller.
type lease struct {
	passage *passage
	stream  *forward.Stream
	token   string          // of a bearer, which a logout may end (S-09); "": there is none
	end     time.Time       // zero: none that is known
	why     *forward.Ending // at that end

	mu     sync.Mutex
	timer  *time.Timer // nil: there is nothing to wait for
	closed bool
}

// Opened implements [forward.Errand].
func (p *passage) Opened(s *forward.Stream) (closed func(*forward.Ending)) {
	l := &lease{passage: p, stream: s}
	if age := p.h.cfg.Front.StreamMaxAge; age > 0 {
		l.end, l.why = p.visit.started.Add(age), tooOld
	}
	unwatch := func() {}
	switch who := &p.who; {
	case who.session != nil:
		unwatch = p.h.sessions.Watch(who.session, func(error) { s.End(sessionEnded) })
	case who.identity != nil:
		l.token = who.token
		if until := who.identity.AcceptedUntil(); l.end.IsZero() || until.Before(l.end) {
			l.end, l.why = until, tokenExpired
		}
	}
	if p.visit.Upgraded() {
		p.release()
	}
	p.h.leases.add(l)
	if p.h.policy() != p.policy { // exchanged since the decision, and the others have been asked about already
		l.reconsider()
	}
	l.start()
	return func(why *forward.Ending) {
		unwatch()
		l.stop()
		p.h.leases.remove(l)
		if why != nil {
			p.visit.ended = why.Reason
			p.h.metrics.streamsEnded.WithLabelValues(why.Reason).Inc()
			if why.Stack != nil {
				p.h.log.LogAttrs(p.visit.context(), slog.LevelError, "panic", slog.String("route", p.visit.route), slog.String("stack", string(why.Stack)))
			}
		}
		if p.visit.Upgraded() {
			p.h.finish(p.visit, p.request)
		}
	}
}

// release lets go of what only the request needed, tokens above all, and its stream, which may be there for days, does not.
func (p *passage) release() {
	p.request, p.who = forward.Remainder(p.request), caller{identity: p.who.identity}
	p.visit.assertion, p.visit.downstream = "", nil
	p.visit.ctx.Settle()
}

func (l *lease) start() {
	if l.end.IsZero() {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.timer = time.AfterFunc(l.left(), l.look)
}

func (l *lease) left() time.Duration {
	check := leaseCheck
	if l.token != "" {
		check = bearerCheck
	}
	return min(l.end.Sub(l.passage.h.now()), check)
}

// look ends the stream if it is time to, or if the token has been ended by a logout meanwhile (S-09).
func (l *lease) look() {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch left := l.left(); {
	case l.closed:
	case left <= 0:
		l.stream.End(l.why)
	case l.token != "" && l.passage.h.revoked(l.token):
		l.stream.End(sessionEnded)
	default:
		l.timer.Reset(left)
	}
}

func (l *lease) stop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	if l.timer != nil {
		l.timer.Stop()
	}
}

// reconsider asks the policy in force about the request that the stream began with. Where it would now be served without its caller's name,
// the app does not go on with that name either. Report mode ends nothing that it would let pass (S-15).
func (l *lease) reconsider() {
	p := l.passage
	h, inForce := p.h, p.h.policy()
	route := inForce.Route(policy.Request{Path: p.path, Method: p.request.Method})
	var known *oidc.Caller
	if p.who.identity != nil {
		known = p.who.identity.Caller()
	}
	switch d := inForce.Decide(&route, known); {
	case d.Outcome == policy.Admitted, d.Outcome == policy.Public && known == nil, h.reportOnly && !h.refusedForItself(p, d):
	default:
		l.stream.End(notAdmitted)
	}
}

// leases are those of the streams that are open.
type leases struct {
	mu   sync.Mutex
	open map[*lease]struct{}
}

func (all *leases) add(l *lease) {
	all.mu.Lock()
	defer all.mu.Unlock()
	if all.open == nil {
		all.open = map[*lease]struct{}{}
	}
	all.open[l] = struct{}{}
}

func (all *leases) remove(l *lease) {
	all.mu.Lock()
	defer all.mu.Unlock()
	delete(all.open, l)
}

// Reconsider ends the streams whose callers the policy does not admit any more. It is to be called when another one has come into force.
func (h *Handler) Reconsider() {
	h.leases.mu.Lock()
	defer h.leases.mu.Unlock()
	for l := range h.leases.open {
		l.reconsider()
	}
}

// Drain ends all streams, since the process is going away. See [forward.Forwarder.Drain].
func (h *Handler) Drain(ctx context.Context) { h.upstream.Drain(ctx) }

package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net"
	"net/http"
	"os"
	"runtime/debug"
	"slices"
	"sync"
	"time"
)

// serve runs the sidecar until a signal comes.
func serve(ctx context.Context, p program) int {
	loaded, code := load(p)
	if loaded == nil {
		return code
	}
	cfg := *loaded.Config
	if cfg.NothingOn() {
		_, _ = fmt.Fprintln(p.stderr, "postern: nothing is configured: set ingress and openid.* for login, upstream-host to proxy, or a provider such as "+
			"TOKEN_X_ENABLED=true for the token API. \"postern demo\" shows a whole world, \"postern serve --help\" lists the options.")
		return exitUsage
	}
	out := &sharedWriter{to: p.stdout}
	log := newLogger(cfg.Log, out)
	libraryLog{log}.takeOver()
	for _, warning := range loaded.Warnings {
		log.WarnContext(ctx, "configuration", "warning", warning)
	}
	stream, audit, err := newAudit(&cfg, log, out)
	var s *sidecar
	if err == nil {
		s, err = newSidecar(loaded, log, audit)
	}
	if err == nil {
		err = s.followAudit(stream, p.hangups)
	}
	if err != nil {
		_, _ = fmt.Fprintln(p.stderr, "postern:", err)
		return exitUsage
	}
	if stream != nil {
		defer stream.Close() //nolint:errcheck // each event was written when it came
	} else {
		var stop context.CancelFunc
		ctx, stop = p.untilHangup(ctx)
		defer stop()
	}
	log.InfoContext(ctx, "starting", "version", versionText(), "bind_address", s.cfg.Server.BindAddress, "token_bind_address", tokenAddress(&s.cfg))
	log.InfoContext(ctx, "access", "summary", cfg.WhoWithoutCaller(s.policy.current().PublicPatterns()))
	if !hasVariable(p.environ, "GOMEMLIMIT") {
		limited, stop := context.WithCancel(ctx)
		defer stop()
		go keepWithin(limited, os.DirFS("/"))
	}
	if !hasVariable(p.environ, "GOGC") {
		keepHeapRoom(defaultHeapRoom)
	}
	if err := s.run(ctx); err != nil {
		log.ErrorContext(ctx, "stopped", "error", err.Error())
		return exitFailure
	}
	return exitOK
}

// running is the sidecar's open listeners.
type running struct {
	servers  []serving
	draining []drained // those whose requests are finished before the end
	failed   chan error
	wait     sync.WaitGroup

	requests context.Context // of what the draining ones serve
	cut      context.CancelCauseFunc
}

func newRunning() *running {
	r := &running{failed: make(chan error, maxListeners)}
	r.requests, r.cut = context.WithCancelCause(context.Background())
	return r
}

// backward are those that drain, the public one first: the app may need its own listeners to finish what that still has in flight.
func (r *running) backward() iter.Seq[drained] {
	return func(yield func(drained) bool) {
		for _, server := range slices.Backward(r.draining) {
			if !yield(server) {
				return
			}
		}
	}
}

// drained is a server, and what ends its streams; nil if it has none.
type drained struct {
	*http.Server

	streams streaming
}

// streaming is a handler that knows its streams: some never end by themselves, and of upgraded ones the server does not know.
type streaming interface {
	http.Handler
	Drain(ctx context.Context)
}

// serving is a server and the listener that is its own.
type serving struct {
	*http.Server

	listener net.Listener
}

func (r *running) add(server *http.Server, l net.Listener) {
	r.servers = append(r.servers, serving{server, l})
}

// serve begins when every listener is open: whoever hears from the probes that the sidecar is ready must find all of its doors.
func (r *running) serve() {
	for _, server := range r.servers {
		r.wait.Go(func() {
			if err := server.Serve(server.listener); !errors.Is(err, http.ErrServerClosed) {
				r.failed <- fmt.Errorf("serve on %s: %w", server.listener.Addr(), err)
			}
		})
	}
}

// run opens the listeners, serves until ctx ends or a listener fails, and drains.
func (s *sidecar) run(ctx context.Context) error {
	work, stop := context.WithCancel(context.WithoutCancel(ctx))
	var background sync.WaitGroup
	defer background.Wait()
	defer stop()
	r := newRunning()
	defer r.cut(nil)
	if err := s.open(ctx, r); err != nil {
		return errors.Join(err, r.close())
	}
	r.serve()
	s.background(work, func(do func()) {
		background.Go(func() {
			defer r.crashed(s.log)
			do()
		})
	})
	stopTelemetry := s.sendTelemetry()
	var failure error
	var end time.Time
	select {
	case <-ctx.Done():
		end = s.drain(r)
	case failure = <-r.failed:
		s.health.draining.Store(true)
		end = time.Now().Add(refreshPatience)
	}
	failure = errors.Join(failure, r.close(), s.closeSessions(end))
	stopTelemetry(end)
	return failure
}

// closeSessions waits for refreshes under way, whose tokens would be lost otherwise, and closes the store. What logouts still have to tell the
// provider gets what is left of that time; it is no failure if that is not enough.
func (s *sidecar) closeSessions(end time.Time) error {
	if s.sessions == nil {
		return nil
	}
	ctx, cancel := context.WithDeadline(context.Background(), end)
	defer cancel()
	err := s.sessions.Close(ctx)
	if untold := s.front.Close(ctx); untold != nil {
		s.log.Warn("tokens of ended sessions were not revoked at the provider", "error", untold.Error())
	}
	return errors.Join(err, s.store.Close())
}

// crashed ends the process for a panic of work in the background, which nobody could answer for. The line says where it was: what it says may
// be a secret.
func (r *running) crashed(log *slog.Logger) {
	panicked := recover()
	if panicked == nil {
		return
	}
	log.Error("panic", "where", "background", "stack", string(debug.Stack()))
	select {
	case r.failed <- fmt.Errorf("background: panic of type %T", panicked):
	default: // it is ending already
	}
}

// refreshPatience is how long a refresh under way is waited for at the end, if there is so much time: more than a healthy provider takes.
const refreshPatience = 2 * time.Second

const (
	maxListeners = 7

	sideConnections = 256              // of probes and of metrics at least: a low limit for the app must not keep probes out
	bodyTime        = 10 * time.Second // for a client that asks Postern itself to send its question
)

// open starts every listener that is configured; the public one last, when the others can already tell how it is doing.
func (s *sidecar) open(ctx context.Context, r *running) error {
	cfg := &s.cfg
	question := cfg.Server.Limits.HeaderTime + bodyTime
	for _, side := range []struct {
		option, address string
		handler         http.Handler  // nil: there is nothing to serve
		drains          bool          // its requests are finished before the end
		body            time.Duration // for a request with its body; 0: as long as it takes, and its client takes its answer when it likes
	}{
		{"probe-bind-address", cfg.Server.ProbeBindAddress, s.health.probes(), false, 0},
		{"metrics-bind-address", cfg.Server.MetricsBindAddress, metricsHandler(s.registry), false, 0},
		{"token.bind-address", cfg.Token.BindAddress, s.tokenAPI, true, question},
		{"egress.bind-address", cfg.Egress.BindAddress, s.egress, true, 0},
		{"forward-auth.bind-address", cfg.ForwardAuth.BindAddress, s.forwardAuth, true, question},
		{adminOption, cfg.Admin.BindAddress, s.admin, true, question},
	} {
		if side.address == "" || side.handler == nil {
			continue
		}
		limits := cfg.Server.Limits
		if !side.drains && limits.Connections > 0 {
			limits.Connections = max(limits.Connections, sideConnections)
		}
		if side.body == 0 {
			limits.StallTime = 0
		}
		l, err := boundedListener(ctx, side.address, limits)
		if err != nil {
			return fmt.Errorf("%s: %w", side.option, err)
		}
		if side.option == adminOption {
			if l, err = s.secureAdmin(l); err != nil {
				return err
			}
		}
		server := sideServer(cfg.Server.Limits, side.handler, s.log)
		if side.drains { // egress streams as the front door does
			server = streamServer(limits, s.leaving(side.handler), s.log)
			server.ReadTimeout, server.BaseContext = side.body, r.base
			streams, _ := side.handler.(streaming)
			r.draining = append(r.draining, drained{server, streams})
		}
		r.add(server, l)
	}
	if s.front == nil {
		return nil
	}
	l, err := publicListener(ctx, cfg.Server)
	if err != nil {
		return err
	}
	public := streamServer(cfg.Server.Limits, s.leaving(s.front), s.log)
	public.BaseContext = r.base
	r.draining = append(r.draining, drained{public, s.front})
	r.add(public, l)
	return nil
}

// close ends every server at once and waits for them.
func (r *running) close() error {
	var errs []error
	for _, server := range r.servers {
		errs = append(errs, server.Close())
		_ = server.listener.Close() // one that nobody has served is not known to its server
	}
	r.wait.Wait()
	return errors.Join(errs...)
}

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
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
	log := newLogger(cfg.Log, p.stdout)
	for _, warning := range loaded.Warnings {
		log.WarnContext(ctx, "configuration", "warning", warning)
	}
	s, err := newSidecar(loaded, log)
	if err != nil {
		_, _ = fmt.Fprintln(p.stderr, "postern:", err)
		return exitUsage
	}
	log.InfoContext(ctx, "starting", "version", versionText(), "bind_address", s.cfg.Server.BindAddress, "token_bind_address", tokenAddress(&s.cfg))
	log.InfoContext(ctx, "access", "summary", cfg.WhoWithoutCaller(s.policy.current().PublicPatterns()))
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
	servers  []*http.Server
	draining []*http.Server // those whose requests are finished before the end
	failed   chan error
	wait     sync.WaitGroup
}

func (r *running) start(server *http.Server, l net.Listener) {
	r.servers = append(r.servers, server)
	r.wait.Go(func() {
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			r.failed <- fmt.Errorf("serve on %s: %w", l.Addr(), err)
		}
	})
}

// run opens the listeners, serves until ctx ends or a listener fails, and drains.
func (s *sidecar) run(ctx context.Context) error {
	work, stop := context.WithCancel(context.WithoutCancel(ctx))
	var background sync.WaitGroup
	defer background.Wait()
	defer stop()
	r := &running{failed: make(chan error, maxListeners)}
	if err := s.open(ctx, r); err != nil {
		return errors.Join(err, r.close())
	}
	s.background(work, background.Go)
	var failure error
	select {
	case <-ctx.Done():
		s.drain(r)
	case failure = <-r.failed:
		s.health.draining.Store(true)
	}
	failure = errors.Join(failure, r.close())
	return errors.Join(failure, s.closeSessions())
}

// closeSessions waits for refreshes under way, whose tokens would be lost otherwise, and closes the store.
func (s *sidecar) closeSessions() error {
	if s.sessions == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), refreshPatience)
	defer cancel()
	return errors.Join(s.sessions.Close(ctx), s.store.Close())
}

// refreshPatience is how long a refresh under way is waited for at the end. It is more than a healthy provider takes, and short enough to
// stay below the grace that platforms give beyond shutdown-graceful-period.
const refreshPatience = 2 * time.Second

const (
	maxListeners  = 5
	tokenBodyTime = 10 * time.Second // for a client of the token API to send what it asks
)

// open starts every listener that is configured; the public one last, when the others can already tell how it is doing.
func (s *sidecar) open(ctx context.Context, r *running) error {
	cfg := &s.cfg
	for _, side := range []struct {
		option, address string
		handler         http.Handler // nil: there is nothing to serve
		forApp          bool
		body            time.Duration // for a request with its body; 0: as long as it takes
	}{
		{"probe-bind-address", cfg.Server.ProbeBindAddress, s.health.probes(), false, 0},
		{"metrics-bind-address", cfg.Server.MetricsBindAddress, metricsHandler(s.registry), false, 0},
		{"token.bind-address", cfg.Token.BindAddress, s.tokenAPI, true, cfg.Server.Limits.HeaderTime + tokenBodyTime},
		{"egress.bind-address", cfg.Egress.BindAddress, s.egress, true, 0},
	} {
		if side.address == "" || side.handler == nil {
			continue
		}
		l, err := listen(ctx, side.address)
		if err != nil {
			return fmt.Errorf("%s: %w", side.option, err)
		}
		server := sideServer(side.handler, s.log)
		if side.forApp { // egress streams as the front door does
			server = streamServer(cfg.Server.Limits, side.handler, s.log)
			server.ReadTimeout = side.body
			r.draining = append(r.draining, server)
		}
		r.start(server, l)
	}
	if s.front == nil {
		return nil
	}
	l, err := publicListener(ctx, cfg.Server)
	if err != nil {
		return err
	}
	public := streamServer(cfg.Server.Limits, s.front, s.log)
	r.draining = append(r.draining, public)
	r.start(public, l)
	return nil
}

// drain lets the platform take the pod out of service, then finishes what is under way: both within shutdown-graceful-period.
func (s *sidecar) drain(r *running) {
	s.health.draining.Store(true)
	s.log.Info("draining")
	deadline, cancel := context.WithTimeout(context.Background(), s.cfg.Server.ShutdownGraceful)
	defer cancel()
	select {
	case <-time.After(s.cfg.Server.ShutdownWait):
	case err := <-r.failed:
		s.log.Error("a listener failed while draining", "error", err.Error())
	}
	// The app may need its own listeners to finish what the public one still has in flight.
	for _, server := range slices.Backward(r.draining) {
		if err := server.Shutdown(deadline); err != nil {
			s.log.Warn("requests were cut off at the end of shutdown-graceful-period", "error", err.Error())
		}
	}
}

// close ends every server at once and waits for them.
func (r *running) close() error {
	var errs []error
	for _, server := range r.servers {
		errs = append(errs, server.Close())
	}
	r.wait.Wait()
	return errors.Join(errs...)
}

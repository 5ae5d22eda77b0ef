package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
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
	if !cfg.HasFrontDoor() {
		_, _ = fmt.Fprintln(p.stderr, "postern: nothing is configured: set ingress and openid.* for login, or upstream-host to proxy. "+
			"\"postern demo\" shows a whole world, \"postern serve --help\" lists the options.")
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
	log.InfoContext(ctx, "starting", "version", versionText(), "bind_address", cfg.Server.BindAddress)
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
	servers []*http.Server
	failed  chan error
	wait    sync.WaitGroup
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
	r := &running{failed: make(chan error, 3)}
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

// open starts every listener that is configured; the public one last, when the others can already tell how it is doing.
func (s *sidecar) open(ctx context.Context, r *running) error {
	cfg := s.cfg.Server
	sides := []struct {
		option, address string
		handler         http.Handler
	}{
		{"probe-bind-address", cfg.ProbeBindAddress, s.health.probes()},
		{"metrics-bind-address", cfg.MetricsBindAddress, metricsHandler(s.registry)},
	}
	for _, side := range sides {
		if side.address == "" {
			continue
		}
		l, err := listen(ctx, side.address)
		if err != nil {
			return fmt.Errorf("%s: %w", side.option, err)
		}
		r.start(sideServer(side.handler, s.log), l)
	}
	l, err := publicListener(ctx, cfg)
	if err != nil {
		return err
	}
	r.start(publicServer(cfg, s.front, s.log), l)
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
	public := r.servers[len(r.servers)-1]
	if err := public.Shutdown(deadline); err != nil {
		s.log.Warn("requests were cut off at the end of shutdown-graceful-period", "error", err.Error())
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

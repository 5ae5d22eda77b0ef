package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"postern/cmd/postern-injector/kube"
	"postern/cmd/postern-injector/webhook"
)

// serve runs the webhook until a signal comes.
func serve(ctx context.Context, p program) int {
	if slices.Contains(p.args, "--help") || slices.Contains(p.args, "-h") {
		help(p.stdout)
		return exitOK
	}
	opts, problems := parse(p.args, p.environ)
	if len(problems) > 0 {
		for _, problem := range problems {
			_, _ = fmt.Fprintln(p.stderr, "postern-injector:", problem)
		}
		return exitUsage
	}
	log := newLogger(opts, p.stdout)
	i, err := newInjector(ctx, opts, log)
	if err != nil {
		_, _ = fmt.Fprintln(p.stderr, "postern-injector:", err)
		return exitUsage
	}
	log.InfoContext(ctx, "starting", "version", versionText(), "bind_address", opts.bind, "probe_bind_address", opts.probe)
	if err := i.run(ctx); err != nil {
		log.ErrorContext(ctx, "stopped", "error", err.Error())
		return exitFailure
	}
	log.InfoContext(ctx, "stopped")
	return exitOK
}

// run opens the listeners, serves until ctx ends or something cannot go on, and drains.
func (i *injector) run(ctx context.Context) error {
	work, stop := context.WithCancel(context.WithoutCancel(ctx))
	var background sync.WaitGroup
	defer background.Wait()
	defer stop()
	failed := make(chan error, 3)
	probe, err := (&net.ListenConfig{}).Listen(ctx, "tcp", i.opts.probe)
	if err != nil {
		return fmt.Errorf("probe-bind-address: %w", err)
	}
	probes := &http.Server{
		Handler: i.health.probes(i.registry), ReadTimeout: 5 * time.Second, WriteTimeout: 30 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10,
		ErrorLog: slog.NewLogLogger(i.log.Handler(), slog.LevelDebug),
	}
	defer func() { _ = probes.Close() }()
	public, err := (&net.ListenConfig{}).Listen(ctx, "tcp", i.opts.bind)
	if err != nil {
		return errors.Join(fmt.Errorf("bind-address: %w", err), probe.Close())
	}
	reviews := webhook.NewServer(i.health.releasing(i.handler), i.log)
	defer func() { _ = reviews.Close() }()
	start := func(name string, s *http.Server, l net.Listener) {
		background.Go(func() {
			if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
				failed <- fmt.Errorf("%s: %w", name, err)
			}
		})
	}
	start("probe-bind-address", probes, probe)
	start("bind-address", reviews, webhook.NewListener(public, i.certificates.Certificate))
	i.log.InfoContext(ctx, "listening", "bind_address", public.Addr().String(), "probe_bind_address", probe.Addr().String())
	for _, task := range []func(context.Context){i.settings.Run, i.events.Run, i.certificates.Run} {
		background.Go(func() { task(work) })
	}
	background.Go(func() {
		if err := i.checkVersion(work); err != nil {
			failed <- err
		}
	})
	select {
	case err := <-failed:
		i.health.draining.Store(true)
		return err
	case <-ctx.Done():
	}
	return i.drain(reviews, failed)
}

// drain lets the platform take the replica out of service, then finishes what is under way.
func (i *injector) drain(reviews *http.Server, failed <-chan error) error {
	i.health.draining.Store(true)
	i.log.Info("draining")
	ctx, cancel := context.WithTimeout(context.Background(), i.opts.grace)
	defer cancel()
	timer := time.NewTimer(i.opts.wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case err := <-failed:
		return err
	}
	if err := reviews.Shutdown(ctx); err != nil {
		i.log.Warn("reviews were cut off at the end of shutdown-graceful-period", "error", err.Error())
	}
	return nil
}

// oldest is the first Kubernetes that runs native sidecars without being asked to.
func oldest() kube.Version { return kube.Version{Major: 1, Minor: 29} }

// checkVersion asks until the API server has said its version. An older one would start the sidecar as an init container, and wait for its end.
func (i *injector) checkVersion(ctx context.Context) error {
	for wait := time.Second; ; wait = min(2*wait, 30*time.Second) {
		version, err := i.client.ServerVersion(ctx)
		switch {
		case err == nil && version.Before(oldest()):
			return fmt.Errorf("the API server is Kubernetes %s; native sidecars need %s or newer", version, oldest())
		case err == nil:
			i.log.InfoContext(ctx, "API server", "kubernetes", version.String())
			i.versionKnown.Store(true)
			return nil
		case ctx.Err() != nil:
			return nil
		}
		i.log.WarnContext(ctx, "the API server does not say its version; it is asked again", "error", err.Error(), "again_in", wait.String())
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		}
	}
}

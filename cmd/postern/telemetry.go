package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"postern/cmd/postern/telemetry"
	"postern/config"
	"postern/oidc/correlation"
)

// newLogger writes one JSON object a line (or text) at the configured level. A line of a request carries its ids.
func newLogger(cfg config.Log, w io.Writer) *slog.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(cfg.Level)); err != nil {
		level = slog.LevelInfo // config has checked it
	}
	options := &slog.HandlerOptions{Level: level}
	if cfg.Format == "text" {
		return slog.New(correlation.NewHandler(slog.NewTextHandler(w, options)))
	}
	return slog.New(correlation.NewHandler(slog.NewJSONHandler(w, options)))
}

// newAudit is where audit events go: to audit.file, else to standard output in the form of the log. No level holds them back there (S-38).
func newAudit(cfg *config.Config, log *slog.Logger, out io.Writer) (*auditStream, *slog.Logger, error) {
	if cfg.Audit.File == "" {
		return nil, newLogger(config.Log{Format: cfg.Log.Format, Level: "info"}, out), nil
	}
	stream, err := openAudit(cfg.Audit.File, out, log)
	if err != nil {
		return nil, nil, err
	}
	return stream, stream.logger(), nil
}

// followAudit shows how audit.file is doing, and follows it once the sidecar runs. A nil stream is standard output, which is not followed.
func (s *sidecar) followAudit(stream *auditStream, hangups <-chan os.Signal) error {
	if stream == nil {
		return nil
	}
	s.health.audit, s.hangups = stream, hangups
	return s.registry.Register(stream)
}

// sharedWriter lets more than one logger write whole lines to one place.
type sharedWriter struct {
	mu sync.Mutex
	to io.Writer
}

func (w *sharedWriter) Write(line []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.to.Write(line)
}

// redisLogger is how go-redis, which logs on its own, reaches the event log.
type redisLogger struct{ log *slog.Logger }

// Printf implements the logger of go-redis.
func (l redisLogger) Printf(ctx context.Context, format string, v ...any) {
	l.log.DebugContext(ctx, "redis client", "message", fmt.Sprintf(format, v...))
}

// newRegistry is a registry of our own: nothing that a library registers behind our back appears in it.
func newRegistry() *prometheus.Registry {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "postern_build_info", Help: "Always 1; the label is the version.", ConstLabels: prometheus.Labels{"version": versionText()},
	})
	build.Set(1)
	registry.MustRegister(build)
	return registry
}

func metricsHandler(registry *prometheus.Registry) http.Handler {
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{})
}

// addTelemetry builds what sends spans and metrics to a collector. Certificates that cannot be read keep nothing from starting but it.
func (s *sidecar) addTelemetry() {
	exporter, err := telemetry.New(s.cfg.Otel, telemetry.Deps{Log: s.log, Registry: s.registry, Version: versionText(), Began: time.Now()})
	if err != nil {
		s.log.Error("no telemetry is sent", "error", err.Error())
		return
	}
	s.exporter = exporter
}

// mostFlush is how long the last spans may take when the process ends, if so much is left of shutdown-graceful-period.
const mostFlush = 2 * time.Second

// sendTelemetry sends until stop is called, which waits for what is left, not for long.
func (s *sidecar) sendTelemetry() (stop func(end time.Time)) {
	if s.exporter == nil {
		return func(time.Time) {}
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.exporter.Run(ctx)
	}()
	return func(end time.Time) {
		s.exporter.Stop()
		timer := time.AfterFunc(min(time.Until(end), mostFlush), cancel)
		<-done
		timer.Stop()
		cancel()
	}
}

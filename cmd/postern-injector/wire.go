package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"postern/cmd/postern-injector/certs"
	"postern/cmd/postern-injector/inject"
	"postern/cmd/postern-injector/kube"
	"postern/cmd/postern-injector/webhook"
)

const serviceAccount = "/var/run/secrets/kubernetes.io/serviceaccount"

// certificates is a certificate that is looked after: [certs.Keeper] or [certs.Files].
type certificates interface {
	Certificate(*tls.ClientHelloInfo) (*tls.Certificate, error)
	Ready() bool
	Run(ctx context.Context)
}

// injector is everything that runs.
type injector struct {
	opts         *options
	log          *slog.Logger
	registry     *prometheus.Registry
	client       *kube.Client
	settings     *webhook.Settings
	events       *webhook.Events
	certificates certificates
	handler      *webhook.Handler
	versionKnown atomic.Bool
	health       health
}

// newInjector puts the parts together; nothing has been asked of the API server yet.
func newInjector(ctx context.Context, opts *options, log *slog.Logger) (*injector, error) {
	i := &injector{opts: opts, log: log, registry: newRegistry()}
	var err error
	if opts.kubeconfig != "" {
		i.client, err = kube.FromKubeconfig(opts.kubeconfig)
	} else {
		i.client, err = kube.InCluster(os.Getenv, serviceAccount, time.Now)
	}
	if err != nil {
		return nil, err
	}
	metrics, err := webhook.NewMetrics(i.registry)
	if err != nil {
		return nil, fmt.Errorf("register metrics of the webhook: %w", err)
	}
	host, err := os.Hostname()
	if err != nil {
		return nil, fmt.Errorf("name of this replica: %w", err)
	}
	i.events = webhook.NewEvents(i.client.CreateEvent, host, time.Now, log, metrics)
	if i.settings, err = webhook.NewSettings(opts.settings, inject.ReadSettings, log, i.settingsRefused, i.registry); err != nil {
		return nil, fmt.Errorf("register metrics of the settings: %w", err)
	}
	i.handler = webhook.NewHandler(webhook.Config{
		Inject: inject.Inject, Settings: i.settings.Current, Defaults: webhook.NewDefaults(i.client.GetConfigMap, time.Now).Of,
		Event: i.events.Record, Metrics: metrics, Log: log,
	})
	certMetrics, err := certs.NewMetrics(i.registry, time.Now)
	if err != nil {
		return nil, fmt.Errorf("register metrics of the certificate: %w", err)
	}
	if opts.dir != "" {
		i.certificates = certs.NewFiles(ctx, opts.dir, time.Now, log, certMetrics)
	} else {
		i.certificates = certs.NewKeeper(certs.Config{
			Namespace: opts.namespace, Secret: opts.secret, Configuration: opts.configuration, Names: opts.certificateNames(),
		}, i.client, i.client, time.Now, log, certMetrics)
	}
	i.health.checks = []need{
		{"api_server", i.versionKnown.Load},
		{"settings", func() bool { return i.settings.Current() != nil }},
		{"certificate", i.certificates.Ready},
	}
	return i, nil
}

// settingsRefused shows a broken file where an administrator looks first: at the Service.
func (i *injector) settingsRefused(text string) {
	i.events.Record(webhook.Happening{
		Regarding: kube.Reference{APIVersion: "v1", Kind: "Service", Namespace: i.opts.namespace, Name: i.opts.service},
		Reason:    "SettingsRefused", Note: "the settings cannot be used, those in force stay: " + text,
	})
}

// newLogger writes one JSON object a line (or text) at the configured level.
func newLogger(opts *options, w io.Writer) *slog.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(opts.logLevel)); err != nil {
		level = slog.LevelInfo // parse has checked it
	}
	handling := &slog.HandlerOptions{Level: level}
	if opts.logFormat == "text" {
		return slog.New(slog.NewTextHandler(w, handling))
	}
	return slog.New(slog.NewJSONHandler(w, handling))
}

// newRegistry is a registry of our own: nothing that a library registers behind our back appears in it.
func newRegistry() *prometheus.Registry {
	registry := prometheus.NewRegistry()
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "postern_injector_build_info", Help: "Always 1; the label is the version.", ConstLabels: prometheus.Labels{"version": versionText()},
	})
	build.Set(1)
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), build)
	return registry
}

package config

import (
	"math"
	"time"
)

func (t *table) serverOptions(c *Config) {
	s := &c.Server
	t.group("Listeners")
	t.address(&s.BindAddress, "bind-address", "127.0.0.1:3000",
		"Public listener: `host:port` or `unix:/path`. As a Texas (token API and nothing of the front door) there is none unless this is given.").
		ofWonderwall()
	t.address(&s.MetricsBindAddress, "metrics-bind-address", "127.0.0.1:3001",
		"Listener of `/metrics`; empty switches it off. As a Texas there is none unless this is given.").ofWonderwall()
	t.address(&s.ProbeBindAddress, "probe-bind-address", "",
		"Listener of `/livez` and `/readyz`; every other path answers 200 too, as wonderwall. Off by default; `PROBE_BIND_ADDRESS` counts while the token API is on.").
		ofWonderwall().platform("PROBE_BIND_ADDRESS").onlyWhile((*Config).TokenAPIEnabled)
	t.toggle(&s.PprofEnabled, "pprof-enabled", false, "Serve Go profiles, on the admin listener only (wonderwall: on the probe listener).").ofWonderwall()
	t.path(&s.TLSCertFile, "tls.cert-file", "Certificate chain (PEM) for TLS on the public listener; read anew when it changes.")
	t.path(&s.TLSKeyFile, "tls.key-file", "Private key (PEM) of `tls.cert-file`; read anew when it changes.")
	t.duration(&s.ShutdownGraceful, "shutdown-graceful-period", 30*time.Second,
		"How long stopping may take in all: waiting, then finishing requests. Longer than `shutdown-wait-before-period`.").ofWonderwall()
	t.duration(&s.ShutdownWait, "shutdown-wait-before-period", 0,
		"How long to keep serving after the signal to stop while `/readyz` already says no.").ofWonderwall()

	l := &s.Limits
	t.group("Limits")
	t.size(&l.HeaderBytes, "limits.header-bytes", 64<<10, "Request line and headers of a request together; beyond it, and 4 KiB of grace, 431.")
	t.duration(&l.HeaderTime, "limits.header-time", 10*time.Second, "Time for a client to send its request headers.")
	t.duration(&l.IdleTime, "limits.idle-time", 2*time.Minute, "How long a connection may rest between two requests.")
	t.duration(&l.StallTime, "limits.stall-time", time.Minute,
		"How long a client may keep the app waiting: send nothing of a body, or not take 32 KiB of an answer. Then 408, or the connection is cut. "+
			"WebSockets, and what gRPC calls send, may rest as long as they like; `0s` sets no limit.")
	t.number(&l.Headers, "limits.headers", 100, 1, "Header lines of a request; beyond it 431.")
	t.number(&l.Cookies, "limits.cookies", 100, 1, "Cookies of a request; beyond it 400.")
	t.number(&l.Connections, "limits.connections", 10000, 0, "Open connections of each listener, of probes and metrics 256 at least; `0` sets no limit. There is none for one client: ingress controllers bring those of all.")
	bind(t, &l.Streams, "limits.streams", 250, numberKind(1, math.MaxInt32), "Open HTTP/2 streams of a connection.")
	t.size64(&l.BodyBytes, "limits.body-bytes", 1<<20, "Request body of Postern's own endpoints. Bodies for the app are not limited.")
	t.size64(&l.TokenAPIBytes, "limits.token-api-bytes", 2<<20, "Request body of the token API.")
	const share = "30 % of the memory limit"
	caches := t.size64(&s.CacheMaxMemory, "cache.max-memory", 0, "Memory for all caches together.").defaults(share)
	caches.show = func() string {
		if s.CacheMaxMemory == 0 {
			return share
		}
		return formatSize(s.CacheMaxMemory)
	}
}

func (t *table) operationOptions(c *Config) {
	t.group("Operation")
	t.oneOf(&c.Log.Format, "log-format", "Form of the log on standard output.", "json", "text").ofWonderwall()
	level := t.oneOf(&c.Log.Level, "log-level", "The least severe lines to log.", "info", "debug", "warn", "error").ofWonderwall()
	level.takes(map[string]string{
		"trace": "debug", "debug": "debug", "info": "info", "warning": "warn", "warn": "warn", "error": "error", "fatal": "error", "panic": "error",
	})
	t.toggle(&c.Otel.Enabled, "otel.enabled", false, "Export traces, and metrics, by OTLP; the [`OTEL_*` variables](../cmd/postern/README.md#traces-and-pushed-metrics) say where to.").
		defaults("`true` when `OTEL_EXPORTER_OTLP_ENDPOINT` is set, or that of a signal").ofWonderwall()
	t.text(&c.Otel.ServiceName, "otel.service-name", "wonderwall", "Name of this service in telemetry; `texas` as a Texas.").
		ofWonderwall().platform("OTEL_SERVICE_NAME")
	t.address(&c.Admin.BindAddress, "admin.bind-address", "", "Listener of the admin API: end, search and count sessions. Off by default. Other than on loopback it speaks TLS, with `tls.cert-file`.")
	t.path(&c.Admin.TokenFile, "admin.token-file", "File with the token that admin calls must carry as `Authorization: Bearer`; required unless the listener is `unix:/path`. Read anew when it changes.")
	t.path(&c.Audit.File, "audit.file", "File that gets the [audit events](../cmd/postern/README.md#audit), instead of standard output.")
}

package config

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// telemetry is what is understood of OTEL_* variables beside a login, and what is warned of.
func telemetry(t *testing.T, env ...string) (Otel, []string) {
	t.Helper()
	loaded := withLogin().with(env...).load(t)
	return loaded.Config.Otel, loaded.Warnings
}

// show is an export in a line.
func (e OtelExport) show() string {
	protocol := map[bool]string{true: "gRPC", false: "HTTP"}[e.GRPC]
	if !e.On {
		return "off"
	}
	out := []string{protocol, e.URL, e.Timeout.String()}
	if e.Gzip {
		out = append(out, "gzip")
	}
	for _, h := range e.Headers {
		out = append(out, h.Name+"="+h.Value.Reveal())
	}
	for _, file := range []string{e.CAFile, e.CertFile, e.KeyFile} {
		if file != "" {
			out = append(out, file)
		}
	}
	return strings.Join(out, " ")
}

func TestTelemetryGoesWhereTheVariablesSay(t *testing.T) {
	t.Parallel()
	const (
		traceMethod  = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
		metricMethod = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"
		endpoint     = "OTEL_EXPORTER_OTLP_ENDPOINT="
	)
	for name, test := range map[string]struct {
		env             []string
		traces, metrics string
		warned          string // begin of the one warning
	}{
		"nothing":             {nil, "off", "off", ""},
		"on, and nothing":     {[]string{"POSTERN_OTEL_ENABLED=true"}, "gRPC http://localhost:4317" + traceMethod + " 10s", "off", ""},
		"an endpoint":         {[]string{endpoint + "http://collector:4317"}, "gRPC http://collector:4317" + traceMethod + " 10s", "off", ""},
		"an endpoint, off":    {[]string{endpoint + "http://collector:4317", "POSTERN_OTEL_ENABLED=false"}, "off", "off", ""},
		"disabled":            {[]string{endpoint + "http://collector:4317", "OTEL_SDK_DISABLED=true"}, "off", "off", ""},
		"gRPC without scheme": {[]string{endpoint + "collector:4317"}, "gRPC https://collector:4317" + traceMethod + " 10s", "off", ""},
		"the same, insecure": {
			[]string{endpoint + "collector:4317", "OTEL_EXPORTER_OTLP_INSECURE=true"}, "gRPC http://collector:4317" + traceMethod + " 10s", "off", "",
		},
		"HTTP": {
			[]string{endpoint + "https://collector/base/", "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf", "OTEL_METRICS_EXPORTER=otlp"},
			"HTTP https://collector/base/v1/traces 10s", "HTTP https://collector/base/v1/metrics 10s", "",
		},
		"signals of their own": {
			[]string{
				endpoint + "http://collector:4317", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://traces/exactly?x=1", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL=http/protobuf",
				"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT=http://metrics:4317/", "OTEL_EXPORTER_OTLP_TIMEOUT=2000", "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT=300",
				"OTEL_EXPORTER_OTLP_COMPRESSION=gzip", "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION=none", "OTEL_EXPORTER_OTLP_HEADERS=a=b%20c, d=e",
				"OTEL_EXPORTER_OTLP_TRACES_HEADERS=x=y", "OTEL_EXPORTER_OTLP_CERTIFICATE=/ca", "OTEL_EXPORTER_OTLP_METRICS_CLIENT_CERTIFICATE=/c",
				"OTEL_EXPORTER_OTLP_METRICS_CLIENT_KEY=/k",
			},
			"HTTP http://traces/exactly?x=1 300ms x=y /ca", "gRPC http://metrics:4317" + metricMethod + " 2s gzip a=b c d=e /ca /c /k", "",
		},
		"no traces": {[]string{endpoint + "http://c:4317", "OTEL_TRACES_EXPORTER=none"}, "off", "off", ""},
		"where Texas pushes": {
			[]string{endpoint + "http://c:4317", "IDPORTEN_ENABLED=true", "IDPORTEN_AUDIENCE=a", "IDPORTEN_WELL_KNOWN_URL=https://idporten.example.org"},
			"gRPC http://c:4317" + traceMethod + " 10s", "gRPC http://c:4317" + metricMethod + " 10s", "",
		},
		"a protocol of tomorrow": {[]string{endpoint + "http://c:4317", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL=http/json"}, "gRPC http://c:4317" + traceMethod + " 10s", "off", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: "},
		"a user in the address":  {[]string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://me:hush@c:4317"}, "off", "off", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: "},
		"no address":             {[]string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=unix:///x"}, "off", "off", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: "},
		"headers that are none": {
			[]string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://c", "OTEL_EXPORTER_OTLP_TRACES_HEADERS=hush,a=%zz,b c=d,e=f%0d%0ag: h,ok=1,x=%FF"},
			"gRPC http://c" + traceMethod + " 10s ok=1", "off", "OTEL_EXPORTER_OTLP_TRACES_HEADERS: 5 ",
		},
		"another exporter":  {[]string{endpoint + "http://c:4317", "OTEL_TRACES_EXPORTER=zipkin"}, "off", "off", "OTEL_TRACES_EXPORTER: "},
		"other propagators": {[]string{endpoint + "http://c:4317", "OTEL_PROPAGATORS=b3"}, "gRPC http://c:4317" + traceMethod + " 10s", "off", "OTEL_PROPAGATORS: "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, warnings := telemetry(t, test.env...)
			if diff := cmp.Diff([]string{test.traces, test.metrics}, []string{got.Traces.show(), got.Metrics.show()}); diff != "" {
				t.Error(diff)
			}
			about := warnings[:0]
			for _, one := range warnings {
				if strings.HasPrefix(one, "OTEL_") {
					about = append(about, one)
				}
			}
			if test.warned == "" && len(about) > 0 || test.warned != "" && (len(about) == 0 || !strings.HasPrefix(about[0], test.warned)) {
				t.Errorf("warnings %q", about)
			}
			if strings.Contains(strings.Join(warnings, ""), "hush") {
				t.Errorf("a warning tells a secret: %q", warnings)
			}
		})
	}
}

func TestTelemetrySettings(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		env    []string
		want   string // sampler, queue, batch, delay, interval
		warned string
	}{
		"defaults":       {nil, "true 1 2048 512 5s 1m0s", ""},
		"a ratio":        {[]string{"OTEL_TRACES_SAMPLER=parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG=0.25"}, "true 0.25 2048 512 5s 1m0s", ""},
		"a ratio alone":  {[]string{"OTEL_TRACES_SAMPLER=traceidratio"}, "false 1 2048 512 5s 1m0s", ""},
		"never":          {[]string{"OTEL_TRACES_SAMPLER=always_off"}, "false 0 2048 512 5s 1m0s", ""},
		"unless told":    {[]string{"OTEL_TRACES_SAMPLER=parentbased_always_off"}, "true 0 2048 512 5s 1m0s", ""},
		"always":         {[]string{"OTEL_TRACES_SAMPLER=always_on"}, "false 1 2048 512 5s 1m0s", ""},
		"no sampler":     {[]string{"OTEL_TRACES_SAMPLER=jaeger_remote"}, "true 1 2048 512 5s 1m0s", "OTEL_TRACES_SAMPLER: "},
		"not a ratio":    {[]string{"OTEL_TRACES_SAMPLER=traceidratio", "OTEL_TRACES_SAMPLER_ARG=NaN"}, "false 1 2048 512 5s 1m0s", "OTEL_TRACES_SAMPLER_ARG: "},
		"above all":      {[]string{"OTEL_TRACES_SAMPLER=traceidratio", "OTEL_TRACES_SAMPLER_ARG=1.5"}, "false 1 2048 512 5s 1m0s", "OTEL_TRACES_SAMPLER_ARG: "},
		"a small queue":  {[]string{"OTEL_BSP_MAX_QUEUE_SIZE=10", "OTEL_BSP_SCHEDULE_DELAY=20", "OTEL_METRIC_EXPORT_INTERVAL=30"}, "true 1 10 10 20ms 30ms", ""},
		"an endless one": {[]string{"OTEL_BSP_MAX_QUEUE_SIZE=999999999"}, "true 1 2048 512 5s 1m0s", "OTEL_BSP_MAX_QUEUE_SIZE: "},
		"no number":      {[]string{"OTEL_BSP_SCHEDULE_DELAY=5s"}, "true 1 2048 512 5s 1m0s", "OTEL_BSP_SCHEDULE_DELAY: "},
	} {
		got, warnings := telemetry(t, append([]string{"OTEL_EXPORTER_OTLP_ENDPOINT=http://c:4317"}, test.env...)...)
		line := fmt.Sprint(got.ParentBased, got.Ratio, got.QueueSize, got.BatchSize, got.BatchDelay, got.MetricInterval)
		if line = strings.ReplaceAll(line, "  ", " "); line != test.want {
			t.Errorf("%s: %s, want %s", name, line, test.want)
		}
		if text := strings.Join(warnings, "\n"); (test.warned == "") != (text == "") || !strings.HasPrefix(text, test.warned) {
			t.Errorf("%s: warnings %q", name, warnings)
		}
	}
	if got, _ := telemetry(t); got.QueueSize != 0 || got.MetricInterval != 0*time.Second {
		t.Errorf("off: %+v", got)
	}
}

func TestTelemetryNamesTheService(t *testing.T) {
	t.Parallel()
	const attributes = "OTEL_RESOURCE_ATTRIBUTES=service.name=b,service.namespace=team%2Da,broken,k8s.pod=%FF"
	for name, test := range map[string]struct {
		env  []string
		want []OtelAttribute
	}{
		"a wonderwall":        {nil, []OtelAttribute{{"service.name", "wonderwall"}}},
		"the option":          {[]string{"POSTERN_OTEL_SERVICE_NAME=a", attributes}, []OtelAttribute{{"service.name", "a"}, {"service.namespace", "team-a"}}},
		"the variable":        {[]string{"OTEL_SERVICE_NAME=c", attributes}, []OtelAttribute{{"service.name", "c"}, {"service.namespace", "team-a"}}},
		"the attributes only": {[]string{attributes}, []OtelAttribute{{"service.name", "b"}, {"service.namespace", "team-a"}}},
	} {
		got, _ := telemetry(t, append([]string{"OTEL_EXPORTER_OTLP_ENDPOINT=http://c:4317"}, test.env...)...)
		if diff := cmp.Diff(test.want, got.Resource); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

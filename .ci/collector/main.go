// Command collector is a small OpenTelemetry Collector for tests: the Collector's own OTLP receiver, by gRPC and by HTTP, and what it received as
// lines of OTLP/JSON on standard output, spans and metrics as they came.
//
//	collector -grpc 127.0.0.1:4317 -http 127.0.0.1:4318 [-cert FILE -key FILE]
//
// A line "listening" says that it is ready.
package main

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/collector/receiver/otlpreceiver"
)

func main() {
	grpc, http := flag.String("grpc", "", "address for OTLP by gRPC"), flag.String("http", "", "address for OTLP by HTTP")
	cert, key := flag.String("cert", "", "certificate file, for TLS at both"), flag.String("key", "", "key file")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *grpc, *http, *cert, *key); err != nil {
		fmt.Fprintln(os.Stderr, "collector:", err)
		stop()
		os.Exit(1) //nolint:gocritic // stop has run
	}
}

func run(ctx context.Context, grpc, http, cert, key string) error {
	out := &lines{to: bufio.NewWriter(os.Stdout)}
	factory := otlpreceiver.NewFactory()
	config := factory.CreateDefaultConfig()
	if err := confmap.NewFromStringMap(settings(grpc, http, cert, key)).Unmarshal(config); err != nil {
		return fmt.Errorf("read the configuration: %w", err)
	}
	set := receiver.Settings{
		ID: component.NewID(factory.Type()), TelemetrySettings: componenttest.NewNopTelemetrySettings(), BuildInfo: component.NewDefaultBuildInfo(),
	}
	spans, err := consumer.NewTraces(out.traces)
	if err != nil {
		return fmt.Errorf("take spans: %w", err)
	}
	points, err := consumer.NewMetrics(out.metrics)
	if err != nil {
		return fmt.Errorf("take metrics: %w", err)
	}
	traces, err := factory.CreateTraces(ctx, set, config, spans)
	if err != nil {
		return fmt.Errorf("make the receiver: %w", err)
	}
	metrics, err := factory.CreateMetrics(ctx, set, config, points) // the same receiver once more
	if err != nil {
		return fmt.Errorf("make the receiver: %w", err)
	}
	host := componenttest.NewNopHost()
	for _, part := range []component.Component{traces, metrics} {
		if err := part.Start(ctx, host); err != nil {
			return fmt.Errorf("start: %w", err)
		}
	}
	if err := out.write([]byte("listening"), nil); err != nil {
		return err
	}
	<-ctx.Done()
	return traces.Shutdown(context.WithoutCancel(ctx))
}

func settings(grpc, http, cert, key string) map[string]any {
	side := func(address string) map[string]any {
		out := map[string]any{"endpoint": address}
		if cert != "" {
			out["tls"] = map[string]any{"cert_file": cert, "key_file": key}
		}
		return out
	}
	return map[string]any{"protocols": map[string]any{"grpc": side(grpc), "http": side(http)}}
}

// lines writes one line at a time, whole.
type lines struct {
	mu sync.Mutex
	to *bufio.Writer
}

func (l *lines) traces(_ context.Context, got ptrace.Traces) error {
	return l.write((&ptrace.JSONMarshaler{}).MarshalTraces(got))
}

func (l *lines) metrics(_ context.Context, got pmetric.Metrics) error {
	return l.write((&pmetric.JSONMarshaler{}).MarshalMetrics(got))
}

func (l *lines) write(line []byte, err error) error {
	if err != nil {
		return fmt.Errorf("write as JSON: %w", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	_, _ = l.to.Write(append(line, '\n')) // a bufio.Writer keeps its error for Flush
	return l.to.Flush()
}

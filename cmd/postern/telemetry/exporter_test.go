package telemetry

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"postern/config"
	"postern/oidc/trace"
)

// said is a log that several goroutines write.
type said struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buf.Write(p)
}

func (s *said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buf.String()
}

func settings(url string, grpc bool) config.Otel {
	e := config.OtelExport{
		On: true, GRPC: grpc, URL: url, Timeout: 2 * time.Second,
		Headers: []config.OtelHeader{{Name: "api-key", Value: config.NewSecret("hush")}},
	}
	return config.Otel{Enabled: true, Traces: e, Resource: someResource, ParentBased: true, Ratio: 1, QueueSize: 8, BatchSize: 4, BatchDelay: 10 * time.Millisecond}
}

func newExporter(t *testing.T, cfg config.Otel) (*Exporter, *said) {
	t.Helper()
	log := &said{}
	e, err := New(cfg, Deps{Log: slog.New(slog.NewTextHandler(log, nil)), Registry: prometheus.NewRegistry(), Version: "1"})
	if err != nil {
		t.Fatal(err)
	}
	return e, log
}

func (e *Exporter) count(outcome string) float64 {
	var m dto.Metric
	if err := e.outcomes.WithLabelValues("traces", outcome).Write(&m); err != nil {
		panic(err)
	}
	return m.GetCounter().GetValue()
}

func record(name string) *trace.Record {
	return &trace.Record{Trace: [16]byte{1}, ID: [8]byte{1}, Name: name, Kind: trace.Server, Start: time.Unix(1, 0), End: time.Unix(2, 0)}
}

// What a collector is asked by HTTP and by gRPC, plain and compressed.
func TestRequestsAreWhatTheSpecificationSays(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ grpc, gzip bool }{
		"HTTP": {}, "HTTP, compressed": {gzip: true}, "gRPC": {grpc: true}, "gRPC, compressed": {grpc: true, gzip: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			asked := make(chan *tracepb.TracesData, 1)
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				want := map[string]string{"Content-Type": "application/x-protobuf", "Content-Encoding": "", "Api-Key": "hush"}
				if test.gzip {
					want["Content-Encoding"] = "gzip"
				}
				if test.grpc {
					want = map[string]string{"Content-Type": "application/grpc", "Te": "trailers", "Grpc-Timeout": "2000m", "Api-Key": "hush", "Grpc-Encoding": ""}
					if test.gzip {
						want["Grpc-Encoding"] = "gzip"
					}
					if len(body) < frameHead || int(binary.BigEndian.Uint32(body[1:])) != len(body)-frameHead || (body[0] == 1) != test.gzip || r.ProtoMajor != 2 {
						t.Errorf("frame %v by %s", body[:min(5, len(body))], r.Proto)
					}
					body = body[min(frameHead, len(body)):]
				}
				for name, value := range want {
					if got := r.Header.Get(name); got != value {
						t.Errorf("%s: %q, want %q", name, got, value)
					}
				}
				if test.gzip {
					plain, err := gzip.NewReader(bytes.NewReader(body))
					if err != nil {
						t.Error(err)
						return
					}
					body, _ = io.ReadAll(plain)
				}
				got := &tracepb.TracesData{}
				if err := proto.Unmarshal(body, got); err != nil {
					t.Error(err)
				}
				asked <- got
				if test.grpc {
					w.Header().Set("Content-Type", "application/grpc")
					_, _ = w.Write(make([]byte, frameHead))
					w.Header().Set(http.TrailerPrefix+"Grpc-Status", "0")
				}
			}))
			server.Config.Protocols = new(http.Protocols)
			server.Config.Protocols.SetHTTP1(true)
			server.Config.Protocols.SetUnencryptedHTTP2(true)
			server.Start()
			defer server.Close()
			cfg := settings(server.URL, test.grpc)
			cfg.Traces.Gzip = test.gzip
			e, log := newExporter(t, cfg)
			e.Take(record("one"))
			e.Stop()
			e.Run(t.Context())
			got := (<-asked).GetResourceSpans()[0].GetScopeSpans()[0].GetSpans()
			if len(got) != 1 || got[0].GetName() != "one" || e.count("sent") != 1 || log.String() != "" {
				t.Errorf("%v, %v sent, log %q", got, e.count("sent"), log)
			}
		})
	}
}

// A collector is nobody to rely on: each of these is noted once, and nothing that it says is repeated.
func TestHostileCollectors(t *testing.T) {
	t.Parallel()
	const injected = "INJECTED"
	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("a redirect was followed, with api-key %q", r.Header.Get("Api-Key"))
	}))
	t.Cleanup(elsewhere.Close)
	partialSuccess := []byte{0x0a, 0x0c, 0x08, 0x01, 0x12, 0x08, 'I', 'N', 'J', 'E', 'C', 'T', 'E', 'D'}
	for name, test := range map[string]struct {
		grpc    bool
		answer  http.HandlerFunc
		outcome string
		says    string
	}{
		"an endless answer": {false, func(w http.ResponseWriter, _ *http.Request) {
			for range 1 << 10 {
				if _, err := w.Write(bytes.Repeat([]byte(injected), 1<<10)); err != nil {
					return
				}
			}
		}, "failed", "larger than 64 KiB"},
		"endless headers": {false, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X", strings.Repeat(injected, 1<<14))
		}, "failed", "cannot be reached"},
		"a refusal": {false, func(w http.ResponseWriter, _ *http.Request) { http.Error(w, injected, 400) }, "failed", "answered 400"},
		"a redirect": {false, func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere.URL, http.StatusTemporaryRedirect)
		}, "failed", "answered 307"},
		"a part rejected": {false, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(partialSuccess) }, "rejected", "rejected a part"},
		"nonsense":        {false, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, injected) }, "sent", ""},
		"a huge number rejected": {false, func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte{0x0a, 0x09, 0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f})
		}, "rejected", "rejected a part"},
		"no HTTP/2":       {true, nil, "failed", "cannot be reached"},
		"gRPC, no status": {true, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, injected) }, "failed", "does not speak gRPC"},
		"gRPC, refused": {true, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Grpc-Status", "16")
			w.Header().Set("Grpc-Message", injected)
		}, "failed", "gRPC status 16"},
		"gRPC, a part rejected": {true, func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write(append([]byte{0, 0, 0, 0, byte(len(partialSuccess))}, partialSuccess...))
			w.Header().Set(http.TrailerPrefix+"Grpc-Status", "0")
		}, "rejected", "rejected a part"},
		"slow": {false, func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			<-r.Context().Done()
		}, "failed", "no answer in time"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			answer := test.answer
			if answer == nil {
				answer = func(http.ResponseWriter, *http.Request) {}
			}
			server := httptest.NewUnstartedServer(answer)
			server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
			server.Config.Protocols = new(http.Protocols)
			server.Config.Protocols.SetHTTP1(true)
			server.Config.Protocols.SetUnencryptedHTTP2(test.answer != nil)
			server.Start()
			t.Cleanup(server.Close)
			e, log := newExporter(t, settings(server.URL, test.grpc))
			e.Take(record("one"))
			e.Stop()
			e.Run(t.Context())
			if e.count(test.outcome) != 1 || !strings.Contains(log.String(), test.says) || strings.Contains(log.String(), injected) || strings.Contains(log.String(), "hush") {
				t.Errorf("%v %s; log %q", e.count(test.outcome), test.outcome, log)
			}
			if lines := strings.Count(log.String(), "\n"); lines != min(1, len(test.says)) {
				t.Errorf("%d lines", lines)
			}
		})
	}
}

// away is a collector that answers as it is told, without a network.
type away struct {
	calls  atomic.Int64
	answer func(call int64) (*http.Response, error)
}

func (a *away) RoundTrip(r *http.Request) (*http.Response, error) {
	_, _ = io.Copy(io.Discard, r.Body)
	return a.answer(a.calls.Add(1))
}

func (a *away) CloseIdleConnections() {}

func answer(status int, header ...string) *http.Response {
	res := &http.Response{StatusCode: status, Header: http.Header{}, Body: http.NoBody}
	for i := 0; i+1 < len(header); i += 2 {
		res.Header.Set(header[i], header[i+1])
	}
	return res
}

// with runs an exporter against a collector for a while, in the time of a bubble, with a span a second.
func with(t *testing.T, collector *away, lasting time.Duration, check func(e *Exporter, log string)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		cfg := settings("http://collector.invalid", false)
		cfg.QueueSize = 2048
		e, log := newExporter(t, cfg)
		e.spans.transport = collector
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); e.Run(ctx) }()
		for began := time.Now(); time.Since(began) < lasting; time.Sleep(time.Second) {
			e.Take(record("x"))
		}
		check(e, log.String())
		cancel()
		<-done
	})
}

func TestACollectorThatIsDownIsALineAMinute(t *testing.T) {
	t.Parallel()
	down := &away{answer: func(int64) (*http.Response, error) { return nil, errors.New("refused") }}
	with(t, down, 10*time.Minute, func(e *Exporter, log string) {
		if lines := strings.Count(log, "not delivered"); lines < 8 || lines > 10 {
			t.Errorf("%d lines in ten minutes", lines)
		}
		if n := down.calls.Load(); n < 20 || n > 150 {
			t.Errorf("asked %d times in ten minutes", n)
		}
		if e.count("failed") == 0 {
			t.Error("nothing is counted")
		}
	})
}

func TestRetryAfterIsKept(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		after string
		most  int64 // calls in two minutes
	}{"seconds": {"20", 8}, "longer than anybody waits": {"86400", 4}, "nonsense": {"soon", 40}, "in the past": {"Thu, 01 Jan 1970 00:00:00 GMT", 40}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			busy := &away{answer: func(int64) (*http.Response, error) { return answer(429, "Retry-After", test.after), nil }}
			with(t, busy, 2*time.Minute, func(*Exporter, string) {
				if n := busy.calls.Load(); n > test.most || n < 2 {
					t.Errorf("asked %d times", n)
				}
			})
		})
	}
}

func TestNothingIsLostInAShortOutage(t *testing.T) {
	t.Parallel()
	passing := &away{answer: func(call int64) (*http.Response, error) {
		if call <= 3 {
			return answer(503), nil
		}
		return answer(200), nil
	}}
	with(t, passing, time.Minute, func(e *Exporter, _ string) {
		if e.count("failed") != 0 || e.count("sent") < 55 {
			t.Errorf("%v failed, %v sent", e.count("failed"), e.count("sent"))
		}
	})
}

// The queue is bounded, and nobody who ends a span waits for a collector.
func TestNobodyWaitsForACollector(t *testing.T) {
	t.Parallel()
	e, log := newExporter(t, settings("http://127.0.0.1:1", true))
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range 1000 { // nobody sends
			e.Take(record(strconv.Itoa(i)))
		}
	}()
	select {
	case <-done:
	case <-time.After(time.Minute):
		t.Fatal("Take blocks")
	}
	if e.count("dropped") != 992 || len(e.queue) != 8 {
		t.Errorf("%v dropped, %d wait", e.count("dropped"), len(e.queue))
	}
	e.Stop()
	e.Run(t.Context())
	if len(e.queue) != 0 || !strings.Contains(log.String(), "lost=996") {
		t.Errorf("log %q", log)
	}
}

func TestOffIsNothing(t *testing.T) {
	t.Parallel()
	e, err := New(config.Otel{}, Deps{})
	if e != nil || err != nil || e.Tracer() != nil {
		t.Errorf("%v, %v", e, err)
	}
	cfg := settings("https://collector.invalid", true)
	cfg.Traces.CAFile = "/does/not/exist"
	if _, err := New(cfg, Deps{Registry: prometheus.NewRegistry()}); err == nil {
		t.Error("a certificate that is not there is no error")
	}
}

func FuzzPartialSuccess(f *testing.F) {
	f.Add([]byte{0x0a, 0x02, 0x08, 0x01})
	f.Fuzz(func(t *testing.T, answer []byte) {
		if n := partial(answer); n < 0 {
			t.Error(n)
		}
	})
}

package e2e

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// OTelCollector is an OpenTelemetry Collector that keeps what it received.
type OTelCollector struct {
	GRPC, HTTP string // host:port

	*child
	out, errs *capture
	launch    func()
}

// Collector runs the collector that .ci/collector builds. With a certificate and its key it speaks TLS.
func Collector(t testing.TB, cert, key string) *OTelCollector {
	t.Helper()
	build := filepath.Join(moduleRoot(t), ".ci", "collector", "build")
	where, err := exec.CommandContext(t.Context(), "bash", build, "--where").Output()
	if err != nil {
		t.Fatalf("ask %s for its directory: %v", build, err)
	}
	program := filepath.Join(strings.TrimSpace(string(where)), "collector")
	if _, err := os.Stat(program); err != nil {
		missing(t, "the OpenTelemetry Collector", "bash .ci/collector/build")
	}
	c := &OTelCollector{GRPC: "127.0.0.1:" + FreePort(t), HTTP: "127.0.0.1:" + FreePort(t), out: &capture{}, errs: &capture{}}
	args := []string{"-grpc", c.GRPC, "-http", c.HTTP}
	if cert != "" {
		args = append(args, "-cert", cert, "-key", key)
	}
	dir := t.TempDir()
	c.launch = func() { c.child = spawn(t, c.out, c.errs, dir, nil, program, args...) }
	c.Begin(t)
	return c
}

// Begin starts it, or once more after its end, and returns when it listens.
func (c *OTelCollector) Begin(t testing.TB) {
	t.Helper()
	before := strings.Count(c.out.String(), "listening\n")
	c.launch()
	Eventually(t, "the collector listens", func() error {
		if strings.Count(c.out.String(), "listening\n") == before {
			return fmt.Errorf("it says %q", c.errs.String())
		}
		return nil
	})
}

// Kill ends it at once, in the middle of a line too.
func (c *OTelCollector) Kill() {
	c.signal(os.Kill)
	<-c.exited
	c.out.cut()
}

// Received is everything that it received, as OTLP/JSON.
func (c *OTelCollector) Received() string { return c.out.String() }

// CatchUp returns when [OTelCollector.Received] has all that was received before: a span of our own, which comes after it, is there. It is for
// collectors without TLS.
func (c *OTelCollector) CatchUp(t testing.TB) {
	t.Helper()
	mark := rand.Text()
	r := NewClient(t).Send(http.MethodPost, "http://"+c.HTTP+"/v1/traces", `{"resourceSpans":[{"scopeSpans":[{"spans":[{"name":"`+mark+
		`","traceId":"0123456789abcdef0123456789abcdef","spanId":"0123456789abcdef"}]}]}]}`, "Content-Type", "application/json")
	if r.StatusCode != http.StatusOK {
		t.Fatalf("the collector answers %d: %s", r.StatusCode, r.Body)
	}
	Eventually(t, "the collector's output", func() error {
		if !strings.Contains(c.Received(), mark) {
			return fmt.Errorf("it ends before what was sent last")
		}
		return nil
	})
}

// otlpValue is an AnyValue in JSON.
type otlpValue struct {
	StringValue string `json:"stringValue"`
	IntValue    string `json:"intValue"`
	BoolValue   bool   `json:"boolValue"`
}

type otlpAttributes []struct {
	Key   string    `json:"key"`
	Value otlpValue `json:"value"`
}

// get is a text, a number in decimal, or "true"; "" for what is not there.
func (a otlpAttributes) get(key string) string {
	for _, one := range a {
		switch {
		case one.Key != key:
		case one.Value.BoolValue:
			return "true"
		default:
			return one.Value.StringValue + one.Value.IntValue
		}
	}
	return ""
}

// otlpSpan is a span in JSON.
type otlpSpan struct {
	TraceID    string         `json:"traceId"`
	SpanID     string         `json:"spanId"`
	Parent     string         `json:"parentSpanId"`
	Name       string         `json:"name"`
	Kind       int            `json:"kind"`
	Start      string         `json:"startTimeUnixNano"`
	End        string         `json:"endTimeUnixNano"`
	Attributes otlpAttributes `json:"attributes"`
	Status     struct {
		Code int `json:"code"`
	} `json:"status"`
	service string
}

type otlpPoint struct {
	Attributes otlpAttributes `json:"attributes"`
	Value      float64        `json:"asDouble"`
	Count      string         `json:"count"`
}

type otlpPoints struct {
	Points    []otlpPoint `json:"dataPoints"`
	Monotonic bool        `json:"isMonotonic"`
}

// otlpMetric is a metric in JSON.
type otlpMetric struct {
	Name                  string `json:"name"`
	Sum, Gauge, Histogram *otlpPoints
}

type otlpLine struct {
	ResourceSpans []struct {
		Resource struct {
			Attributes otlpAttributes `json:"attributes"`
		} `json:"resource"`
		ScopeSpans []struct {
			Spans []otlpSpan `json:"spans"`
		} `json:"scopeSpans"`
	} `json:"resourceSpans"`
	ResourceMetrics []struct {
		ScopeMetrics []struct {
			Metrics []otlpMetric `json:"metrics"`
		} `json:"scopeMetrics"`
	} `json:"resourceMetrics"`
}

// read is the spans that were received, and the metrics of the last push by name.
func (c *OTelCollector) read(t testing.TB) (spans []otlpSpan, metrics map[string]otlpMetric) {
	t.Helper()
	for line := range strings.Lines(c.Received()) {
		if !strings.HasPrefix(line, "{") || !strings.HasSuffix(line, "\n") {
			continue
		}
		var got otlpLine
		if err := json.Unmarshal([]byte(line), &got); err != nil {
			t.Fatalf("a line of the collector: %v", err)
		}
		for _, of := range got.ResourceSpans {
			for _, scope := range of.ScopeSpans {
				for _, span := range scope.Spans {
					span.service = of.Resource.Attributes.get("service.name")
					spans = append(spans, span)
				}
			}
		}
		for _, of := range got.ResourceMetrics {
			metrics = map[string]otlpMetric{}
			for _, scope := range of.ScopeMetrics {
				for _, m := range scope.Metrics {
					metrics[m.Name] = m
				}
			}
		}
	}
	return spans, metrics
}

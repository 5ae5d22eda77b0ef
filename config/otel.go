package config

import (
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Otel is what is told to an OpenTelemetry collector. Beyond the two options everything comes from the OTEL_* variables, as their specification
// says; like there, one that cannot be read is reported and not used.
type Otel struct {
	Enabled     bool
	ServiceName string

	Traces, Metrics OtelExport
	Resource        []OtelAttribute // of OTEL_RESOURCE_ATTRIBUTES, with service.name first

	ParentBased bool    // a caller that is believed decides whether a request is recorded
	Ratio       float64 // of the requests that nobody has decided about

	QueueSize, BatchSize int           // of spans that wait, and of those sent at once
	BatchDelay           time.Duration // the longest that a span waits for others
	MetricInterval       time.Duration
}

// OtelExport is how one signal is sent.
type OtelExport struct {
	On                        bool
	GRPC                      bool   // else HTTP with protobuf
	URL                       string // scheme, host and path, complete
	Headers                   []OtelHeader
	Timeout                   time.Duration
	Gzip                      bool
	CAFile, CertFile, KeyFile string // PEM; "": the system's, and none
}

// OtelAttribute is one member of the resource.
type OtelAttribute struct{ Name, Value string }

// OtelHeader goes with every call to the collector.
type OtelHeader struct {
	Name  string
	Value Secret
}

const otlpPrefix = "OTEL_EXPORTER_OTLP_"

// readTelemetry reads the OTEL_* variables if they are to be followed.
func (l *loader) readTelemetry() {
	o := &l.c.Otel
	if off, _ := strconv.ParseBool(l.env["OTEL_SDK_DISABLED"]); off || !o.Enabled {
		return
	}
	o.Resource = l.otelResource(o.ServiceName)
	o.ParentBased, o.Ratio = l.otelSampler()
	o.QueueSize = l.otelCount("OTEL_BSP_MAX_QUEUE_SIZE", 2048, 1<<16)
	o.BatchSize = min(l.otelCount("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", 512, 1<<13), o.QueueSize)
	o.BatchDelay = l.otelTime("OTEL_BSP_SCHEDULE_DELAY", 5*time.Second)
	o.MetricInterval = l.otelTime("OTEL_METRIC_EXPORT_INTERVAL", time.Minute)
	o.Traces = l.otelExport("TRACES", "v1/traces", "opentelemetry.proto.collector.trace.v1.TraceService/Export")
	o.Metrics = l.otelExport("METRICS", "v1/metrics", "opentelemetry.proto.collector.metrics.v1.MetricsService/Export")
	o.Traces.On = o.Traces.On && l.otelExporter("OTEL_TRACES_EXPORTER", true)
	// Texas pushes its metrics, wonderwall's are fetched: pushing those too would be the same numbers twice.
	pushes := l.c.TokenAPIEnabled() || l.env[otlpPrefix+"METRICS_ENDPOINT"] != ""
	o.Metrics.On = o.Metrics.On && l.otelExporter("OTEL_METRICS_EXPORTER", pushes)
	if given := l.env["OTEL_PROPAGATORS"]; given != "" && !strings.Contains(given, "tracecontext") {
		l.warn("OTEL_PROPAGATORS", "only tracecontext is spoken, and it is spoken all the same")
	}
}

// otelExport reads how a signal is sent: by variables of its own, else by those of both.
func (l *loader) otelExport(signal, path, method string) OtelExport {
	get := func(suffix string) (name, value string) {
		if name = otlpPrefix + signal + "_" + suffix; l.env[name] != "" {
			return name, l.env[name]
		}
		name = otlpPrefix + suffix
		return name, l.env[name]
	}
	e := OtelExport{On: true, GRPC: true, Timeout: 10 * time.Second}
	switch name, protocol := get("PROTOCOL"); protocol {
	case "", "grpc":
	case "http/protobuf":
		e.GRPC = false
	default:
		l.warn(name, "must be grpc or http/protobuf; grpc is used")
	}
	switch name, compression := get("COMPRESSION"); compression {
	case "", "none":
	case "gzip":
		e.Gzip = true
	default:
		l.warn(name, "must be gzip or none; nothing is compressed")
	}
	if name, text := get("TIMEOUT"); text != "" {
		e.Timeout = l.otelTime(name, e.Timeout)
	}
	_, e.CAFile = get("CERTIFICATE")
	_, e.CertFile = get("CLIENT_CERTIFICATE")
	_, e.KeyFile = get("CLIENT_KEY")
	name, text := get("HEADERS")
	e.Headers = l.otelHeaders(name, text)
	name, endpoint := get("ENDPOINT")
	_, insecure := get("INSECURE")
	whole := name == otlpPrefix+signal+"_ENDPOINT" && !e.GRPC // a signal's own HTTP endpoint is the whole address
	if e.GRPC {
		path = method
	}
	var problem string
	if e.URL, problem = otelURL(endpoint, insecure, path, e.GRPC, whole); problem != "" {
		l.warn(name, "%s; nothing is exported there", problem)
		e.On = false
	}
	return e
}

// otelURL completes an endpoint. By gRPC it may be a mere host and port, which is https unless it is said to be insecure.
func otelURL(endpoint, insecure, path string, grpc, whole bool) (address, problem string) {
	if endpoint == "" {
		endpoint = "http://localhost:4318"
		if grpc {
			endpoint = "http://localhost:4317"
		}
		whole = false
	}
	if grpc && !strings.Contains(endpoint, "://") {
		scheme := "https://"
		if plain, _ := strconv.ParseBool(insecure); plain {
			scheme = "http://"
		}
		endpoint = scheme + endpoint
	}
	u, err := url.Parse(endpoint)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return "", "must be a URL of http or https"
	case u.User != nil:
		return "", "must have no user and password (" + otlpPrefix + "HEADERS carries credentials)"
	case u.Fragment != "":
		return "", "must have no fragment"
	case grpc:
		u.Path, u.RawPath, u.RawQuery = "/"+path, "", ""
	case !whole:
		u = u.JoinPath(path)
	case u.Path == "":
		u.Path = "/"
	}
	return u.String(), ""
}

// otelPairs reads "a=1,b=2" with percent-escapes, as W3C Baggage has it. Those that cannot be read are left out and counted.
func otelPairs(text string) (pairs []OtelAttribute, bad int) {
	for pair := range strings.SplitSeq(text, ",") {
		if strings.TrimSpace(pair) == "" {
			continue
		}
		name, value, ok := strings.Cut(pair, "=")
		name, value = strings.TrimSpace(name), strings.TrimSpace(value)
		plain, err := url.PathUnescape(value)
		if !ok || name == "" || err != nil || !utf8.ValidString(name+plain) {
			bad++
			continue
		}
		pairs = append(pairs, OtelAttribute{name, plain})
	}
	return pairs, bad
}

// otelHeaders says nothing of what is wrong with them but where: they are secrets.
func (l *loader) otelHeaders(variable, text string) []OtelHeader {
	pairs, bad := otelPairs(text)
	var out []OtelHeader
	for _, p := range pairs {
		if !isToken(p.Name) || strings.ContainsFunc(p.Value, func(r rune) bool { return r < 0x20 && r != '\t' || r == 0x7f }) {
			bad++
			continue
		}
		out = append(out, OtelHeader{p.Name, NewSecret(p.Value)})
	}
	if bad > 0 {
		l.warn(variable, "%d of its entries are not name=value and are left out", bad)
	}
	return out
}

// isToken is RFC 9110 §5.6.2.
func isToken(name string) bool {
	for i := range len(name) {
		c := name[i]
		if c <= ' ' || c >= 0x7f || strings.IndexByte(`"(),/:;<=>?@[\]{}`, c) >= 0 {
			return false
		}
	}
	return name != ""
}

func (l *loader) otelResource(service string) []OtelAttribute {
	out := []OtelAttribute{{"service.name", service}}
	pairs, bad := otelPairs(l.env["OTEL_RESOURCE_ATTRIBUTES"])
	if bad > 0 {
		l.warn("OTEL_RESOURCE_ATTRIBUTES", "%d of its entries are not name=value and are left out", bad)
	}
	for _, p := range pairs {
		switch {
		case p.Name != "service.name":
			out = append(out, p)
		case l.option("otel.service-name").origin.rank == byDefault: // OTEL_SERVICE_NAME and the option win over it
			out[0].Value = p.Value
		}
	}
	return out
}

// otelSampler is parentbased_always_on unless something else is said.
func (l *loader) otelSampler() (parentBased bool, ratio float64) {
	name := l.env["OTEL_TRACES_SAMPLER"]
	kind, parentBased := strings.CutPrefix(name, "parentbased_")
	switch kind {
	case "":
		return true, 1
	case "always_on":
		return parentBased, 1
	case "always_off":
		return parentBased, 0
	case "traceidratio":
		text := l.env["OTEL_TRACES_SAMPLER_ARG"]
		if text == "" {
			return parentBased, 1
		}
		ratio, err := strconv.ParseFloat(text, 64)
		if err != nil || !(ratio >= 0 && ratio <= 1) { // written so that NaN is refused too
			l.warn("OTEL_TRACES_SAMPLER_ARG", "must be a number from 0 to 1; 1 is used")
			return parentBased, 1
		}
		return parentBased, ratio
	}
	l.warn("OTEL_TRACES_SAMPLER", "is none of the specification's samplers; parentbased_always_on is used")
	return true, 1
}

// otelExporter says whether a signal is sent: as OTLP or not at all.
func (l *loader) otelExporter(variable string, unsaid bool) bool {
	switch given := strings.TrimSpace(l.env[variable]); given {
	case "":
		return unsaid
	case "otlp":
		return true
	case "none":
		return false
	default:
		l.warn(variable, "must be otlp or none; nothing is exported")
		return false
	}
}

func (l *loader) otelTime(variable string, fallback time.Duration) time.Duration {
	return time.Duration(l.otelCount(variable, int(fallback.Milliseconds()), 1<<31-1)) * time.Millisecond
}

func (l *loader) otelCount(variable string, fallback, most int) int {
	text := strings.TrimSpace(l.env[variable])
	if text == "" {
		return fallback
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > most {
		l.warn(variable, "must be a whole number from 1 to %d; %d is used", most, fallback)
		return fallback
	}
	return n
}

package telemetry

import (
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	metricspb "go.opentelemetry.io/proto/otlp/metrics/v1"
	resourcepb "go.opentelemetry.io/proto/otlp/resource/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"postern/config"
	"postern/oidc/trace"
)

var someResource = []config.OtelAttribute{{Name: "service.name", Value: "my-app"}, {Name: "service.namespace", Value: "team"}}

func text(key, value string) *commonpb.KeyValue {
	return &commonpb.KeyValue{Key: key, Value: &commonpb.AnyValue{Value: &commonpb.AnyValue_StringValue{StringValue: value}}}
}

func resource() *resourcepb.Resource {
	return &resourcepb.Resource{Attributes: []*commonpb.KeyValue{text("service.name", "my-app"), text("service.namespace", "team")}}
}

// same compares messages of the official types, which must have understood everything.
func same(t *testing.T, want, got proto.Message, encoded []byte) {
	t.Helper()
	if err := proto.Unmarshal(encoded, got); err != nil {
		t.Fatal(err)
	}
	show := func(m proto.Message) string { return protojson.Format(m) }
	if !proto.Equal(want, got) {
		t.Error(cmp.Diff(show(want), show(got)))
	}
}

func TestSpansAreWhatTheOfficialTypesRead(t *testing.T) {
	t.Parallel()
	start := time.Unix(1700000000, 5)
	spans := []*trace.Record{
		{
			Trace: [16]byte{1, 2}, ID: [8]byte{3}, Parent: [8]byte{4}, Remote: true, Name: "GET app", Kind: trace.Server, Start: start, End: start.Add(time.Second),
			Attributes: []trace.Attribute{
				{Key: "a", Text: "b"}, {Key: "n", Type: trace.Number, Number: -7}, {Key: "yes", Type: trace.Bool, Number: 1}, {Key: "no", Type: trace.Bool},
			},
			Failed: true,
		},
		{Trace: [16]byte{1, 2}, ID: [8]byte{5}, Name: "root", Kind: trace.Internal, Start: start, End: start},
	}
	number := func(n int64) *commonpb.AnyValue {
		return &commonpb.AnyValue{Value: &commonpb.AnyValue_IntValue{IntValue: n}}
	}
	yes := func(b bool) *commonpb.AnyValue {
		return &commonpb.AnyValue{Value: &commonpb.AnyValue_BoolValue{BoolValue: b}}
	}
	at := uint64(start.UnixNano())
	want := &tracepb.TracesData{ResourceSpans: []*tracepb.ResourceSpans{{
		Resource: resource(),
		ScopeSpans: []*tracepb.ScopeSpans{{
			Scope: &commonpb.InstrumentationScope{Name: "postern", Version: "1.2"},
			Spans: []*tracepb.Span{
				{
					TraceId: spans[0].Trace[:], SpanId: spans[0].ID[:], ParentSpanId: spans[0].Parent[:], Name: "GET app", Kind: tracepb.Span_SPAN_KIND_SERVER,
					StartTimeUnixNano: at, EndTimeUnixNano: at + 1e9, Flags: 0x301, Status: &tracepb.Status{Code: tracepb.Status_STATUS_CODE_ERROR},
					Attributes: []*commonpb.KeyValue{text("a", "b"), {Key: "n", Value: number(-7)}, {Key: "yes", Value: yes(true)}, {Key: "no", Value: yes(false)}},
				},
				{
					TraceId: spans[1].Trace[:], SpanId: spans[1].ID[:], Name: "root", Kind: tracepb.Span_SPAN_KIND_INTERNAL,
					StartTimeUnixNano: at, EndTimeUnixNano: at, Flags: 0x101,
				},
			},
		}},
	}}}
	same(t, want, &tracepb.TracesData{}, encodeSpans(someResource, "1.2", spans))
}

func TestMetricsAreWhatTheOfficialTypesRead(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	counter := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "a_total", Help: "A."}, []string{"route"})
	gauge := prometheus.NewGauge(prometheus.GaugeOpts{Name: "b"})
	histogram := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "c_seconds", Buckets: []float64{1, 2, math.Inf(1)}})
	summary := prometheus.NewSummary(prometheus.SummaryOpts{Name: "d", Objectives: map[float64]float64{.5: .1}})
	untyped := prometheus.NewUntypedFunc(prometheus.UntypedOpts{Name: "e"}, func() float64 { return -1 })
	registry.MustRegister(counter, gauge, histogram, summary, untyped)
	counter.WithLabelValues("app").Add(3)
	gauge.Set(-2.5)
	for _, v := range []float64{.5, 1.5, 1.5, 7} {
		histogram.Observe(v)
	}
	summary.Observe(4)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	began := time.Unix(1700000000, 0)
	start, at := uint64(began.UnixNano()), uint64(began.Add(time.Minute).UnixNano())
	label := text("service_namespace", "team")
	point := func(value float64, attributes ...*commonpb.KeyValue) []*metricspb.NumberDataPoint {
		return []*metricspb.NumberDataPoint{{
			StartTimeUnixNano: start, TimeUnixNano: at, Value: &metricspb.NumberDataPoint_AsDouble{AsDouble: value}, Attributes: append(attributes, label),
		}}
	}
	sum := 10.5
	const cumulative = metricspb.AggregationTemporality_AGGREGATION_TEMPORALITY_CUMULATIVE
	want := &metricspb.MetricsData{ResourceMetrics: []*metricspb.ResourceMetrics{{
		Resource: resource(),
		ScopeMetrics: []*metricspb.ScopeMetrics{{
			Scope: &commonpb.InstrumentationScope{Name: "postern", Version: "1.2"},
			Metrics: []*metricspb.Metric{
				{Name: "a_total", Description: "A.", Data: &metricspb.Metric_Sum{Sum: &metricspb.Sum{
					AggregationTemporality: cumulative, IsMonotonic: true, DataPoints: point(3, text("route", "app")),
				}}},
				{Name: "b", Data: &metricspb.Metric_Gauge{Gauge: &metricspb.Gauge{DataPoints: point(-2.5)}}},
				{Name: "c_seconds", Data: &metricspb.Metric_Histogram{Histogram: &metricspb.Histogram{
					AggregationTemporality: cumulative, DataPoints: []*metricspb.HistogramDataPoint{{
						StartTimeUnixNano: start, TimeUnixNano: at, Count: 4, Sum: &sum, BucketCounts: []uint64{1, 2, 1}, ExplicitBounds: []float64{1, 2},
						Attributes: []*commonpb.KeyValue{label},
					}},
				}}},
				{Name: "d", Data: &metricspb.Metric_Summary{Summary: &metricspb.Summary{DataPoints: []*metricspb.SummaryDataPoint{{
					StartTimeUnixNano: start, TimeUnixNano: at, Count: 1, Sum: 4, Attributes: []*commonpb.KeyValue{label},
					QuantileValues: []*metricspb.SummaryDataPoint_ValueAtQuantile{{Quantile: .5, Value: 4}},
				}}}}},
				{Name: "e", Data: &metricspb.Metric_Gauge{Gauge: &metricspb.Gauge{DataPoints: point(-1)}}},
			},
		}},
	}}}
	same(t, want, &metricspb.MetricsData{}, encodeMetrics(someResource, "1.2", began, began.Add(time.Minute), families))
}

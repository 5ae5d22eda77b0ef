package telemetry

import (
	"math"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/encoding/protowire"

	"postern/config"
)

const cumulative = 2 // AggregationTemporality

// points is what the points of one push have in common.
type points struct {
	began, now time.Time
	labels     []config.OtelAttribute // of the resource, as Texas has them on every metric
}

// encodeMetrics makes an ExportMetricsServiceRequest of what a registry has gathered.
func encodeMetrics(resource []config.OtelAttribute, version string, began, now time.Time, families []*dto.MetricFamily) []byte {
	p := points{began: began, now: now}
	for _, a := range resource {
		if a.Name != "service.name" { // the resource has it, and Texas adds those of OTEL_RESOURCE_ATTRIBUTES
			p.labels = append(p.labels, config.OtelAttribute{Name: strings.ReplaceAll(a.Name, ".", "_"), Value: a.Value})
		}
	}
	m := make(message, 0, 16<<10)
	m.inside(1, func(m *message) { // ResourceMetrics
		m.resource(1, resource)
		m.inside(2, func(m *message) { // ScopeMetrics
			m.scope(1, version)
			for _, f := range families {
				m.inside(2, func(m *message) { p.family(m, f) })
			}
		})
	})
	return m
}

// family is a Metric.
func (p *points) family(m *message, f *dto.MetricFamily) {
	m.text(1, f.GetName())
	m.text(2, f.GetHelp())
	kind := f.GetType()
	field, write := protowire.Number(5), p.number // Gauge
	switch kind {
	case dto.MetricType_COUNTER:
		field = 7 // Sum
	case dto.MetricType_HISTOGRAM, dto.MetricType_GAUGE_HISTOGRAM:
		field, write = 9, p.histogram
	case dto.MetricType_SUMMARY:
		field, write = 11, p.summary
	case dto.MetricType_GAUGE, dto.MetricType_UNTYPED:
	}
	m.inside(field, func(m *message) {
		for _, one := range f.GetMetric() {
			m.inside(1, func(m *message) { write(m, one) })
		}
		if field == 7 || field == 9 {
			m.varint(2, cumulative)
		}
		if field == 7 {
			m.varint(3, 1) // it only grows
		}
	})
}

// times are the first fields of every point.
func (p *points) times(m *message) {
	m.time(2, p.began)
	m.time(3, p.now)
}

func (p *points) attributes(m *message, field protowire.Number, one *dto.Metric) {
	for _, l := range one.GetLabel() { // Prometheus has seen to it that they are UTF-8
		m.attribute(field, l.GetName(), l.GetValue())
	}
	for _, l := range p.labels {
		m.attribute(field, l.Name, l.Value)
	}
}

// number is a NumberDataPoint.
func (p *points) number(m *message, one *dto.Metric) {
	p.times(m)
	value := one.GetUntyped().GetValue()
	switch {
	case one.Counter != nil:
		value = one.GetCounter().GetValue()
	case one.Gauge != nil:
		value = one.GetGauge().GetValue()
	}
	m.double(4, value)
	p.attributes(m, 7, one)
}

// histogram is a HistogramDataPoint. Its counts are those of each bucket, where Prometheus' contain those below.
func (p *points) histogram(m *message, one *dto.Metric) {
	h := one.GetHistogram()
	p.times(m)
	m.fixed64(4, h.GetSampleCount())
	m.double(5, h.GetSampleSum())
	var counts, bounds []byte
	below := uint64(0)
	for _, b := range h.GetBucket() {
		if math.IsInf(b.GetUpperBound(), 1) {
			continue
		}
		counts = protowire.AppendFixed64(counts, b.GetCumulativeCount()-below)
		bounds = protowire.AppendFixed64(bounds, math.Float64bits(b.GetUpperBound()))
		below = b.GetCumulativeCount()
	}
	counts = protowire.AppendFixed64(counts, h.GetSampleCount()-below)
	m.bytes(6, counts)
	m.bytes(7, bounds)
	p.attributes(m, 9, one)
}

// summary is a SummaryDataPoint.
func (p *points) summary(m *message, one *dto.Metric) {
	s := one.GetSummary()
	p.times(m)
	m.fixed64(4, s.GetSampleCount())
	m.double(5, s.GetSampleSum())
	for _, q := range s.GetQuantile() {
		m.inside(6, func(m *message) {
			m.double(1, q.GetQuantile())
			m.double(2, q.GetValue())
		})
	}
	p.attributes(m, 7, one)
}

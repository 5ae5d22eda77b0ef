package telemetry

import (
	"math"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"postern/config"
)

// message is a protobuf message that is being written. The numbers of fields are those of opentelemetry-proto 1.
type message []byte

func (m *message) text(field protowire.Number, text string) {
	if text != "" {
		*m = protowire.AppendString(protowire.AppendTag(*m, field, protowire.BytesType), text)
	}
}

func (m *message) bytes(field protowire.Number, b []byte) {
	*m = protowire.AppendBytes(protowire.AppendTag(*m, field, protowire.BytesType), b)
}

func (m *message) varint(field protowire.Number, n uint64) {
	*m = protowire.AppendVarint(protowire.AppendTag(*m, field, protowire.VarintType), n)
}

func (m *message) fixed64(field protowire.Number, n uint64) {
	*m = protowire.AppendFixed64(protowire.AppendTag(*m, field, protowire.Fixed64Type), n)
}

func (m *message) fixed32(field protowire.Number, n uint32) {
	*m = protowire.AppendFixed32(protowire.AppendTag(*m, field, protowire.Fixed32Type), n)
}

func (m *message) double(field protowire.Number, n float64) { m.fixed64(field, math.Float64bits(n)) }

func (m *message) time(field protowire.Number, t time.Time) { m.fixed64(field, uint64(t.UnixNano())) }

// inside writes a message into a field. Its length comes before it and is known after it, so the few bytes of a length are made room for at the end.
func (m *message) inside(field protowire.Number, write func(*message)) {
	*m = protowire.AppendTag(*m, field, protowire.BytesType)
	begin := len(*m)
	write(m)
	size := len(*m) - begin
	room := protowire.SizeVarint(uint64(size))
	*m = append(*m, make([]byte, room)...)
	copy((*m)[begin+room:], (*m)[begin:begin+size])
	protowire.AppendVarint((*m)[:begin], uint64(size))
}

// attribute is a KeyValue whose value is a text.
func (m *message) attribute(field protowire.Number, key, text string) {
	m.inside(field, func(m *message) {
		m.text(1, key)
		m.inside(2, func(m *message) { *m = protowire.AppendString(protowire.AppendTag(*m, 1, protowire.BytesType), text) })
	})
}

// resource is a Resource.
func (m *message) resource(field protowire.Number, of []config.OtelAttribute) {
	m.inside(field, func(m *message) {
		for _, a := range of {
			m.attribute(1, a.Name, a.Value)
		}
	})
}

// scope is an InstrumentationScope.
func (m *message) scope(field protowire.Number, version string) {
	m.inside(field, func(m *message) {
		m.text(1, "postern")
		m.text(2, version)
	})
}

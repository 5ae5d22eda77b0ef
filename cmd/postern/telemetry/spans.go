package telemetry

import (
	"google.golang.org/protobuf/encoding/protowire"

	"postern/config"
	"postern/oidc/trace"
)

const (
	flagSampled     = 0x001
	flagKnowsRemote = 0x100
	flagRemote      = 0x200
	statusError     = 2
)

// encodeSpans makes an ExportTraceServiceRequest.
func encodeSpans(resource []config.OtelAttribute, version string, spans []*trace.Record) []byte {
	m := make(message, 0, 512+256*len(spans))
	m.inside(1, func(m *message) { // ResourceSpans
		m.resource(1, resource)
		m.inside(2, func(m *message) { // ScopeSpans
			m.scope(1, version)
			for _, s := range spans {
				m.inside(2, func(m *message) { m.span(s) })
			}
		})
	})
	return m
}

func (m *message) span(s *trace.Record) {
	m.bytes(1, s.Trace[:])
	m.bytes(2, s.ID[:])
	if s.Parent != [8]byte{} {
		m.bytes(4, s.Parent[:])
	}
	m.text(5, s.Name)
	m.varint(6, uint64(s.Kind))
	m.time(7, s.Start)
	m.time(8, s.End)
	for _, a := range s.Attributes {
		m.inside(9, func(m *message) {
			m.text(1, a.Key)
			m.inside(2, func(m *message) { m.value(a) })
		})
	}
	if s.Failed {
		m.inside(15, func(m *message) { m.varint(3, statusError) })
	}
	flags := uint32(flagSampled | flagKnowsRemote)
	if s.Remote {
		flags |= flagRemote
	}
	m.fixed32(16, flags)
}

// value is an AnyValue.
func (m *message) value(a trace.Attribute) {
	switch a.Type {
	case trace.Bool:
		m.varint(2, uint64(a.Number))
	case trace.Number:
		m.varint(3, uint64(a.Number))
	default:
		*m = protowire.AppendString(protowire.AppendTag(*m, 1, protowire.BytesType), a.Text)
	}
}

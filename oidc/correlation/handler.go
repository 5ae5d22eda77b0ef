package correlation

import (
	"context"
	"log/slog"
)

// NewHandler writes request_id and trace_id before what a line itself says, if its context is a request's.
func NewHandler(next slog.Handler) slog.Handler { return handler{next} }

type handler struct{ slog.Handler }

// Handle implements [slog.Handler].
func (h handler) Handle(ctx context.Context, line slog.Record) error {
	c := of(ctx)
	if c == nil {
		return h.Handler.Handle(ctx, line)
	}
	tied := slog.NewRecord(line.Time, line.Level, line.Message, line.PC)
	tied.AddAttrs(slog.String("request_id", c.RequestID()), slog.String("trace_id", c.TraceID()))
	line.Attrs(func(attr slog.Attr) bool {
		tied.AddAttrs(attr)
		return true
	})
	return h.Handler.Handle(ctx, tied)
}

// WithAttrs implements [slog.Handler].
func (h handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return handler{h.Handler.WithAttrs(attrs)}
}

// WithGroup implements [slog.Handler].
func (h handler) WithGroup(name string) slog.Handler { return handler{h.Handler.WithGroup(name)} }

package trace

import (
	"context"
	"net/http"

	"postern/oidc/correlation"
)

// Scope is the context of one request with the span that what happens next belongs to. It is meant to be a member of what a front door keeps
// of a request, so that it costs no allocation.
type Scope struct {
	context.Context // that of the request, with its ids

	parent string // traceparent of the request, or of what was made for it; "": no Tracer has looked
	made   bool   // parent is ours, for what is called
	state  bool   // the tracestate of the request belongs to the trace
	span   *Span
}

type scopeKey struct{}

// Value implements [context.Context].
func (s *Scope) Value(key any) any {
	if key == (scopeKey{}) {
		return s
	}
	return s.Context.Value(key)
}

// ScopeOf is the innermost scope of a context, or nil.
func ScopeOf(ctx context.Context) *Scope {
	s, _ := ctx.Value(scopeKey{}).(*Scope)
	return s
}

// Carry makes the log lines and spans of what goes on under ctx those of another request: work that must not end with the request that happened
// to want it first.
func Carry(ctx, from context.Context) context.Context {
	ctx = correlation.Detach(ctx, from)
	s := ScopeOf(from)
	if s == nil || s.span == nil {
		return ctx
	}
	carried := *s
	carried.Context = ctx
	return &carried
}

// Span is that of the request, nil if it is not recorded.
func (s *Scope) Span() *Span { return s.span }

// Inject writes the trace context of the scope into the header of a call. A request that is not recorded has nothing to add to what came with it.
func (s *Scope) Inject(header http.Header) {
	if !s.made {
		return
	}
	parent := s.parent
	if s.span != nil {
		parent = parentText(s.span.rec.Trace, s.span.rec.ID, true)
	}
	header["Traceparent"] = []string{parent}
	if !s.state {
		delete(header, "Tracestate")
	}
}

package correlation

import (
	"context"
	"net/http"
	"sync"
)

// Context is the context of a request that knows the request's ids. Make it part of what a request has anyway: then it costs little, since the trace
// id is found, or made, when the first line is written. It must not be copied after [Context.Begin].
type Context struct {
	context.Context

	header  http.Header
	request string

	mu    sync.Mutex
	trace string
}

// Begin ties it to the request with this header, which must not change any more.
func (c *Context) Begin(parent context.Context, ids *RequestIDs, header http.Header) {
	c.Context, c.header, c.request = parent, header, ids.Of(header)
}

type contextKey struct{}

// Value implements [context.Context].
func (c *Context) Value(key any) any {
	if key == (contextKey{}) {
		return c
	}
	return c.Context.Value(key)
}

// RequestID is that of the caller, or one of our own.
func (c *Context) RequestID() string { return c.request }

// TraceID is that of the caller's trace context, or one of our own.
func (c *Context) TraceID() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.trace == "" {
		if c.trace = TraceID(c.header); c.trace == "" {
			c.trace = newTraceID()
		}
	}
	return c.trace
}

// Settle finds the trace id now, and lets go of the header, for what goes on long after the request.
func (c *Context) Settle() {
	c.TraceID()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.header = nil
}

// of finds the ids that go with a context; nil if it is not about a request.
func of(ctx context.Context) *Context {
	c, _ := ctx.Value(contextKey{}).(*Context)
	return c
}

// Detach gives work that outlasts its request the request's ids, and nothing else of its context.
func Detach(work, request context.Context) context.Context {
	c := of(request)
	if c == nil {
		return work
	}
	return &Context{Context: work, request: c.RequestID(), trace: c.TraceID()}
}

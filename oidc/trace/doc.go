// Package trace is the spans of a request on its way through the rooms, and what every log line of it says.
//
// It owns what a span is, whether a request is recorded, and the W3C Trace Context (in and out). It does not own where spans go: whoever makes a
// [Tracer] gives it a [Sink]. It imports nothing of the house, so that each room may begin spans:
//
//	ctx, span := trace.Start(ctx, "fetch keys", trace.Client)
//	defer func() { span.End(err) }()
//
// A request that is not recorded has no span: Start returns the context that it got and nil, every method of a nil [Span] does nothing, and neither
// allocates. A front door opens a [Scope] for each request, which is a context and part of whatever the door keeps of the request.
//
// What becomes an attribute is chosen where the span begins. Tokens, cookies, codes and queries never do; whatever text does is cut, and masked where
// it could be a personal number (S-37).
package trace

package oidc

import (
	"context"
	"errors"

	"postern/oidc/trace"
)

// span is that of a call to the provider, which is told of the trace.
func (p *Provider) span(ctx context.Context, op string) (context.Context, *trace.Span) {
	ctx, span := trace.Start(ctx, op, trace.Client)
	span.SetText("postern.provider", p.cfg.Name)
	return ctx, span
}

// endCall ends the span of a question: of a refusal it tells the code, which is one of a standard or of the provider's own.
func endCall(span *trace.Span, err error) {
	if span == nil {
		return
	}
	if refusal, ok := errors.AsType[*RefusalError](err); ok {
		span.Fail(cleanText(refusal.Code))
		err = nil
	}
	span.End(err)
}

// endValidation ends the span of a token that was looked at. Why it is not valid is for the log and its sender.
func endValidation(span *trace.Span, err error) {
	if span == nil {
		return
	}
	if _, ok := errors.AsType[*InvalidTokenError](err); ok {
		span.Fail("invalid_token")
		err = nil
	}
	span.End(err)
}

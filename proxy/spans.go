package proxy

import (
	"cmp"
	"context"
	"net/http"

	"postern/oidc/trace"
	"postern/proxy/forward"
	"postern/proxy/policy"
)

// context is that of the request for the other rooms: what they log names the request, and their spans are below its own.
func (v *visit) context() context.Context { return &v.scope }

// endSpan tells what came of the request. Its path is told where a log line tells it, and nothing that came with it besides.
func (v *visit) endSpan(r *http.Request) {
	span := v.scope.Span()
	if span == nil || v.route == routePing {
		return
	}
	if v.passage.delivery == byIngress {
		r = v.passage.request // that was asked about
	}
	method, template := forward.KnownMethod(r.Method), v.template()
	span.SetText("http.request.method", method)
	span.SetText("http.route", template)
	span.SetText("url.path", forward.MaskDigits(r.URL.Path))
	span.SetNumber("http.response.status_code", int64(v.Status))
	span.SetText("postern.request_id", v.id)
	span.SetText("postern.route", v.route)
	span.SetText("postern.reason", v.reason)
	span.SetText("postern.would_refuse", v.wouldRefuse)
	if v.identity != nil {
		span.SetText("postern.provider", v.identity.Provider())
		span.SetText("postern.kind", string(v.identity.Kind()))
	}
	if template == "" {
		template = v.route
	}
	span.Rename(method + " " + template)
	if v.Status >= http.StatusInternalServerError {
		span.Fail(cmp.Or(v.reason, "error"))
	}
	span.End(nil)
}

// endCall ends the span of the app's part, whatever became of it.
func (v *visit) endCall(span *trace.Span) {
	if v.Status != 0 {
		span.SetNumber("http.response.status_code", int64(v.Status))
	}
	if v.Status >= http.StatusInternalServerError || v.Status == 0 {
		span.Fail(cmp.Or(v.reason, "error"))
	}
	span.End(nil)
}

// endPolicy tells what the policy has decided.
func endPolicy(span *trace.Span, d policy.Decision) {
	if span == nil {
		return
	}
	span.SetText("postern.policy.rule", d.Rule)
	span.SetBool("postern.policy.admitted", d.Outcome == policy.Admitted)
	if d.Outcome == policy.Refused {
		span.SetText("postern.reason", d.Reason.Code())
	}
	span.End(nil)
}

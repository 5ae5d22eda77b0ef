package egress

import (
	"cmp"
	"net/http"

	"postern/proxy/forward"
)

// endSpan tells what came of a call. Its path is told where a log line tells it, and nothing that came with it besides.
func (v *visit) endSpan(r *http.Request) {
	span := v.scope.Span()
	if span == nil {
		return
	}
	method := forward.KnownMethod(r.Method)
	span.SetText("http.request.method", method)
	span.SetText("url.path", forward.MaskDigits(r.URL.Path))
	span.SetNumber("http.response.status_code", int64(v.Status))
	span.SetText("postern.request_id", v.id)
	span.SetText("postern.route", "egress")
	span.SetText("postern.egress.route", v.routeName())
	span.SetText("postern.reason", v.reason)
	if v.route != nil {
		span.SetText("texas.identity_provider", v.route.request.Provider)
		span.Rename(method + " egress " + v.route.name)
	}
	if v.Status >= http.StatusInternalServerError {
		span.Fail(cmp.Or(v.reason, "error"))
	}
	span.End(nil)
}

// endCall ends the span of the target's part, whatever became of it.
func (v *visit) endCall() {
	v.span.SetText("server.address", v.route.host)
	if v.answered {
		v.span.SetNumber("http.response.status_code", int64(v.Status))
	}
	if !v.answered || v.Status >= http.StatusInternalServerError {
		v.span.Fail(cmp.Or(v.reason, "error"))
	}
	v.span.End(nil)
}

package tokenapi

import (
	"cmp"
	"net/http"

	"postern/obo"
	"postern/oidc"
)

// noteGrant tells of a request for a token what Texas tells, but for authorization_details, which may hold anything about anybody.
func (v *visit) noteGrant(r obo.Request, got obo.Token, err error) {
	span := v.scope.Span()
	if span == nil {
		return
	}
	span.SetText("texas.target", oidc.CleanText(r.Target))
	if r.Resource != nil {
		span.SetText("texas.resource", oidc.CleanText(*r.Resource))
	}
	span.SetBool("texas.cache_force_skipped", r.SkipCache)
	if err == nil {
		span.SetBool("texas.cache_hit", got.Cached)
		span.SetNumber("texas.token_expires_in_seconds", got.ExpiresIn)
	}
}

// endSpan tells what came of the request.
func (v *visit) endSpan() {
	span := v.scope.Span()
	if span == nil {
		return
	}
	if v.endpoint != nil && v.r.Method == http.MethodPost { // anything else is the caller's own words
		span.Rename("POST " + v.path())
	}
	span.SetText("http.route", v.path())
	span.SetNumber("http.response.status_code", int64(v.status))
	span.SetText("postern.route", "token_api")
	span.SetText("postern.request_id", v.ctx.RequestID())
	if v.provider != nil {
		span.SetText("texas.identity_provider", v.provider.name)
	}
	span.SetText("postern.reason", oidc.CleanText(v.reason))
	if v.status >= 500 {
		span.Fail(cmp.Or(oidc.CleanText(v.kind), "error"))
	}
	span.End(nil)
}

package tokenapi

import (
	"log/slog"
	"net/http"
	"time"

	"postern/oidc"
	"postern/oidc/correlation"
	"postern/oidc/trace"
)

// visit is one request: what was found out about it, for its log line and the metrics.
type visit struct {
	h        *Handler
	scope    trace.Scope
	w        http.ResponseWriter
	r        *http.Request
	ctx      correlation.Context // of its log lines, and of what is asked of others
	began    time.Time
	endpoint *endpoint // nil: another path
	provider *provider // nil: not known by then

	target    string
	status    int
	kind      string // of the error
	reason    string // stable code of the error
	refusal   string // why somebody may not ask
	inactive  string // why a token is not active
	challenge string // WWW-Authenticate
	err       error
}

const statusClientGone = 499 // nginx's: nobody is left to read the answer

// finish counts the request and writes its one line, if it has failed.
func (h *Handler) finish(v *visit) {
	gone := v.kind != "" && v.r.Context().Err() != nil
	if gone {
		v.status = statusClientGone
	}
	h.metrics.observe(v, h.deps.Now().Sub(v.began))
	v.endSpan()
	level := slog.LevelInfo
	switch {
	case v.kind == "" && v.inactive == "":
		return
	case gone || v.kind == "":
		level = slog.LevelDebug
	case v.status >= 500:
		level = slog.LevelWarn
	}
	if h.deps.Log.Enabled(&v.ctx, level) {
		h.log(level, v)
	}
}

// log writes no text of the caller but the target, and no text that quotes one.
func (h *Handler) log(level slog.Level, v *visit) {
	attrs := make([]slog.Attr, 0, 10)
	attrs = append(attrs, slog.String("path", v.path()), slog.Int("status", v.status))
	if v.kind != "" {
		attrs = append(attrs, slog.String("kind", v.kind), slog.String("reason", oidc.CleanText(v.reason)))
	}
	if v.inactive != "" {
		attrs = append(attrs, slog.String("inactive", v.inactive))
	}
	if v.provider != nil {
		attrs = append(attrs, slog.String("identity_provider", v.provider.name))
	}
	if v.target != "" {
		attrs = append(attrs, slog.String("target", oidc.CleanText(v.target)))
	}
	if v.err != nil {
		attrs = append(attrs, slog.String("error", oidc.CleanText(v.err.Error())))
	}
	h.deps.Log.LogAttrs(&v.ctx, level, "token request", attrs...)
}

// path is that of an endpoint; others are the caller's own words, and would be a label without bound.
func (v *visit) path() string {
	switch {
	case v.endpoint != nil:
		return v.endpoint.path
	case v.r.URL.Path == openAPIPath:
		return openAPIPath
	}
	return "other"
}

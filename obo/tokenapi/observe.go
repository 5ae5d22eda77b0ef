package tokenapi

import (
	"context"
	"crypto/rand"
	"log/slog"
	"net/http"
	"time"

	"postern/oidc"
)

// visit is one request: what was found out about it, for its log line and the metrics.
type visit struct {
	h        *Handler
	w        http.ResponseWriter
	r        *http.Request
	began    time.Time
	endpoint *endpoint // nil: another path
	provider *provider // nil: not known by then

	target    string
	status    int
	id        string // request id, of a failed one
	kind      string // of the error
	reason    string // stable code of the error
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
	level := slog.LevelInfo
	switch {
	case v.kind == "" && v.inactive == "":
		return
	case gone || v.kind == "":
		level = slog.LevelDebug
	case v.status >= 500:
		level = slog.LevelWarn
	}
	if ctx := v.r.Context(); h.deps.Log.Enabled(ctx, level) {
		h.log(ctx, level, v)
	}
}

// log writes no text of the caller but the target, and no text that quotes one.
func (h *Handler) log(ctx context.Context, level slog.Level, v *visit) {
	attrs := make([]slog.Attr, 0, 10)
	if v.id == "" {
		v.id = requestIDOf(v.r)
	}
	attrs = append(attrs, slog.String("request_id", v.id))
	if trace := traceID(v.r); trace != "" {
		attrs = append(attrs, slog.String("trace_id", trace))
	}
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
	h.deps.Log.LogAttrs(ctx, level, "token request", attrs...)
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

// requestIDOf takes over a well-formed id of the caller, or makes one (S-37).
func requestIDOf(r *http.Request) string {
	if given := r.Header[headerRequestID]; len(given) == 1 && validRequestID(given[0]) {
		return given[0]
	}
	return rand.Text()
}

func validRequestID(id string) bool {
	if len(id) == 0 || len(id) > 64 {
		return false
	}
	digits := 0
	for i := range len(id) {
		switch c := id[i]; {
		case '0' <= c && c <= '9':
			if digits++; digits == 11 { // a personal number is in no log line
				return false
			}
			continue
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', c == '.', c == '_', c == '-':
		default:
			return false
		}
		digits = 0
	}
	return true
}

// traceID reads the trace id of a W3C traceparent (version 00), or "".
func traceID(r *http.Request) string {
	parent := r.Header.Get("Traceparent")
	if len(parent) < 55 || parent[2] != '-' || parent[35] != '-' {
		return ""
	}
	for i := 3; i < 35; i++ {
		if c := parent[i]; unhex(c) > 15 || 'A' <= c && c <= 'F' {
			return ""
		}
	}
	return parent[3:35]
}

package proxy

import (
	"log/slog"
	"net/http"
	"time"

	"postern/oidc"
	"postern/oidc/correlation"
	"postern/oidc/meter"
	"postern/oidc/trace"
	"postern/proxy/forward"
)

// visit is one request on its way through the front door: what was found out about it, and the writer of its answer. It is written to
// the log once, at the end.
type visit struct {
	forward.Answer

	ctx      correlation.Context // of its log lines
	scope    trace.Scope         // the context of what is asked of other rooms
	id       string              // request id, S-37
	started  time.Time
	endpoint string // path of an own endpoint below the own prefix, else empty
	route    string // "app", or the own endpoint such as "login"; bounded, used as a metric label
	reason   string // stable code of a refusal, else empty
	err      error  // the cause of a refusal, for the log
	identity *oidc.Identity
	session  string // keyed hash of the session id
	rule     string // of the policy, that decided

	passage passage     // of a request for the app
	ids     [1]string   // id as a header value
	texts   headerTexts // of the headers that say who is calling

	ended       string    // why a stream was ended before its time; else empty
	wouldRefuse string    // why report mode let pass what would have been refused; else empty
	assertion   string    // signed identity for the app, or empty
	downstream  []fetched // tokens for other APIs

	own   *endpoint     // that serves it; nil: the app, or nothing
	waits meter.Waits   // the innermost of the request's contexts, for those who wait on its behalf
	asked time.Duration // after which the request went to the app; 0: it did not
	told  bool          // the app has answered
}

// finish counts the request and writes its one event. Proxied requests that went well are worth a line only when asked for; what is
// not logged costs nothing here.
func (h *Handler) finish(v *visit, r *http.Request) {
	took := h.since(v.started)
	h.metrics.observe(v.route, v.Status, v.reason, took)
	v.endSpan(r)
	h.metrics.spent(v, took)
	if v.own != nil {
		in, _ := h.ingressOf(r)
		h.metrics.wonderwall.observe(v, r, v.own, in, took)
	}
	level := slog.LevelDebug
	switch {
	case v.Status >= 500:
		level = slog.LevelWarn
	case v.route != routeApp && v.route != routeForwardAuth, v.reason != "", v.wouldRefuse != "", v.ended != "", h.cfg.Upstream.AccessLogs && v.identity != nil:
		level = slog.LevelInfo
	}
	if v.route == routePing || v.Status == forward.StatusClientGone {
		level = slog.LevelDebug
	}
	if !h.log.Enabled(v.context(), level) {
		return
	}
	h.log.LogAttrs(v.context(), level, "request", h.eventOf(v, r, took)...)
}

func (h *Handler) eventOf(v *visit, r *http.Request, took time.Duration) []slog.Attr {
	if v.passage.delivery == byIngress {
		r = v.passage.request // that was asked about
	}
	attrs := make([]slog.Attr, 0, 20)
	attrs = append(attrs,
		slog.String("method", forward.MaskDigits(r.Method)),
		slog.String("path", forward.MaskDigits(r.URL.Path)), // decoded, so that nothing hides in escapes; never the query (S-37)
		slog.String("route", v.route),
		slog.Int("status", v.Status),
		slog.Float64("duration_ms", float64(took.Microseconds())/1000),
	)
	if v.reason != "" {
		attrs = append(attrs, slog.String("reason", v.reason))
	}
	if v.wouldRefuse != "" {
		attrs = append(attrs, slog.String("would_refuse", v.wouldRefuse))
	}
	if v.ended != "" {
		attrs = append(attrs, slog.String("stream_ended", v.ended))
	}
	if v.rule != "" {
		attrs = append(attrs, slog.String("rule", v.rule))
	}
	if v.err != nil {
		attrs = append(attrs, slog.String("error", forward.MaskDigits(v.err.Error())))
	}
	if v.session != "" {
		attrs = append(attrs, slog.String("session", v.session))
	}
	if v.identity != nil {
		attrs = append(attrs, slog.String("provider", v.identity.Provider()), slog.String("kind", string(v.identity.Kind())))
	}
	if id := v.identity; id != nil && id.Issuer() != "" {
		attrs = append(attrs, slog.String("issuer", id.Issuer()), slog.String("client", forward.MaskDigits(id.Client())), slog.String("token_id", forward.MaskDigits(id.TokenID())))
	}
	return attrs
}

// warn writes the rare line that does not wait for the end of its request.
func (h *Handler) warn(v *visit, what string, err error) {
	h.log.LogAttrs(v.context(), slog.LevelWarn, "trouble on the way", slog.String("what", what),
		slog.String("route", v.route), slog.String("error", forward.MaskDigits(err.Error())))
}

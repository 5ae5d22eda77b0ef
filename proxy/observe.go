package proxy

import (
	"bufio"
	"context"
	"crypto/rand"
	"hash/maphash"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"postern/oidc"
)

const headerRequestID = "X-Request-Id"

// visit is one request on its way through the front door: what was found out about it, and the writer of its answer. It is written to
// the log once, at the end.
type visit struct {
	http.ResponseWriter

	id       string // request id, S-37
	started  time.Time
	route    string // "app", or the own endpoint such as "login"; bounded, used as a metric label
	reason   string // stable code of a refusal, else empty
	err      error  // the cause of a refusal, for the log
	identity *oidc.Identity
	session  string // keyed hash of the session id
	rule     string // of the policy, that decided

	passage passage   // of a request for the app
	ids     [1]string // id as a header value

	wouldRefuse string // why report mode let pass what would have been refused; else empty
	assertion   string // signed identity for the app, or empty

	status int
	wrote  bool
}

// WriteHeader notes the status. Informational answers (1xx) come before the real one.
func (v *visit) WriteHeader(status int) {
	if status >= 200 && !v.wrote {
		v.wrote, v.status = true, status
	}
	v.ResponseWriter.WriteHeader(status)
}

func (v *visit) Write(p []byte) (int, error) {
	if !v.wrote {
		v.wrote, v.status = true, http.StatusOK
	}
	return v.ResponseWriter.Write(p)
}

// Hijack notes an upgrade, whose 101 the reverse proxy writes to the connection itself.
func (v *visit) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffered, err := http.NewResponseController(v.ResponseWriter).Hijack()
	if err == nil {
		v.wrote, v.status = true, http.StatusSwitchingProtocols
	}
	return conn, buffered, err
}

// Unwrap lets http.ResponseController reach Flush.
func (v *visit) Unwrap() http.ResponseWriter { return v.ResponseWriter }

// requestIDs makes ids that no other process makes, and that do not tell how many there were. They are no secrets: a read of randomness
// for each request would cost as much as finding the session.
type requestIDs struct {
	prefix string
	seed   maphash.Seed
	made   atomic.Uint64
}

func newRequestIDs() *requestIDs {
	return &requestIDs{prefix: rand.Text()[:13], seed: maphash.MakeSeed()}
}

// of takes over a well-formed id of the caller, or makes one (S-37).
func (ids *requestIDs) of(r *http.Request) string {
	if given := r.Header[headerRequestID]; len(given) == 1 && validRequestID(given[0]) {
		return given[0]
	}
	var id [26]byte
	n := maphash.Comparable(ids.seed, ids.made.Add(1))
	for i := copy(id[:], ids.prefix); i < len(id); i++ {
		id[i] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"[n&31] // RFC 4648 §6
		n >>= 5
	}
	return string(id[:])
}

func validRequestID(id string) bool {
	if len(id) == 0 || len(id) > 64 || maskDigits(id) != id { // a personal number is in no log line
		return false
	}
	for i := range len(id) {
		switch c := id[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '.', c == '_', c == '-':
		default:
			return false
		}
	}
	return true
}

// finish counts the request and writes its one event. Proxied requests that went well are worth a line only when asked for; what is
// not logged costs nothing here.
func (h *Handler) finish(v *visit, r *http.Request) {
	took := h.now().Sub(v.started)
	h.metrics.observe(v.route, v.status, v.reason, took)
	level := slog.LevelDebug
	switch {
	case v.status >= 500:
		level = slog.LevelWarn
	case v.route != routeApp, v.reason != "", v.wouldRefuse != "", h.cfg.Upstream.AccessLogs && v.identity != nil:
		level = slog.LevelInfo
	}
	if v.route == routePing || v.status == statusClientGone {
		level = slog.LevelDebug
	}
	ctx := r.Context()
	if !h.log.Enabled(ctx, level) {
		return
	}
	h.log.LogAttrs(ctx, level, "request", h.eventOf(v, r, took)...)
}

func (h *Handler) eventOf(v *visit, r *http.Request, took time.Duration) []slog.Attr {
	attrs := make([]slog.Attr, 0, 20)
	attrs = append(attrs,
		slog.String("request_id", v.id),
		slog.String("method", r.Method),
		slog.String("path", maskDigits(r.URL.Path)), // decoded, so that nothing hides in escapes; never the query (S-37)
		slog.String("route", v.route),
		slog.Int("status", v.status),
		slog.Float64("duration_ms", float64(took.Microseconds())/1000),
	)
	if trace := traceID(r); trace != "" {
		attrs = append(attrs, slog.String("trace_id", trace))
	}
	if v.reason != "" {
		attrs = append(attrs, slog.String("reason", v.reason))
	}
	if v.wouldRefuse != "" {
		attrs = append(attrs, slog.String("would_refuse", v.wouldRefuse))
	}
	if v.rule != "" {
		attrs = append(attrs, slog.String("rule", v.rule))
	}
	if v.err != nil {
		attrs = append(attrs, slog.String("error", maskDigits(v.err.Error())))
	}
	if v.session != "" {
		attrs = append(attrs, slog.String("session", v.session))
	}
	if v.identity != nil {
		attrs = append(attrs, slog.String("provider", v.identity.Provider()), slog.String("kind", string(v.identity.Kind())))
	}
	if id := v.identity; id != nil && id.Issuer() != "" {
		attrs = append(attrs, slog.String("issuer", id.Issuer()), slog.String("client", maskDigits(id.Client())), slog.String("token_id", maskDigits(id.TokenID())))
	}
	return attrs
}

// maskDigits hides every run of eleven digits or more, the length of a Norwegian national identity number (S-37), and cuts long texts.
func maskDigits(text string) string {
	const run, longest = 11, 512
	var masked []byte
	for i := 0; i < len(text); {
		end := i
		for end < len(text) && '0' <= text[end] && text[end] <= '9' {
			end++
		}
		if end-i >= run {
			if masked == nil {
				masked = []byte(text)
			}
			for j := i; j < end; j++ {
				masked[j] = '*'
			}
		}
		i = max(end, i+1)
	}
	if masked != nil {
		text = string(masked)
	}
	if len(text) > longest { // not before: a cut number is still a person's
		text = text[:longest] + "…"
	}
	return text
}

// traceID reads the trace id of a W3C traceparent (version 00), or "".
func traceID(r *http.Request) string {
	parent := r.Header.Get("Traceparent")
	if len(parent) < 55 || parent[2] != '-' || parent[35] != '-' {
		return ""
	}
	for _, c := range parent[3:35] {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return ""
		}
	}
	return parent[3:35]
}

// warn writes the rare line that does not wait for the end of its request.
func (h *Handler) warn(ctx context.Context, v *visit, what string, err error) {
	h.log.LogAttrs(ctx, slog.LevelWarn, "trouble on the way", slog.String("what", what),
		slog.String("request_id", v.id), slog.String("route", v.route), slog.String("error", maskDigits(err.Error())))
}

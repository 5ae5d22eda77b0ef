package egress

import (
	"log/slog"
	"net/http"

	"postern/proxy/forward"
)

// recordRefusal writes the audit event of a call that was turned away, before its answer leaves (S-38). Trouble is no decision about anybody.
func (h *Handler) recordRefusal(v *visit, r *http.Request, f *failure) {
	if f.status < 400 || f.status >= 500 {
		return
	}
	attrs := make([]slog.Attr, 0, 20)
	attrs = append(attrs, slog.Bool("audit", true), slog.String("listener", "egress"), slog.String("reason", v.reason), slog.Int("status", f.status),
		slog.String("method", forward.MaskDigits(r.Method)), slog.String("path", forward.MaskDigits(r.URL.Path)))
	if e := v.route; e != nil {
		attrs = append(attrs, slog.String("path_template", "/"+e.name+"/**"), slog.String("identity_provider", e.request.Provider), slog.String("target", e.request.Target))
	}
	if f.err != nil {
		attrs = append(attrs, slog.String("error", forward.MaskDigits(f.err.Error())))
	}
	h.audit.LogAttrs(&v.scope, slog.LevelInfo, "refusal", append(attrs, v.user.AuditAttrs()...)...)
}

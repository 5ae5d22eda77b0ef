package tokenapi

import (
	"log/slog"

	"postern/oidc"
)

// recordRefusal writes the audit event of a request that was turned away, before its answer leaves (S-38). Trouble is no decision about anybody.
func (h *Handler) recordRefusal(v *visit, status int) {
	if status < 400 || status >= 500 {
		return
	}
	attrs := make([]slog.Attr, 0, 10)
	attrs = append(attrs, slog.Bool("audit", true), slog.String("listener", "token"), slog.String("reason", oidc.CleanText(v.reason)), slog.Int("status", status),
		slog.String("method", oidc.CleanText(v.r.Method)), slog.String("path", v.path()), slog.String("path_template", v.path()))
	if v.provider != nil {
		attrs = append(attrs, slog.String("identity_provider", v.provider.name))
	}
	if v.target != "" {
		attrs = append(attrs, slog.String("target", oidc.CleanText(v.target)))
	}
	if v.err != nil {
		attrs = append(attrs, slog.String("error", oidc.CleanText(v.err.Error())))
	}
	h.deps.Audit.LogAttrs(&v.ctx, slog.LevelInfo, "refusal", attrs...)
}

package session

import (
	"context"
	"log/slog"

	"postern/oidc"
)

// auditRefused writes that the provider has refused to renew a session, which ends it (S-38).
func (m *Manager) auditRefused(ctx context.Context, o *opened, why *EndedError) {
	attrs := []slog.Attr{
		slog.Bool("audit", true), slog.String("by", "provider"), slog.String("reason", why.Code), slog.String("session", o.ticket.logName),
	}
	m.audit.LogAttrs(ctx, slog.LevelInfo, "refresh refused", append(attrs, o.session.identity.AuditAttrs()...)...)
}

// auditTooMany writes that the oldest session of a person has made room for a newer one (S-56, S-38).
func (m *Manager) auditTooMany(ctx context.Context, newer *record) {
	m.audit.LogAttrs(ctx, slog.LevelInfo, "session ended", slog.Bool("audit", true), slog.String("by", "limit"), slog.String("reason", "too_many_sessions"),
		slog.String("provider", newer.provider), slog.String("subject", oidc.CleanText(subjectOf(newer))))
}

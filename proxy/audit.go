package proxy

import (
	"log/slog"
	"net/http"

	"postern/oidc"
	"postern/proxy/forward"
	"postern/proxy/policy"
	"postern/session"
)

// Audit events of the front door (S-38). Each is written before the answer that it is about leaves.
const (
	eventLogin        = "login"
	eventLogout       = "logout"
	eventSessionEnded = "session ended"
	eventRefusal      = "refusal"
	eventWouldRefuse  = "would_refuse"
)

// record writes an audit event about somebody, nil for nobody who is known.
func (h *Handler) record(v *visit, r *http.Request, event string, id *oidc.Identity, attrs ...slog.Attr) {
	if v.passage.delivery == byIngress {
		r = v.passage.request // that was asked about
	}
	all := make([]slog.Attr, 0, 24)
	all = append(all, slog.Bool("audit", true), slog.String("method", forward.MaskDigits(r.Method)), slog.String("path", forward.MaskDigits(r.URL.Path)), slog.String("route", v.route))
	for _, known := range [...]struct{ name, text string }{
		{"path_template", v.template()},
		{"policy", h.policyOf(v).Hash()},
		{"rule", v.rule},
		{"session", v.session},
	} {
		if known.text != "" {
			all = append(all, slog.String(known.name, known.text))
		}
	}
	all = append(append(all, attrs...), id.AuditAttrs()...)
	h.audit.LogAttrs(v.context(), slog.LevelInfo, event, all...) //nolint:sloglint // each caller gives a constant
}

// recordRefusal writes that somebody was turned away. Trouble is no decision about anybody, being sent to log in no refusal, and that there is no
// session is what /oauth2/session was asked.
func (h *Handler) recordRefusal(v *visit, r *http.Request, f *failure) {
	if f.redirect != "" || f.status < 400 || f.status >= 500 || f.code == "no_session" {
		return
	}
	attrs := []slog.Attr{slog.String("reason", v.reason), slog.Int("status", f.status)}
	if f.err != nil {
		attrs = append(attrs, slog.String("error", forward.MaskDigits(f.err.Error())))
	}
	h.record(v, r, eventRefusal, v.identity, attrs...)
}

// recordLogout writes that a logout has ended a session, and which way it came.
func (h *Handler) recordLogout(v *visit, r *http.Request, way string, ended *session.Session) {
	v.session = ended.HashedID()
	h.record(v, r, eventLogout, ended.Identity(), slog.String("way", way), slog.String("by", "person"))
}

// recordProviderLogout writes that the provider has said that sessions are over, and how many there were.
func (h *Handler) recordProviderLogout(v *visit, r *http.Request, way string, of session.Selector, token string, ended int) {
	attrs := []slog.Attr{slog.String("way", way), slog.String("by", "provider"), slog.Int("sessions", ended)}
	for _, known := range [...]struct{ name, text string }{
		{"provider", oidc.LoginProviderName(h.cfg.OpenID)}, {"subject", of.Subject}, {"sid", of.SID}, {"token_id", token},
	} {
		if known.text != "" {
			attrs = append(attrs, slog.String(known.name, oidc.CleanText(known.text)))
		}
	}
	h.record(v, r, eventLogout, nil, attrs...)
}

// policyOf is the policy that judged a request, else that in force.
func (h *Handler) policyOf(v *visit) *policy.Policy {
	if p := v.passage.policy; p != nil {
		return p
	}
	return h.policy()
}

// template is what stands for the path where paths are counted: the own endpoint, or the pattern of the policy.
func (v *visit) template() string {
	if v.endpoint != "" {
		return ownPrefix + v.endpoint
	}
	return v.passage.route.Pattern()
}

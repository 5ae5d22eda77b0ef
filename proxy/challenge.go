package proxy

import (
	"net/http"
	"strings"
)

// challengeHeader is the WWW-Authenticate of a refusal (RFC 6750 §3, RFC 9470 §3, RFC 9728 §5.1), as a header to be sent. Empty parts are
// left out; the texts are ours or the policy's, never the client's.
func (h *Handler) challengeHeader(in *ingress, code, description, scope, acr string) http.Header {
	challenge := h.challenge
	for _, attribute := range [...]struct{ name, value string }{
		{"error", code}, {"error_description", description}, {"scope", scope}, {"acr_values", acr},
	} {
		if attribute.value != "" {
			challenge += ", " + attribute.name + "=" + quoted(attribute.value)
		}
	}
	if h.bearer != nil {
		if address := resourceMetadataURL(in); address != "" {
			challenge += ", resource_metadata=" + quoted(address)
		}
	}
	return http.Header{"Www-Authenticate": {challenge}}
}

// quoted is a quoted-string (RFC 9110 §5.6.4) of the printable ASCII in text: error_description may hold nothing else (RFC 6750 §3).
func quoted(text string) string {
	var b strings.Builder
	b.WriteByte('"')
	for i := range len(text) {
		switch c := text[i]; {
		case c < 0x20 || c > 0x7e:
		case c == '"' || c == '\\':
			b.WriteByte('\'')
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}

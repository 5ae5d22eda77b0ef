package proxy

import (
	"net/http"

	"postern/proxy/forward"
)

// challengeHeader is the WWW-Authenticate of a refusal (RFC 6750 §3, RFC 9470 §3, RFC 9728 §5.1), as a header to be sent. Empty parts are
// left out; the texts are ours or the policy's, never the client's.
func (h *Handler) challengeHeader(in *ingress, code, description, scope, acr string) http.Header {
	challenge := h.challenge
	for _, attribute := range [...]struct{ name, value string }{
		{"error", code}, {"error_description", description}, {"scope", scope}, {"acr_values", acr},
	} {
		if attribute.value != "" {
			challenge += ", " + attribute.name + "=" + forward.Quoted(attribute.value)
		}
	}
	if h.bearer != nil {
		if address := resourceMetadataURL(in); address != "" {
			challenge += ", resource_metadata=" + forward.Quoted(address)
		}
	}
	return http.Header{"Www-Authenticate": {challenge}}
}

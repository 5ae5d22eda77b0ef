package proxy

import (
	"net/http"

	"postern/proxy/forward"
)

// isPreflight says whether a request is a CORS preflight and nothing else (S-40): OPTIONS with Origin and Access-Control-Request-Method, and
// without a body. Browsers send it without credentials, so that an app that answers it can never be reached as somebody.
func isPreflight(r *http.Request) bool {
	return r.Method == http.MethodOptions && r.ContentLength == 0 && len(r.TransferEncoding) == 0 &&
		len(r.Header["Origin"]) == 1 && len(r.Header["Access-Control-Request-Method"]) == 1
}

// forwardPreflight sends a preflight to the app without anything that says who is calling.
func (h *Handler) forwardPreflight(v *visit, r *http.Request) {
	h.upstream.Serve(v, r, forward.Outgoing{Errand: preflight{h, v}})
}

type preflight struct {
	h *Handler
	v *visit
}

func (p preflight) Prepare(out, in *http.Request) {
	p.h.cleanHeaders(p.v, out, in)
	out.Header.Del("Authorization")
	out.Header.Del("Cookie")
}

func (preflight) Answered(*http.Response) {}

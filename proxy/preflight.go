package proxy

import "net/http"

// isPreflight says whether a request is a CORS preflight and nothing else (S-40): OPTIONS with Origin and Access-Control-Request-Method, and
// without a body. Browsers send it without credentials, so that an app that answers it can never be reached as somebody.
func isPreflight(r *http.Request) bool {
	return r.Method == http.MethodOptions && r.ContentLength == 0 && len(r.TransferEncoding) == 0 &&
		len(r.Header["Origin"]) == 1 && len(r.Header["Access-Control-Request-Method"]) == 1
}

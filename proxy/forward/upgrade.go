package forward

import (
	"net/http"
	"strings"
)

// IsUpgrade says that a request is a WebSocket handshake (RFC 6455 §4.1), the only upgrade that is forwarded: HTTP/1.1, GET, no body, and
// no other protocol offered beside it. Behind any other upgrade the connection would carry requests that nobody decides on (S-01).
func IsUpgrade(r *http.Request) bool {
	upgrade := r.Header["Upgrade"]
	return len(upgrade) == 1 && strings.EqualFold(upgrade[0], "websocket") &&
		r.Method == http.MethodGet && r.ProtoMajor == 1 && r.ProtoMinor == 1 &&
		r.ContentLength == 0 && len(r.TransferEncoding) == 0 &&
		hasToken(r.Header["Connection"], "upgrade")
}

// AsksForUpgrade is wider than [IsUpgrade]: anything that a client may have meant as one.
func AsksForUpgrade(r *http.Request) bool { return len(r.Header["Upgrade"]) > 0 }

// withoutUpgrade is the request without the offers of other protocols, to be served as if they had not been made (RFC 9110 §7.8 allows a
// server to ignore them). The original stays as it is for the log.
func withoutUpgrade(r *http.Request) *http.Request {
	if IsUpgrade(r) || !AsksForUpgrade(r) && len(r.Header["Http2-Settings"]) == 0 {
		return r
	}
	plain := r.WithContext(r.Context())
	plain.Header = r.Header.Clone()
	delete(plain.Header, "Upgrade")
	delete(plain.Header, "Http2-Settings") // RFC 7540 §3.2.1
	return plain
}

// hasToken looks for a token in a comma-separated header, without case.
func hasToken(lines []string, token string) bool {
	for _, line := range lines {
		for element := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(strings.Trim(element, " \t"), token) {
				return true
			}
		}
	}
	return false
}

package proxy

import (
	"net/http"

	"postern/oidc/correlation"
)

// applyTrace leaves of a W3C trace context what a stranger may say (S-57): the ids, which only find lines, but neither that the request is to be
// recorded nor the baggage, which apps read as they read headers. A peer of "trusted-proxies" may say all of it. Run it on the outgoing headers.
func (f *forwarding) applyTrace(out http.Header, in *http.Request) {
	const flags = 53 // where they begin in version 00, two hex digits to the end
	parents, traced := out["Traceparent"]
	_, carries := out["Baggage"]
	if !traced && !carries || f.trusts(in.RemoteAddr) {
		return
	}
	delete(out, "Baggage")
	if !traced {
		return
	}
	switch parent := parents[0]; {
	case len(parents) > 1 || len(parent) != flags+2 || parent[:3] != "00-" || parent[flags-1] != '-' || correlation.TraceID(in.Header) == "":
		delete(out, "Traceparent") // readers could differ about the flag
		delete(out, "Tracestate")
	case parent[flags:] != "00":
		out["Traceparent"] = []string{parent[:flags] + "00"}
	}
}

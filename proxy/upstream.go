package proxy

import (
	"net/http"
	"strings"
	"time"

	"postern/config"
	"postern/proxy/forward"
)

// newUpstream is the way to the app. No web proxy is ever on it. Of a client's headers it does not get those
// that are withheld, and it may not set the cookies that are our own (S-23).
func newUpstream(cfg config.Upstream, withheld *forward.Names, stall time.Duration, own func(name string) bool, onError func(http.ResponseWriter, *http.Request, forward.Error)) *forward.Forwarder {
	way := forward.Way{H2C: cfg.H2C, Timeout: cfg.Timeout}
	address := cfg.Host
	if path, ok := strings.CutPrefix(cfg.Host, "unix:"); ok {
		way.Socket, address = path, "app"
	}
	clean := func(header http.Header) { dropOwnSetCookies(header, own) }
	return forward.New(forward.Server{Scheme: "http", Host: address, Transport: forward.NewTransport(way), Withheld: withheld, Stall: stall}, clean, onError)
}

var private = []string{"private"} // shared by all responses that get it

// keepPrivate makes an answer to the caller of a cookie private unless the app said how it may be cached (S-55). Shared caches keep answers
// to cookies, but not those to the Authorization that such callers used to send.
func keepPrivate(header http.Header) {
	if _, set := header["Cache-Control"]; !set {
		header["Cache-Control"] = private
	}
}

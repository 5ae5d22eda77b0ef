package proxy

import "net/http"

var (
	hardened = [...]string{"Content-Security-Policy", "Cross-Origin-Resource-Policy", "X-Content-Type-Options", "X-Frame-Options"}

	// Nobody appends to these.
	hardenedValues = [len(hardened)][]string{{"default-src 'none'; frame-ancestors 'none'"}, {"same-origin"}, {"nosniff"}, {"DENY"}}
	framedValues   = [len(hardened)][]string{{"default-src 'none'"}, {"cross-origin"}, {"nosniff"}, nil}
)

// harden keeps the answer of an own endpoint from being embedded by others, or taken for something that it is not. Pages have more to say
// ([postern/proxy/pages]). Front-channel logout is there to be framed by the provider.
func harden(header http.Header, rest string) {
	values := &hardenedValues
	if rest == pathFrontchannel {
		values = &framedValues
	}
	for i, name := range hardened {
		if values[i] != nil {
			header[name] = values[i]
		}
	}
}

// Package forward is what every proxy of the house does alike: it looks at a request before anything in it is believed, and passes it on to
// one server, byte for byte, and the answer back.
//
// It owns: which targets and credentials are well-formed (target.go, credential.go), which headers nobody outside may set (strip.go), which
// upgrades there are (upgrade.go), the exchange with the server and its connections (forward.go, exchange.go, header.go, interim.go,
// requestbody.go, stall.go, boundwrites.go, transport.go, error.go), how streams end before one of their sides ends them (stream.go, tunnel.go, frames.go,
// streambody.go), and what is noted of a request for its log line (answer.go).
//
// It does not own: who is calling, what they may, and what a failure looks like to them. Those who forward decide that (package proxy for
// requests to the app, package egress for requests of the app).
package forward

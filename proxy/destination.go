package proxy

import "strings"

// destinations says where a browser may be sent after a login or a logout.
type destinations interface {
	// allowed is the place that a caller asks for, in a form that can be sent as a Location as it is, or fallback.
	allowed(raw string, in *ingress, fallback string) string

	// home is where to go without such a wish. in may be nil, for an address that is no ingress.
	home(in *ingress) string

	// link is the address of one of our own endpoints.
	link(in *ingress, path string) string
}

// ownAddresses are those of the app behind this very Postern, as paths.
type ownAddresses struct{}

func (ownAddresses) allowed(raw string, in *ingress, fallback string) string {
	return localTarget(raw, in, fallback)
}

func (ownAddresses) home(in *ingress) string {
	if in == nil {
		return "/"
	}
	return in.root()
}

func (ownAddresses) link(in *ingress, path string) string { return in.path + path }

// absolute makes an address of a path on an ingress.
func absolute(in *ingress, target string) string {
	if strings.HasPrefix(target, "/") {
		return in.origin + target
	}
	return target
}

package guard

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// Config says who is let in.
type Config struct {
	AllowRemote  bool          // peers that are not on this machine too
	AllowedHosts []string      // in Host, beyond IP addresses, localhost and names without a dot; a port is not compared
	Secret       func() string // what each request must bring; nil: nothing. While it returns "", nobody is let in
	SecretHeader string        // the header that carries the secret alone; empty: Authorization, as a bearer token
}

// Guard is made by [New]. Any number of goroutines may use it.
type Guard struct {
	allowRemote bool
	hosts       map[string]bool
	secret      func() string
	header      string // canonical
}

// New does no I/O.
func New(cfg Config) *Guard {
	g := &Guard{allowRemote: cfg.AllowRemote, hosts: make(map[string]bool, len(cfg.AllowedHosts)), secret: cfg.Secret, header: authorization}
	for _, host := range cfg.AllowedHosts {
		if name, isIP := hostOf(strings.ToLower(host)); name != "" && !isIP {
			g.hosts[name] = true
		}
	}
	if cfg.SecretHeader != "" {
		g.header = http.CanonicalHeaderKey(cfg.SecretHeader)
	}
	return g
}

// Refusal is why a request goes no further.
type Refusal struct {
	Status      int    // 403, or 401 for the secret
	Code        string // for "error" of a JSON body
	Reason      string // stable, for logs and metrics: "peer", "host", "origin", "cross_site", "secret"
	Description string // for whoever asked; nothing of the request is in it
	Challenge   string // WWW-Authenticate of a 401 (RFC 9110 §11.6.1), else empty
}

// Check returns nil for a request that may go on. The secret is taken out of the request then, so that nothing behind can pass it on or
// log it (CVE-2023-37918).
func (g *Guard) Check(r *http.Request) *Refusal {
	switch {
	case !g.allowRemote && !isLocal(r):
		return &errPeer
	case !g.knows(r.Host):
		return &errHost
	case fromPage(r.Header):
		return &errOrigin
	case crossSite(r.Header):
		return &errCrossSite
	case !g.hasSecret(r.Header):
		return &errSecret
	}
	if g.secret != nil || g.header != authorization {
		delete(r.Header, g.header)
	}
	return nil
}

// These are read only.
var (
	errPeer      = forbidden("peer", "Only callers on this machine are answered here.")
	errHost      = forbidden("host", "The Host header is not an IP address, localhost, a name without a dot or one of the allowed hosts.")
	errOrigin    = forbidden("origin", "Requests with an Origin header come from a web page, and none is answered here.")
	errCrossSite = forbidden("cross_site", "This request comes from another site's page.")
	errSecret    = Refusal{
		Status: http.StatusUnauthorized, Code: "invalid_client", Reason: "secret", Challenge: "Bearer",
		Description: "The secret of this listener is missing or wrong.",
	}
)

func forbidden(reason, description string) Refusal {
	return Refusal{Status: http.StatusForbidden, Code: "access_denied", Reason: reason, Description: description}
}

// isLocal says whether the peer is on this machine. What cannot be read is not.
func isLocal(r *http.Request) bool {
	// A peer of a socket file may have any name at all, so the listener's own end decides.
	if local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok && local.Network() == "unix" {
		return true
	}
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	return err == nil && peer.Addr().Unmap().IsLoopback() // ::ffff:127.0.0.1 is 127.0.0.1 (CVE-2024-24790)
}

// fromPage says whether a page in a browser sends this: "null" and an empty Origin are ones too (RFC 6454 §7.1).
func fromPage(header http.Header) bool {
	_, has := header["Origin"]
	return has
}

// crossSite knows images and links of foreign pages, which have no Origin. Sec-Fetch-Mode says nothing: Node.js sends it as well.
func crossSite(header http.Header) bool {
	for _, site := range header["Sec-Fetch-Site"] {
		if strings.EqualFold(site, "cross-site") {
			return true
		}
	}
	return false
}

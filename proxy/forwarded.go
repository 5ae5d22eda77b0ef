package proxy

import (
	"net/http"
	"net/netip"

	"postern/config"
	"postern/proxy/forward"
)

// forwarding decides what the app hears about the hops before Postern (S-13). It is a convenience for links and logs, and never an input
// of an access decision.
type forwarding struct {
	transparent bool // with neither policy, require-auth nor trusted-proxies: as wonderwall
	trusted     []netip.Prefix
	family      *forward.Names // Forwarded and everything that begins with X-Forwarded-
	pass        []string       // canonical names that a trusted peer may set
}

// reverseProxyRemoves are the headers that httputil.ReverseProxy takes away before Rewrite.
var reverseProxyRemoves = [...]string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"}

// newForwarding reads "trusted-proxies" and, for exceptions within X-Forwarded-*, "forward-headers".
func newForwarding(cfg config.Front, protected bool) *forwarding {
	f := &forwarding{
		transparent: !protected && !cfg.TrustedProxiesSet,
		family:      forward.NewForwarded(),
		pass:        append(reverseProxyRemoves[:len(reverseProxyRemoves):len(reverseProxyRemoves)], "X-Forwarded-Port", "X-Forwarded-Prefix"),
	}
	for _, prefix := range cfg.TrustedProxies {
		f.trusted = append(f.trusted, unmapPrefix(prefix))
	}
	for _, name := range cfg.ForwardHeaders {
		if name = http.CanonicalHeaderKey(name); f.family.Has(name) && forward.NewRouting(nil).Has(name) {
			f.pass = append(f.pass, name)
		}
	}
	return f
}

// unmapPrefix makes 10.0.0.0/8 of ::ffff:10.0.0.0/104, because addresses are compared unmapped (peers.md row 21).
func unmapPrefix(p netip.Prefix) netip.Prefix {
	if p.Addr().Is4In6() && p.Bits() >= 96 {
		return netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p
}

// trusts says whether what the peer forwards is passed on. remoteAddr is as in [http.Request]; a peer without an address, such as one on
// a Unix socket, is not trusted.
func (f *forwarding) trusts(remoteAddr string) bool {
	addr := peerAddr(remoteAddr)
	if !addr.IsValid() {
		return false
	}
	for _, prefix := range f.trusted {
		if prefix.Contains(addr) {
			return true
		}
	}
	return false
}

// peerAddr is the address of the peer without port, zone and IPv4-in-IPv6 mapping; invalid if there is none.
func peerAddr(remoteAddr string) netip.Addr {
	peer, err := netip.ParseAddrPort(remoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return peer.Addr().WithZone("").Unmap()
}

// apply writes the forwarding headers of the outgoing request. It runs before anything that sets identity headers, some of which are
// named X-Forwarded-*.
func (f *forwarding) apply(out, in *http.Request) {
	if f.transparent {
		copyHeaders(out.Header, in.Header, reverseProxyRemoves[:])
		return
	}
	f.family.Strip(out.Header)
	if f.trusts(in.RemoteAddr) {
		copyHeaders(out.Header, in.Header, f.pass)
		return
	}
	proto := "http"
	if in.TLS != nil {
		proto = "https"
	}
	values := [3]string{in.Host, proto, ""}
	out.Header["X-Forwarded-Host"] = values[0:1:1]
	out.Header["X-Forwarded-Proto"] = values[1:2:2]
	if addr := peerAddr(in.RemoteAddr); addr.IsValid() {
		values[2] = addr.String()
		out.Header["X-Forwarded-For"] = values[2:3:3]
	}
}

// copyHeaders brings back headers line by line as they came.
func copyHeaders(out, in http.Header, names []string) {
	for _, name := range names {
		if values, ok := in[name]; ok {
			out[name] = values
		}
	}
}

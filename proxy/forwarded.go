package proxy

import (
	"net/http"
	"net/netip"
	"slices"

	"postern/config"
	"postern/proxy/forward"
)

// forwarding decides what the app hears about the hops before Postern (S-13). It is a convenience for links and logs, and never an input
// of an access decision.
type forwarding struct {
	transparent bool // with neither policy, require-auth nor trusted-proxies: as wonderwall
	trusted     []netip.Prefix
	withheld    *forward.Names // what the app never gets as it came: the family, unless transparent, and what others do not want
	pass        []string       // canonical names that a trusted peer may set; if transparent, everybody
}

// newForwarding reads "trusted-proxies" and, for exceptions within X-Forwarded-*, "forward-headers". What is in one of the other sets is
// withheld too; no peer may set it.
func newForwarding(cfg config.Front, protected bool, others ...*forward.Names) *forwarding {
	f := &forwarding{
		transparent: !protected && !cfg.TrustedProxiesSet,
		withheld:    forward.Union(others...),
		pass:        slices.Clone(forward.AboutHops[:]),
	}
	for _, prefix := range cfg.TrustedProxies {
		f.trusted = append(f.trusted, unmapPrefix(prefix))
	}
	if f.transparent { // the rest of the family is never taken away
		f.pass = slices.DeleteFunc(f.pass, f.withheld.Has)
		return f
	}
	family := forward.NewForwarded()
	for _, name := range cfg.ForwardHeaders {
		if name = http.CanonicalHeaderKey(name); family.Has(name) && forward.NewRouting(nil).Has(name) {
			f.pass = append(f.pass, name)
		}
	}
	f.pass = slices.DeleteFunc(append(f.pass, "X-Forwarded-Port", "X-Forwarded-Prefix"), f.withheld.Has)
	f.withheld = forward.Union(f.withheld, family)
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
	return len(f.trusted) > 0 && f.trustsPeer(peerAddr(remoteAddr))
}

func (f *forwarding) trustsPeer(addr netip.Addr) bool {
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

// apply writes the forwarding headers of an outgoing request, of which what is withheld is gone. It runs before anything that sets identity
// headers, some of which are named X-Forwarded-*.
func (f *forwarding) apply(out, in *http.Request) {
	if f.transparent {
		copyHeaders(out.Header, in.Header, f.pass)
		return
	}
	peer := peerAddr(in.RemoteAddr)
	if f.trustsPeer(peer) {
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
	if peer.IsValid() {
		values[2] = peer.String()
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

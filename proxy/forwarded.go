package proxy

import (
	"hash/maphash"
	"net/http"
	"net/netip"
	"slices"
	"sync/atomic"

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
	peers       peers
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
	return len(f.trusted) > 0 && f.trustsPeer(f.peers.of(remoteAddr).addr)
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

// peers remember who is at the other end of some connections: that is the same for each of their requests.
type peers [256]atomic.Pointer[peer]

// peer is the other end of a connection.
type peer struct {
	remoteAddr string // as in [http.Request]
	addr       netip.Addr
	value      []string // addr as a header value; nil if there is none
}

var peerSeed = maphash.MakeSeed()

func (p *peers) of(remoteAddr string) *peer {
	place := &p[maphash.String(peerSeed, remoteAddr)%uint64(len(p))]
	if known := place.Load(); known != nil && known.remoteAddr == remoteAddr {
		return known
	}
	made := &peer{remoteAddr: remoteAddr, addr: peerAddr(remoteAddr)}
	if made.addr.IsValid() {
		made.value = []string{made.addr.String()}
	}
	place.Store(made)
	return made
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
	peer := f.peers.of(in.RemoteAddr)
	if f.trustsPeer(peer.addr) {
		copyHeaders(out.Header, in.Header, f.pass)
		return
	}
	out.Header["X-Forwarded-Host"] = []string{in.Host}
	out.Header["X-Forwarded-Proto"] = schemeHTTP
	if in.TLS != nil {
		out.Header["X-Forwarded-Proto"] = schemeHTTPS
	}
	if peer.value != nil {
		out.Header["X-Forwarded-For"] = peer.value
	}
}

var schemeHTTP, schemeHTTPS = []string{"http"}, []string{"https"}

// copyHeaders brings back headers line by line as they came.
func copyHeaders(out, in http.Header, names []string) {
	for _, name := range names {
		if values, ok := in[name]; ok {
			out[name] = values
		}
	}
}

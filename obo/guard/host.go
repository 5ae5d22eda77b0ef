package guard

import (
	"net/netip"
	"strings"
)

const maxHost = 255 // of a name (RFC 1035 §2.3.4), and more than any address has

// knows says whether a Host can only be meant for us. A page that points its own name at this machine sends that name: a public one, with a
// dot. No Host at all (HTTP/1.0) says nothing, so it is not ours either.
func (g *Guard) knows(host string) bool {
	name, isIP := hostOf(host)
	switch {
	case name == "":
		return false
	case isIP, strings.IndexByte(name, '.') < 0:
		return true // "localhost" has no dot
	}
	return g.hosts[name] || len(g.hosts) > 0 && g.hosts[strings.ToLower(name)]
}

// hostOf reads a Host (RFC 9110 §7.2) without its port. It is empty for whatever is not plainly a name or an IP address: nobody shall read
// another host in it than we do.
func hostOf(host string) (name string, isIP bool) {
	if strings.HasPrefix(host, "[") {
		address, rest, closed := strings.Cut(host[1:], "]")
		if !closed || rest != "" && !isPort(rest) {
			return "", false
		}
		if ip, err := netip.ParseAddr(address); err != nil || !ip.Is6() || ip.Zone() != "" {
			return "", false
		}
		return address, true
	}
	name = host
	if colon := strings.IndexByte(host, ':'); colon >= 0 {
		if name = host[:colon]; !isPort(host[colon:]) {
			return "", false
		}
	}
	if !isName(name) {
		return "", false
	}
	// Every number is an address to somebody (WHATWG URL: a last label of digits makes it IPv4), so one that is none is no name either.
	if last := name[strings.LastIndexByte(name, '.')+1:]; strings.IndexByte(name, '.') >= 0 && isNumber(last) {
		ip, err := netip.ParseAddr(name)
		return name, err == nil && ip.Is4()
	}
	return name, false
}

// isPort knows ":" and one to five digits.
func isPort(s string) bool { return len(s) >= 2 && len(s) <= 6 && s[0] == ':' && isNumber(s[1:]) }

func isNumber(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// isName holds a name to letters, digits, "-", "_" and "." between them.
func isName(s string) bool {
	if s == "" || len(s) > maxHost {
		return false
	}
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_', c == '.':
		default:
			return false
		}
	}
	return true
}

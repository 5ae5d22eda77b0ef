package config

import (
	"sort"
	"strings"
)

func (l *loader) checkIdentity() {
	names := make([]string, 0, len(l.c.Identity.Claims))
	for name := range l.c.Identity.Claims {
		names = append(names, name)
	}
	sort.Strings(names)
	seen := map[string]bool{}
	for _, name := range names {
		why := refusedHeader(name)
		if why == "" && seen[folded(name)] {
			why = "is the same header as another one to some apps"
		}
		if why != "" {
			shown := "a header"
			if printable(name) {
				shown = name
			}
			l.problem("identity.claims", "%s %s", shown, why)
		}
		seen[folded(name)] = true
	}
	if l.c.Identity.MaxBytes == 0 {
		l.missing("identity.max-bytes", "must be larger than 0")
	}
	if l.c.Upstream.IncludeIDToken && !l.c.LoginEnabled() {
		l.warn("upstream-include-id-token", "has no effect without login")
	}
}

// refusedHeader says why a header can be neither set from a claim nor passed on from clients (S-24); empty if it can.
func refusedHeader(name string) string {
	if !token(name) {
		return "is no header name"
	}
	name = folded(name)
	for _, family := range []string{"xpostern", "xwonderwall", "xmsclientprincipal", "xmstoken", "xauthrequest"} {
		if strings.HasPrefix(name, family) {
			return "is a header that Postern manages"
		}
	}
	switch name {
	case "xforwardeduser", "xforwardedemail", "xforwardedgroups", "xforwardedpreferredusername", "xforwardedaccesstoken", "xforwardedidtoken",
		"remoteuser", "xremoteuser", "remotegroups":
		return "is a header that Postern manages"
	case "authorization", "host", "cookie", "setcookie":
		return "has a meaning of its own in HTTP"
	case "connection", "keepalive", "proxyconnection", "proxyauthenticate", "proxyauthorization", "te", "trailer", "transferencoding", "upgrade",
		"http2settings":
		return "belongs to one connection only (RFC 9110 §7.6.1)"
	case "forwarded", "xforwardedfor", "xforwardedhost", "xforwardedproto", "xforwardedport", "xforwardedprefix":
		return "is set by proxies; see trusted-proxies"
	}
	if strings.HasPrefix(name, "content") {
		return "describes the body"
	}
	return ""
}

// folded is how S-24 compares names: letters and digits only, without case.
func folded(name string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z' || '0' <= r && r <= '9':
			return r
		case 'A' <= r && r <= 'Z':
			return r - 'A' + 'a'
		}
		return -1
	}, name)
}

// token is RFC 9110 §5.6.2.
func token(text string) bool {
	for i := range len(text) {
		b := text[i]
		switch {
		case 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z' || '0' <= b && b <= '9':
		case strings.IndexByte("!#$%&'*+-.^_`|~", b) >= 0:
		default:
			return false
		}
	}
	return text != ""
}

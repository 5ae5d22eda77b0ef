package doctor

import (
	"context"
	"net"
	"net/netip"

	"postern/config"
)

// ingress looks at the addresses at which browsers come.
func (w World) ingress(ctx context.Context) []Finding {
	const check = "ingress"
	var found []Finding
	for _, u := range w.Config.Front.Ingress {
		host := u.Hostname()
		if config.LoopbackHost(host) {
			continue
		}
		if u.Scheme != "https" {
			found = append(found, problem(check, "Give the https address: cookies are Secure, and browsers send them over https alone (loopback excepted).",
				"%s is http and not loopback: no login comes to an end", u))
		}
		if _, err := netip.ParseAddr(host); err == nil {
			continue
		}
		if _, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host); err != nil {
			found = append(found, warning(check, "Make the DNS record; a name that is known to browsers alone is no fault.", "%s does not resolve here: %v", host, err))
		}
	}
	return judged(found, check, "%d, each by https or on loopback", len(w.Config.Front.Ingress))
}

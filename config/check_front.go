package config

import (
	"errors"
	"net"
	"net/netip"
	"net/url"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// checkIngress brings the ingresses into one form: lower case, no default port, path without a slash at its end.
func (l *loader) checkIngress() {
	var kept []*url.URL
	seen := map[string]bool{}
	for i, u := range l.c.Front.Ingress {
		if (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "" {
			l.problem("ingress", "entry %d must be an http or https address with a host", i+1)
			continue
		}
		if u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
			if l.doubt("ingress", "entry %d must have no user, query or fragment", i+1) {
				continue
			}
		}
		if oddPath(u) {
			l.problem("ingress", "entry %d has a path that can be read in several ways (//, ., .., ;, \\ or an escaped slash)", i+1)
			continue
		}
		u = &url.URL{Scheme: u.Scheme, Host: canonicalHost(u), Path: strings.TrimRight(u.Path, "/")}
		if seen[u.String()] {
			l.doubt("ingress", "entry %d repeats an earlier one", i+1)
			continue
		}
		seen[u.String()] = true
		kept = append(kept, u)
	}
	l.c.Front.Ingress = kept
	if len(kept) == 0 && l.c.LoginEnabled() && !l.offline {
		l.missing("ingress", "required for login: the address at which browsers reach the app")
	}
}

// oddPath says whether servers could disagree on what the path of an address is; slashes at its end do not count.
func oddPath(u *url.URL) bool {
	clean := strings.TrimRight(u.Path, "/")
	return clean != "" && (path.Clean(clean) != clean || strings.ContainsAny(clean, `\;`)) || strings.Contains(strings.ToLower(u.RawPath), "%2f")
}

// canonicalHost is what a browser sends as Host.
func canonicalHost(u *url.URL) string {
	host, port := strings.ToLower(u.Hostname()), u.Port()
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if port == "" || u.Scheme == "http" && port == "80" || u.Scheme == "https" && port == "443" {
		return host
	}
	return host + ":" + port
}

func (l *loader) checkUpstream() {
	ip, port := l.upstreamIP != "", l.upstreamPort != 0
	switch {
	case ip && !port:
		l.missing("upstream-port", "required together with upstream-ip")
	case port && !ip:
		l.missing("upstream-ip", "required together with upstream-port")
	case ip:
		if _, err := netip.ParseAddr(l.upstreamIP); err != nil {
			l.doubt("upstream-ip", "must be an IP address")
		}
	}
	host, err := upstreamAddress(l.c.Upstream.Host)
	if err != nil {
		l.missing("upstream-host", "%v", err)
		return
	}
	l.c.Upstream.Host = host
}

// upstreamAddress adds http's port where none is given.
func upstreamAddress(address string) (string, error) {
	wrong := errors.New("must be host:port or unix:/path, without a scheme")
	if file, ok := strings.CutPrefix(address, "unix:"); ok {
		if !filepath.IsAbs(file) {
			return "", wrong
		}
		return address, nil
	}
	if strings.ContainsAny(address, "/@?#\\ ") {
		return "", wrong
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil && !strings.Contains(address, ":") {
		host, port, err = address, "80", nil
	}
	number, numberErr := strconv.ParseUint(port, 10, 16)
	if err != nil || numberErr != nil || number == 0 || host == "" {
		return "", wrong
	}
	return net.JoinHostPort(host, port), nil
}

func (l *loader) checkFront() {
	f := &l.c.Front
	for i, p := range f.AutoLoginIgnorePaths {
		if !strings.HasPrefix(p, "/") {
			f.AutoLoginIgnorePaths[i] = "/" + p
		}
	}
	f.AutoLoginIgnorePaths = withoutRepeats(f.AutoLoginIgnorePaths)
	if f.AutoLogin && !l.c.LoginEnabled() {
		l.problem("auto-login", "needs login: openid.client-id is not given")
	}
	if f.RequireAuth && !l.c.LoginEnabled() && !l.c.Bearer.Enabled() && !l.offline && !l.refused("bearer.providers") {
		const nobody = "lets nobody in at all: neither login nor bearer validation is on"
		if len(l.c.Policy.Files) > 0 { // whose public paths are open all the same
			l.warn("require-auth", nobody+"; only public paths of the policy can be reached")
		} else {
			l.problem("require-auth", nobody)
		}
	}
	guarded := (f.RequireAuth || len(l.c.Policy.Files) > 0) && l.c.Policy.Mode != "report"
	if guarded && len(f.AutoLoginIgnorePaths) > 0 { // S-14
		l.warn("auto-login-ignore-paths", "with require-auth or policy-file these paths get 401 instead of a redirect and are not open: %s",
			strings.Join(f.AutoLoginIgnorePaths, " "))
	}
	for _, p := range f.TrustedProxies {
		if p.Bits() == 0 { // S-13
			l.problem("trusted-proxies", "must not trust everybody (0.0.0.0/0 or ::/0)")
		}
	}
	for i, origin := range f.CSRFTrustedOrigins {
		u, err := url.Parse(origin)
		if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "" || u.User != nil || strings.Trim(u.Path, "/") != "" ||
			u.RawQuery != "" || u.Fragment != "" {
			l.problem("csrf.trusted-origins", "entry %d must be an origin such as https://other.example.org", i+1)
			continue
		}
		f.CSRFTrustedOrigins[i] = u.Scheme + "://" + canonicalHost(u)
	}
	for i, name := range f.ForwardHeaders {
		if why := refusedHeader(name); why != "" {
			l.problem("forward-headers", "entry %d %s", i+1, why)
		}
	}
	for i, scheme := range f.AuthorizationSchemes {
		if !token(scheme) || strings.EqualFold(scheme, "Bearer") {
			l.problem("authorization-passthrough", "entry %d must be a scheme other than Bearer, such as Basic", i+1)
		}
	}
	if len(f.AuthorizationSchemes) > 0 && !l.c.Bearer.Enabled() {
		l.warn("authorization-passthrough", "has no effect: bearer validation is off, so every scheme passes")
	}
}

func withoutRepeats(list []string) []string {
	var out []string
	for _, v := range list {
		if !slices.Contains(out, v) {
			out = append(out, v)
		}
	}
	return out
}

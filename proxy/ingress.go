package proxy

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"postern/proxy/forward"
)

// ingress is one external address of the app. Every absolute URL that Postern writes starts with one (S-35): never with a Host header.
type ingress struct {
	origin string // scheme://host[:port], as browsers write it
	host   string // host[:port] without the scheme's default port, lower case
	path   string // "" or "/app": no slash at the end
	secure bool

	cookies cookieNames
}

// ingresses are sorted by the length of their paths, longest first.
type ingresses []*ingress

func newIngresses(urls []*url.URL) ingresses {
	var all ingresses
	for _, u := range urls {
		host := canonicalHost(u.Host, u.Scheme)
		all = append(all, &ingress{
			origin: u.Scheme + "://" + host,
			host:   host,
			path:   strings.TrimRight(u.EscapedPath(), "/"),
			secure: u.Scheme == "https",
		})
	}
	slices.SortStableFunc(all, func(a, b *ingress) int { return len(b.path) - len(a.path) })
	return all
}

// canonicalHost lowers the case and drops the default port of the scheme, as browsers do for Host and Origin.
func canonicalHost(host, scheme string) string {
	host = strings.ToLower(host)
	switch scheme {
	case "https":
		return strings.TrimSuffix(host, ":443")
	case "http":
		return strings.TrimSuffix(host, ":80")
	}
	return host
}

// url is the ingress followed by a path of ours, such as "/oauth2/callback".
func (in *ingress) url(path string) string { return in.origin + in.path + path }

// root is where the app starts: the path of the ingress, or "/".
func (in *ingress) root() string {
	if in.path == "" {
		return "/"
	}
	return in.path
}

// match finds the ingress with the longest path that a request came in by, or nil. A forwarded host only chooses among the configured
// ones, and never beats a Host that is one (S-13).
func (all ingresses) match(host, forwardedHost, path string) *ingress {
	if in := all.matchHost(host, path); in != nil || forwardedHost == "" {
		return in
	}
	return all.matchHost(forwardedHost, path)
}

func (all ingresses) matchHost(host, path string) *ingress {
	for _, in := range all {
		if sameHost(host, in) && underPath(path, in.path) {
			return in
		}
	}
	return nil
}

func sameHost(host string, in *ingress) bool {
	if host == in.host || strings.EqualFold(host, in.host) {
		return true
	}
	scheme := "http"
	if in.secure {
		scheme = "https"
	}
	return canonicalHost(host, scheme) == in.host
}

// underPath compares by whole segments: "/app" owns "/app" and "/app/x" but not "/application" (S-53).
func underPath(path, prefix string) bool {
	return strings.HasPrefix(path, prefix) && (len(path) == len(prefix) || prefix == "" || path[len(prefix)] == '/')
}

// forwardedHost is the X-Forwarded-Host of a peer that may speak for others, or "".
func (h *Handler) forwardedHost(r *http.Request) string {
	values := r.Header["X-Forwarded-Host"]
	if len(values) != 1 || !h.forwarding.trusts(r.RemoteAddr) {
		return ""
	}
	return values[0]
}

// origins are what the Origin header of a page on one of our ingresses says.
func (all ingresses) origins() []string {
	var origins []string
	for _, in := range all {
		if !slices.Contains(origins, in.origin) {
			origins = append(origins, in.origin)
		}
	}
	return origins
}

// ingressOf is the ingress that a request came in by. There is no login, no session and no cookie on any other host (S-35).
func (h *Handler) ingressOf(r *http.Request) (*ingress, error) {
	if in := h.ingresses.match(r.Host, h.forwardedHost(r), forward.RawPath(r)); in != nil {
		return in, nil
	}
	return nil, badRequest("unknown_host", "This address is not one that the app is known by (option ingress).")
}

package proxy

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"postern/proxy/forward"
)

// crossSite refuses requests that another site made a browser send with the session cookie (S-17). Apps behind Postern see a bearer token
// and have no defence of their own against that.
type crossSite struct {
	off      bool
	sameSite bool // refuse same-site requests too: sibling domains
	origins  map[string]struct{}
}

// newCrossSite takes the mode "cross-site", "same-origin" or "off", and the origins that may always ask: those of the ingresses and
// "csrf.trusted-origins". An unknown mode is the strictest.
func newCrossSite(mode string, ingressOrigins, trusted []string) *crossSite {
	c := &crossSite{off: mode == "off", sameSite: mode != "cross-site", origins: map[string]struct{}{}}
	for _, list := range [][]string{ingressOrigins, trusted} {
		for _, origin := range list {
			if origin = canonicalOrigin(origin); origin != "" {
				c.origins[origin] = struct{}{}
			}
		}
	}
	return c
}

// canonicalOrigin is the origin as browsers write it (RFC 6454 §6.2), or "" if it is none; "null" is none.
func canonicalOrigin(origin string) string {
	u, err := url.Parse(strings.ToLower(origin))
	if err != nil || u.Scheme == "" || u.Host == "" {
		return ""
	}
	host := u.Host
	if port := u.Port(); port == "" || u.Scheme == "https" && port == "443" || u.Scheme == "http" && port == "80" {
		host = strings.TrimSuffix(host, ":"+port)
	}
	return u.Scheme + "://" + host
}

// refuses decides on a request whose caller is known by the cookie. Callers with a bearer token are not asked.
func (c *crossSite) refuses(r *http.Request) bool {
	if c.off || safe(r.Method) && !forward.AsksForUpgrade(r) && len(r.Header["Sec-Websocket-Key"]) == 0 { // which ingresses pass on that ask about a handshake
		return false
	}
	origins := r.Header["Origin"]
	if len(origins) > 0 && c.allowed(origins) {
		return false
	}
	sites := r.Header["Sec-Fetch-Site"]
	if len(sites) == 0 {
		return len(origins) > 0
	}
	for _, site := range sites {
		switch site {
		case "same-origin", "none":
		case "same-site":
			if c.sameSite {
				return true
			}
		default: // "cross-site", and what nobody knows yet
			return true
		}
	}
	return false
}

func (c *crossSite) allowed(origins []string) bool {
	for _, origin := range origins {
		if _, ok := c.origins[origin]; !ok {
			return false
		}
	}
	return true
}

// bySomebodyElse says whether another site's page asks an own endpoint. Browsers that do not say by themselves where a request comes from have
// Origin on those of scripts.
func (h *Handler) bySomebodyElse(r *http.Request) bool {
	if sites := r.Header["Sec-Fetch-Site"]; len(sites) > 0 {
		return slices.Contains(sites, "cross-site")
	}
	origins := r.Header["Origin"]
	ours := len(origins) == 0 || h.crossSite.allowed(origins) || h.domain != nil && len(origins) == 1 && h.domain.hasOrigin(origins[0])
	return !ours
}

// safe methods are those that a link can send (RFC 9110 §9.2.1).
func safe(method string) bool {
	return method == http.MethodGet || method == http.MethodHead || method == http.MethodOptions
}

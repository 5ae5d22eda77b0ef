package proxy

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"postern/config"
	"postern/proxy/policy"
)

// domain is the domain that an SSO server logs in for: whose hosts share its session cookie, may ask it by script, and may be gone back to.
type domain struct {
	name     string
	local    bool   // on loopback, for development: any scheme and port will do there
	fallback string // sso.server-default-redirect-url
	sameSite http.SameSite
	own      ingresses // of the server itself, where nobody can be sent back to
}

func newDomain(cfg config.SSO, sameSite string, own ingresses) (*domain, error) {
	modes := map[string]http.SameSite{"Lax": http.SameSiteLaxMode, "None": http.SameSiteNoneMode, "Strict": http.SameSiteStrictMode}
	mode, known := modes[sameSite]
	if !known || cfg.Domain == "" || cfg.ServerDefaultRedirectURL == "" {
		return nil, fmt.Errorf("sso: domain, default address or cookie.same-site %q cannot be used", sameSite)
	}
	return &domain{
		name: strings.ToLower(cfg.Domain), local: config.LoopbackHost(cfg.Domain), fallback: cfg.ServerDefaultRedirectURL, sameSite: mode, own: own,
	}, nil
}

// share gives an own cookie to the whole domain. The provider's redirect comes from another site, so that cookies of logins stay Lax.
func (d *domain) share(c *http.Cookie, in *ingress) { //nolint:gosec // the rest of it is set already
	c.Domain, c.Path = d.name, "/"
	if !strings.HasPrefix(c.Name, in.cookies.login) {
		c.SameSite = d.sameSite
	}
}

// origin is scheme, host and port of an address of this domain: https at its own port, without a user. Hosts are compared by whole labels.
func (d *domain) origin(u *url.URL) (origin string, ours bool) {
	host, port := strings.ToLower(u.Hostname()), u.Port()
	if u.Opaque != "" || u.User != nil || !config.WithinDomain(host, d.name) {
		return "", false
	}
	switch {
	case d.local && (u.Scheme == "http" || u.Scheme == "https"):
		if port != "" {
			host += ":" + port
		}
	case u.Scheme != "https" || port != "" && port != "443":
		return "", false
	}
	return u.Scheme + "://" + canonicalHost(host, u.Scheme), true
}

// allowed takes absolute addresses of the domain and nothing else (S-52). It refuses own endpoints, here and of the proxies: a login must not end in
// a logout or in the next login.
func (d *domain) allowed(raw string, _ *ingress, fallback string) string {
	if raw == "" || len(raw) > maxDeepLink || strings.ContainsFunc(raw, unsafeInLocation) {
		return fallback
	}
	u, err := url.Parse(raw)
	if err != nil {
		return fallback
	}
	origin, ours := d.origin(u)
	path := u.EscapedPath()
	if path == "" {
		path = "/"
	}
	if !ours || slices.ContainsFunc(d.own, func(in *ingress) bool { return in.origin == origin }) || !strings.HasPrefix(path, "/") || isOwn(path) {
		return fallback
	}
	target := origin + path
	if u.RawQuery != "" || u.ForceQuery {
		target += "?" + u.RawQuery
	}
	if u.Fragment != "" {
		target += "#" + u.EscapedFragment()
	}
	return target
}

// isOwn says whether a path is an own endpoint of a Postern at the root of its host, in any reading.
func isOwn(path string) bool {
	readings, err := policy.Readings(path)
	return err != nil || slices.ContainsFunc(readings, func(reading string) bool { return underPath(reading, ownPrefix) })
}

func (d *domain) home(*ingress) string { return d.fallback }

// link is absolute: proxies show pages of the server under addresses of their own.
func (d *domain) link(in *ingress, path string) string { return in.url(path) }

package config

import (
	"net/url"
	"strings"
)

// checkSSO looks at what an SSO server or one of its proxies cannot work without, and at where it would send people.
func (l *loader) checkSSO() {
	s := &l.c.SSO
	if !s.Enabled {
		return
	}
	if s.SessionCookieName == "" {
		l.missing("sso.session-cookie-name", "required with sso.enabled")
	} else if !token(s.SessionCookieName) {
		l.problem("sso.session-cookie-name", "must consist of characters that a cookie's name may have (RFC 6265 §4.1.1)")
	}
	if !l.c.Redis.Enabled() {
		l.missing("redis.uri", "required with sso.enabled: the server and its proxies share the store")
	}
	if l.c.SSOProxy() {
		l.checkWebURL("sso.server-url", s.ServerURL)
		s.ServerURL = strings.TrimRight(s.ServerURL, "/")
		return
	}
	l.checkDomain()
	l.checkWebURL("sso.server-default-redirect-url", s.ServerDefaultRedirectURL)
	if u, err := url.Parse(s.ServerDefaultRedirectURL); err == nil {
		for _, in := range l.c.Front.Ingress {
			if in.Scheme == u.Scheme && in.Host == canonicalHost(u) && in.Path == "" {
				l.doubt("sso.server-default-redirect-url", "must not be the server itself, which leads there again and again")
			}
		}
	}
	if l.c.Cookie.SameSite == "None" && !l.c.Cookie.Secure {
		l.doubt("cookie.same-site", "None needs cookie.secure: browsers drop such cookies otherwise")
	}
	for _, name := range []string{
		"upstream-host", "upstream-ip", "auto-login", "require-auth", "policy-file", "bearer.providers", "upstream-tokens", "identity.headers", "identity.assertion",
	} {
		if l.said(name) {
			l.warn(name, "has no effect as SSO server: there is no app behind it")
		}
	}
}

// checkDomain also holds the ingresses to it: a browser keeps no cookie for a domain that its server is not in.
func (l *loader) checkDomain() {
	s := &l.c.SSO
	s.Domain = strings.ToLower(strings.TrimPrefix(s.Domain, "."))
	if !domainName(s.Domain) {
		l.missing("sso.domain", "required as SSO server: a domain such as example.org")
		return
	}
	for i, in := range l.c.Front.Ingress {
		if !WithinDomain(in.Hostname(), s.Domain) {
			l.doubt("ingress", "entry %d is not within sso.domain: browsers would not keep the session cookie", i+1)
		}
	}
}

// WithinDomain says whether a host is a domain, or below it by whole labels.
func WithinDomain(host, domain string) bool {
	host = strings.ToLower(host)
	return host == domain || strings.HasSuffix(host, "."+domain) && domainName(host)
}

// domainName says whether a text is labels of letters, digits and hyphens, one of them at least no digit: no IP address.
func domainName(text string) bool {
	if len(text) > 253 || strings.Trim(text, "0123456789.") == "" {
		return false
	}
	for label := range strings.SplitSeq(text, ".") {
		if label == "" || len(label) > 63 || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return false
		}
	}
	return true
}

// checkWebURL wants https: session cookies, and people who just logged in, go there.
func (l *loader) checkWebURL(name, text string) {
	u, err := url.Parse(text)
	switch {
	case text == "" || err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "" || u.User != nil || u.Fragment != "":
		l.missing(name, "required with sso.enabled: an https address")
	case name == "sso.server-url" && (u.RawQuery != "" || u.ForceQuery || oddPath(u)):
		l.doubt(name, "must have no query, and a path that can be read in one way only")
	case u.Scheme == "http" && !LoopbackHost(u.Hostname()):
		l.doubt(name, "must be https unless it is on loopback")
	}
}

package config

import (
	"net"
	"net/url"
	"strings"
)

// checkToken looks at who may ask the token API, and the egress by the same rules (S-22).
func (l *loader) checkToken() {
	t := &l.c.Token
	l.checkSecretFile("token.secret-file", t.SecretFile)
	for i, host := range t.AllowedHosts {
		if !hostName(host) {
			l.problem("token.allowed-hosts", "entry %d must be a host name such as postern.example.org, without scheme and path", i+1)
		}
	}
}

// checkSecretFile reads the file of a secret that is no option itself.
func (l *loader) checkSecretFile(name, path string) {
	if path == "" || l.offline {
		return
	}
	if _, err := secretIn(l.read, path); err != nil {
		l.problem(name, "read %s: %v", shownPath(path), err)
	}
}

// hostName accepts a name or an address, with or without a port.
func hostName(host string) bool {
	u, err := url.Parse("http://" + host)
	return err == nil && u.Host == host && u.Hostname() != "" && validPort(u.Port()) && !strings.HasSuffix(host, ":") &&
		(net.ParseIP(u.Hostname()) != nil || strings.Trim(strings.ToLower(u.Hostname()), "abcdefghijklmnopqrstuvwxyz0123456789-._") == "")
}

// checkLoopback keeps a listener that attaches tokens to calls away from other machines (S-21, S-22), unless the operator means it.
func (l *loader) checkLoopback(name, address string, on bool) {
	if !on || strings.HasPrefix(address, "unix:") {
		return
	}
	host, _, err := net.SplitHostPort(address)
	switch {
	case err != nil || LoopbackHost(host): // what is no address at all is a problem elsewhere
	case l.c.Token.AllowRemote:
		l.warn(name, "other machines can reach it (token.allow-remote): whoever does gets the app's tokens%s", l.unlessSecret())
	default:
		l.problem(name, "must be on loopback, or unix:/path (%s); token.allow-remote permits others", l.option(name).origin.label)
	}
}

func (l *loader) unlessSecret() string {
	if l.c.Token.SecretFile != "" {
		return " with the secret of token.secret-file"
	}
	return ""
}

// checkUpstreamTokens is S-43: each is a header that nobody else writes, with a token that its provider gives on behalf of a user.
func (l *loader) checkUpstreamTokens() {
	seen := map[string]string{}
	for name := range l.c.Identity.Claims {
		seen[folded(name)] = "a header of identity.claims"
	}
	for i := range l.c.Identity.UpstreamTokens {
		token := &l.c.Identity.UpstreamTokens[i]
		refuse := func(format string, args ...any) {
			l.problem("upstream-tokens", "entry %d "+format, append([]any{i + 1}, args...)...)
		}
		why, other := refusedHeader(token.Header), seen[folded(token.Header)]
		switch {
		case token.Header == "":
			refuse("needs header: how the app gets its token")
		case why != "":
			refuse("header %s", why)
		case other != "":
			refuse("header is %s too, at least to some apps", other)
		default:
			seen[folded(token.Header)] = "that of an earlier entry"
		}
		if why := l.c.whyNoTokens(token.Provider, false, true); why != "" {
			refuse("%s", why)
		}
		if token.Target == "" {
			refuse("needs target: whom its token is for")
		}
		for j, glob := range token.Paths {
			if !strings.HasPrefix(glob, "/") {
				token.Paths[j] = "/" + glob
			}
		}
	}
	if len(l.c.Identity.UpstreamTokens) > 0 && !l.c.LoginEnabled() && !l.c.Bearer.Enabled() && !l.refused("bearer.providers") {
		l.problem("upstream-tokens", "needs login or bearer validation: nobody is known for whom a token could be got")
	}
}

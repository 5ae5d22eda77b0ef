package e2e

import (
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
)

// jar is the standard jar with the two habits of browsers that it lacks: loopback names count as secure, so that Secure cookies are kept and sent on
// http://*.localhost; and a cookie that breaks the rules of its name's prefix is thrown away (RFC 6265bis 4.1.3), which here fails the test.
type jar struct {
	*cookiejar.Jar
	t testing.TB
}

func (j *jar) SetCookies(u *url.URL, cookies []*http.Cookie) {
	for _, c := range cookies {
		if why := brokenPrefix(c); why != "" {
			j.t.Errorf("a browser throws the cookie %s away: %s", c.Name, why)
		}
	}
	j.Jar.SetCookies(asSecure(u), cookies)
}

func (j *jar) Cookies(u *url.URL) []*http.Cookie { return j.Jar.Cookies(asSecure(u)) }

func brokenPrefix(c *http.Cookie) string {
	name := strings.ToLower(c.Name)
	switch {
	case strings.HasPrefix(name, "__host-") && (!c.Secure || c.Path != "/" || c.Domain != ""):
		return "__Host- demands Secure, Path=/ and no Domain"
	case strings.HasPrefix(name, "__secure-") && !c.Secure:
		return "__Secure- demands Secure"
	case c.SameSite == http.SameSiteNoneMode && !c.Secure:
		return "SameSite=None demands Secure"
	}
	return ""
}

func asSecure(u *url.URL) *url.URL {
	ip := net.ParseIP(u.Hostname())
	if u.Scheme != "http" || !isLocalhost(u.Hostname()) && (ip == nil || !ip.IsLoopback()) {
		return u
	}
	secure := *u
	secure.Scheme = "https"
	return &secure
}

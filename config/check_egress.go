package config

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// setDefaults is what an entry of egress.routes says by saying nothing.
func (r *EgressRoute) setDefaults() { r.As, r.Timeout = "user", 30*time.Second }

// checkEgress is S-21: a route has a plain name, leads to one place, and gets tokens that its provider gives.
func (l *loader) checkEgress() {
	for i := range l.c.Egress.Routes {
		route := &l.c.Egress.Routes[i]
		refuse := func(format string, args ...any) {
			l.problem("egress.routes", "entry %d "+format, append([]any{i + 1}, args...)...)
		}
		if why := routeNameProblem(route.Name, l.c.Egress.Routes[:i]); why != "" {
			refuse("%s", why)
		}
		if why := targetURLProblem(route.URL); why != "" {
			refuse("%s", why)
		} else if inClear(route.URL) {
			l.warn("egress.routes", "entry %d sends tokens over http: whoever is on the way can read them", i+1)
		}
		if err := known(route.As, []string{"user", "app", "auto"}); err != nil {
			refuse("as %v", err)
		} else if why := l.c.whyNoTokens(route.Provider, route.As != "user", route.As != "app"); why != "" {
			refuse("%s", why)
		} else if why := l.c.whyNotInbound(route.Provider); route.Provider == openID && route.As != "app" && why != "" {
			refuse("provider openid %s", why) // its users' tokens are looked at before they are exchanged
		}
		if route.H2C && strings.HasPrefix(strings.ToLower(route.URL), "https:") {
			refuse("says h2c, which is HTTP/2 over http; over https it is spoken where the other side knows it")
		}
		if route.Target == "" {
			refuse("needs target: whom its tokens are for")
		}
		if route.Timeout == 0 {
			refuse("timeout must be longer than 0s")
		}
		if route.Open && route.As == "user" {
			l.warn("egress.routes", "entry %d says open, which has no effect without as: app or as: auto", i+1)
		}
	}
}

// routeNameProblem keeps names to what can be a path segment and a label of a host name, each in one spelling.
func routeNameProblem(name string, before []EgressRoute) string {
	plain := name != "" && len(name) <= 63 && name[0] != '-' && name[len(name)-1] != '-' // RFC 1035 §2.3.1
	for i := range len(name) {
		c := name[i] | 0x20
		plain = plain && ('a' <= c && c <= 'z' || '0' <= name[i] && name[i] <= '9' || name[i] == '-')
	}
	switch {
	case name == "":
		return "needs a name, by which the app calls it"
	case !plain:
		return "name must consist of at most 63 letters, digits and -, and neither begin nor end with -"
	case slices.ContainsFunc(before, func(other EgressRoute) bool { return strings.EqualFold(other.Name, name) }):
		return "name is that of an earlier entry"
	}
	return ""
}

// targetURLProblem wants an address that calls can be appended to.
func targetURLProblem(text string) string {
	u, err := url.Parse(text)
	switch {
	case text == "":
		return "needs url: where its calls go"
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || !validPort(u.Port()):
		return "url must be an address such as https://orders.example.org/api"
	case u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || strings.HasSuffix(text, "#"):
		return "url must have no user, query or fragment"
	case oddPath(u):
		return "url has a path that can be read in several ways (//, ., .., ;, \\ or an escaped slash)"
	}
	return ""
}

func validPort(port string) bool {
	if port == "" {
		return true
	}
	number, err := strconv.ParseUint(port, 10, 16)
	return err == nil && number > 0
}

func inClear(address string) bool {
	u, err := url.Parse(address)
	return err == nil && u.Scheme == "http" && !LoopbackHost(u.Hostname())
}

// whyNoTokens says what keeps a provider from giving tokens for calls: the app's own, or those on behalf of its users; empty if nothing
// does.
func (c *Config) whyNoTokens(provider string, app, user bool) string {
	p := &c.Providers
	switch provider {
	case "":
		return "needs provider: who gives its tokens"
	case entraID:
		if !p.Azure.Enabled {
			return "provider entra_id is not enabled: AZURE_ENABLED=true does that"
		}
	case tokenX:
		if !p.TokenX.Enabled {
			return "provider tokenx is not enabled: TOKEN_X_ENABLED=true does that"
		}
		if app {
			return "provider tokenx gives tokens on behalf of users only"
		}
	case maskinporten:
		if !p.Maskinporten.Enabled {
			return "provider maskinporten is not enabled: MASKINPORTEN_ENABLED=true does that"
		}
		if user {
			return "provider maskinporten gives tokens to the app itself only"
		}
	case idPorten:
		return "provider idporten gives no tokens for calls; tokenx exchanges those of its users"
	case openID:
		if c.OpenID.Provider != "openid" || c.OpenID.ClientID == "" || c.OpenID.WellKnownURL == "" {
			return "provider openid is not there: it is the login provider of openid.client-id and openid.well-known-url"
		}
	default:
		return "provider " + known(provider, []string{entraID, tokenX, maskinporten, openID}).Error()
	}
	return ""
}

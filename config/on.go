package config

import (
	"slices"
	"strings"
)

// HasFrontDoor says whether anything of the front door was asked for: an ingress, an app, login, a policy or bearer validation.
func (c *Config) HasFrontDoor() bool {
	return len(c.Front.Ingress) > 0 || c.Upstream.Set || c.LoginEnabled() || len(c.Policy.Files) > 0 || c.Bearer.Enabled()
}

// TokenAPIEnabled says whether the token API is on: a provider of the platform is enabled.
func (c *Config) TokenAPIEnabled() bool {
	p := &c.Providers
	return p.Azure.Enabled || p.TokenX.Enabled || p.Maskinporten.Enabled || p.IDPorten.Enabled
}

// TexasOnly says whether this is a token API with nothing of the front door.
func (c *Config) TexasOnly() bool { return c.TokenAPIEnabled() && !c.HasFrontDoor() }

// NothingOn says whether nothing at all was asked for, so that there is nothing to serve.
func (c *Config) NothingOn() bool { return !c.TokenAPIEnabled() && !c.HasFrontDoor() }

// SSOProxy says whether sessions belong to an SSO server elsewhere.
func (c *Config) SSOProxy() bool { return c.SSO.Enabled && c.SSO.Mode == "proxy" }

// SSOServer says whether this is the one that logs in for all apps of a domain. There is no app behind it.
func (c *Config) SSOServer() bool { return c.SSO.Enabled && c.SSO.Mode != "proxy" }

// WhoWithoutCaller says in one line, in plain words, who can reach the app without a caller (S-04). It is logged at each start. public are
// the patterns of the paths that the policy calls public.
func (c *Config) WhoWithoutCaller(public []string) string {
	policy, reports := len(c.Policy.Files) > 0, c.Policy.Mode == "report"
	preflight := ""
	if c.Front.AuthSkipPreflight {
		preflight = "; CORS preflights pass as well"
	}
	only := func(paths []string) string {
		return "without a caller everyone reaches these paths of the app and no others: " + strings.Join(paths, " ") + preflight
	}
	switch {
	case !c.HasFrontDoor():
		return "without a caller nobody reaches an app: there is no front door"
	case c.SSOServer():
		return "nobody reaches an app here: this is the SSO server, which only logs in"
	case !reports && (c.Front.RequireAuth || policy): // S-14: ignored paths are not open then
		if len(public) > 0 {
			return only(public)
		}
		return "without a caller nobody reaches the app" + preflight
	case c.Front.AutoLogin:
		return only(slices.Concat([]string{"/favicon.ico", "/robots.txt"}, c.Front.AutoLoginIgnorePaths, public))
	case reports && (policy || c.Front.RequireAuth):
		return "without a caller everyone reaches the whole app: policy-mode is report, so what would be refused is only logged"
	default:
		return "without a caller everyone reaches the whole app: the app itself must refuse them (require-auth or auto-login would)"
	}
}

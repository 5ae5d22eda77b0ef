package proxy

import (
	"net/http"

	"postern/config"
)

// names are those of all headers that the enabled sets may hold, for an ingress controller to overwrite (S-16).
func (w *identityHeaders) names() []string {
	var names []string
	if w.postern {
		names = append(names, "X-Postern-Auth", "X-Postern-Provider", "X-Postern-Kind", "X-Postern-Subject", "X-Postern-User", "X-Postern-Username",
			"X-Postern-Name", "X-Postern-Email", "X-Postern-Tenant", "X-Postern-Object", "X-Postern-Client", "X-Postern-Organization", headerGroups,
			"X-Postern-Roles", "X-Postern-Scopes", "X-Postern-Acr")
	}
	if w.claims {
		names = append(names, headerClaims)
	}
	if w.postern || w.claims {
		names = append(names, "X-Postern-Truncated")
	}
	if w.oauth2Proxy {
		names = append(names, "X-Forwarded-User", "X-Forwarded-Email", "X-Forwarded-Preferred-Username", "X-Forwarded-Groups", w.accessTokensOf[0])
	}
	if w.easyAuth {
		names = append(names, "X-Ms-Client-Principal", "X-Ms-Client-Principal-Id", "X-Ms-Client-Principal-Name", "X-Ms-Client-Principal-Idp", w.accessTokensOf[1])
	}
	return names
}

// toldToApps are the names of all headers in which apps learn who is calling.
func toldToApps(identity *identityHeaders, cfg *Config) []string {
	names := append(identity.names(), "Authorization")
	if cfg.Identity.Assertion {
		names = append(names, headerAssertion)
	}
	if cfg.Upstream.IncludeIDToken {
		names = append(names, "X-Wonderwall-Id-Token")
	}
	return append(names, canonicalNames(cfg.Identity)...)
}

func canonicalNames(cfg config.Identity) []string {
	names := cfg.OwnHeaders()
	for i, name := range names {
		names[i] = http.CanonicalHeaderKey(name)
	}
	return names
}

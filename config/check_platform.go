package config

import "strings"

// checkPlatform says what an enabled provider still needs, in Texas' words (reference/tokens.md 1.12). A variable that is set but empty is
// missing here; Texas would start and fail at the first call.
func (l *loader) checkPlatform() {
	for _, p := range l.providers {
		if !p.provider.Enabled {
			continue
		}
		if *p.value == "" {
			l.missing(p.required, "missing required environment variable '%s'", p.required)
		}
		if p.credentials != nil && !l.offline && p.provider.ClientJWK.Empty() && p.provider.ClientSecret.Empty() && p.provider.FederatedTokenFile == "" {
			more := ""
			if len(p.credentials) > 1 {
				more = " (or '" + strings.Join(p.credentials[1:], "' or '") + "')"
			}
			l.missing(p.credentials[0], "missing required environment variable '%s'%s", p.credentials[0], more)
		}
		if !p.provider.ClientJWK.Empty() {
			if why := jwkProblem(p.provider.ClientJWK); why != "" {
				l.problem(p.credentialJWK(), "%s", why)
			}
		}
		for _, endpoint := range p.endpoints {
			switch {
			case *endpoint.value != "":
				l.checkEndpoint(endpoint)
			case p.provider.WellKnownURL == "":
				l.problem(endpoint.variable, "missing configuration for provider '%s': set %s or %s", p.name, p.wellKnown, endpoint.variable)
			}
		}
		if p.provider.WellKnownURL != "" {
			l.checkProviderURL(p.wellKnown, p.provider.WellKnownURL)
		}
	}
}

// checkEndpoint leaves issuers alone: they are compared, never called.
func (l *loader) checkEndpoint(e platformEndpoint) {
	if !strings.HasSuffix(e.variable, "ISSUER") {
		l.checkProviderURL(e.variable, *e.value)
	}
}

// credentialJWK is the variable of the private key; ID-porten has one although it is never asked for tokens.
func (p platformProvider) credentialJWK() string {
	if p.credentials != nil {
		return p.credentials[0]
	}
	return "IDPORTEN_CLIENT_JWK"
}

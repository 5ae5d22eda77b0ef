package devidp

import (
	"net/http"
)

// serveMetadata serves the metadata of an issuer: OpenID Connect Discovery 1.0 where people log in, RFC 8414 where apps alone do.
func (p *IdP) serveMetadata(x *exchange) {
	if !x.allow(http.MethodGet) {
		return
	}
	m := x.at.metadata(x.site)
	p.mu.Lock()
	alter, unmarked := p.alterMetadata[x.at.name], p.unmarked
	p.mu.Unlock()
	if alter != nil {
		alter(m)
	}
	m["postern_test_provider"] = true // S-41: nobody can mistake it for a real one
	if unmarked {
		delete(m, "postern_test_provider")
	}
	x.json(http.StatusOK, m)
}

// loginMetadata is what the issuers at which people log in have in common.
func (s site) loginMetadata(authMethods ...string) map[string]any {
	m := map[string]any{
		"issuer":                 s.issuer(),
		"authorization_endpoint": s.url(EndpointAuthorize),
		"token_endpoint":         s.url(EndpointToken),
		"jwks_uri":               s.url(EndpointKeys),
		"end_session_endpoint":   s.url(EndpointLogout),

		"response_types_supported":                         []string{"code"},
		"response_modes_supported":                         []string{"query"},
		"grant_types_supported":                            s.at.grants,
		"code_challenge_methods_supported":                 []string{"S256"},
		"subject_types_supported":                          []string{"pairwise"},
		"id_token_signing_alg_values_supported":            []string{"RS256"},
		"token_endpoint_auth_signing_alg_values_supported": assertionAlgorithms(),
		"prompt_values_supported":                          []string{"none", "login", "select_account", "consent"},
		"request_parameter_supported":                      false,
		"request_uri_parameter_supported":                  false,
		"authorization_response_iss_parameter_supported":   true, // RFC 9207 §3
		"frontchannel_logout_supported":                    true,
		"frontchannel_logout_session_supported":            true,
		"backchannel_logout_supported":                     s.idp.hasBackChannel(),
		"backchannel_logout_session_supported":             s.idp.hasBackChannel(),
		"token_endpoint_auth_methods_supported":            authMethods,
	}
	if s.at.paths[EndpointRevoke] != "" {
		m["revocation_endpoint"], m["revocation_endpoint_auth_methods_supported"] = s.url(EndpointRevoke), authMethods
	}
	if par := s.idp.cfg.PAR; par != PAROff {
		m["pushed_authorization_request_endpoint"] = s.url(EndpointPAR)
		m["require_pushed_authorization_requests"] = par == PARRequired
	}
	if len(s.at.levels) > 0 {
		m["acr_values_supported"] = s.at.levels
	}
	return m
}

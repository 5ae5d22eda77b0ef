package devidp

import (
	"net/http"
)

// metadata serves OpenID Connect Discovery 1.0, as Entra ID fills it in.
func (p *IdP) metadata(x *exchange) {
	if !x.allow(http.MethodGet) {
		return
	}
	m := map[string]any{
		"issuer":                 x.issuer(),
		"authorization_endpoint": x.url(pathAuthorize),
		"token_endpoint":         x.url(pathToken),
		"jwks_uri":               x.url(pathKeys),
		"end_session_endpoint":   x.url(pathLogout),

		"response_types_supported":                         []string{"code"},
		"response_modes_supported":                         []string{"query"},
		"grant_types_supported":                            []string{"authorization_code", "refresh_token"},
		"code_challenge_methods_supported":                 []string{"S256"},
		"subject_types_supported":                          []string{"pairwise"},
		"id_token_signing_alg_values_supported":            []string{"RS256"},
		"token_endpoint_auth_methods_supported":            []string{"client_secret_post", "private_key_jwt", "client_secret_basic"},
		"token_endpoint_auth_signing_alg_values_supported": assertionAlgorithms(),
		"scopes_supported":                                 []string{"openid", "profile", "email", "offline_access"},
		"prompt_values_supported":                          []string{"none", "login", "select_account", "consent"},
		"claims_supported": []string{
			"sub", "iss", "aud", "exp", "iat", "auth_time", "acr", "nonce", "name", "ver", "preferred_username", "email", "oid", "tid", "sid",
		},
		"claims_parameter_supported":                     true,
		"request_parameter_supported":                    false,
		"request_uri_parameter_supported":                false,
		"authorization_response_iss_parameter_supported": true, // RFC 9207 §3
		"http_logout_supported":                          true,
		"frontchannel_logout_supported":                  true,
		"frontchannel_logout_session_supported":          true,
		"tenant_region_scope":                            "EU",
		"cloud_instance_name":                            "microsoftonline.com",
	}
	if p.cfg.PAR != PAROff {
		m["pushed_authorization_request_endpoint"] = x.url(pathPAR)
		m["require_pushed_authorization_requests"] = p.cfg.PAR == PARRequired
	}
	if len(p.cfg.ACRValues) > 0 {
		m["acr_values_supported"] = p.cfg.ACRValues
	}
	p.mu.Lock()
	alter, unmarked := p.alterMetadata, p.unmarked
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

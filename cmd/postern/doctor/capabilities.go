package doctor

import (
	"slices"
	"strings"

	"postern/config"
	"postern/oidc"
)

// capabilities compares what the provider announces with what is needed of it. What is not announced at all counts as there: Entra ID, for one,
// lists few of its own.
func (e *examiner) capabilities(md *oidc.Metadata) []Finding {
	check := e.check("capabilities")
	var found []Finding
	lacks := func(announced []string, need ...string) bool { return len(announced) > 0 && !overlap(announced, need) }
	if md.TokenEndpoint == "" {
		found = append(found, problem(check, "Ask the provider, or give the token endpoint explicitly.", "there is no token_endpoint"))
	}
	if grant := e.grant(); lacks(md.GrantTypesSupported, grant) {
		found = append(found, problem(check, "Have the grant switched on at the provider, or use the provider that has it.",
			"the grant %s is not among grant_types_supported: %s", grant, list(md.GrantTypesSupported)))
	}
	if e.Login {
		found = append(found, e.loginCapabilities(check, md, lacks)...)
	}
	found = append(found, e.credential(check, md, lacks)...)
	return judged(found, check, "everything that is needed is there")
}

// grant is what this client is for.
func (e *examiner) grant() string {
	switch {
	case e.Login:
		return "authorization_code"
	case e.Kind == oidc.TokenX:
		return grantTokenExchange
	case e.Kind == oidc.Maskinporten:
		return grantJWTBearer
	}
	return "client_credentials"
}

func (e *examiner) loginCapabilities(check string, md *oidc.Metadata, lacks func([]string, ...string) bool) (found []Finding) {
	wrong := func(advice, format string, args ...any) {
		found = append(found, problem(check, advice, format, args...))
	}
	if md.AuthorizationEndpoint == "" {
		wrong("Nobody can log in at this provider: take another address of metadata.", "there is no authorization_endpoint")
	}
	if lacks(md.CodeChallengeMethodsSupported, "S256") {
		wrong("Postern always sends a challenge by S256 (RFC 7636); have it switched on at the provider.",
			"PKCE by S256 is not among code_challenge_methods_supported: %s", list(md.CodeChallengeMethodsSupported))
	}
	if lacks(md.ResponseTypesSupported, "code") {
		wrong("The authorization code flow is the only one that is safe, and the only one here.", "response_types_supported has no code: %s", list(md.ResponseTypesSupported))
	}
	if lacks(md.ResponseModesSupported, "query") {
		wrong("Have the response mode query switched on at the provider.", "response_modes_supported has no query: %s", list(md.ResponseModesSupported))
	}
	if lacks(md.IDTokenSigningAlgValuesSupported, config.SignatureAlgorithms()...) {
		wrong("Have id tokens signed by RS, PS, ES or EdDSA; HMAC and none are never accepted.",
			"id tokens are signed by %s alone", list(md.IDTokenSigningAlgValuesSupported))
	}
	if md.EndSessionEndpoint == "" {
		found = append(found, warning(check, "After a logout the provider still knows the browser, and the next login needs no password; tell people to close it.",
			"there is no end_session_endpoint"))
	}
	if levels := strings.Fields(oidc.RequiredACR(e.world.Config.OpenID)); len(levels) > 0 && lacks(md.ACRValuesSupported, levels...) {
		found = append(found, warning(check, "Take a level for openid.acr-values that the provider has, or every login ends with a refusal.",
			"acr_values_supported has none of %s: %s", list(levels), list(md.ACRValuesSupported)))
	}
	for _, locale := range strings.Fields(e.world.Config.OpenID.UILocales) {
		if !slices.Contains(md.UILocalesSupported, locale) {
			found = append(found, warning(check, "Take a language for openid.ui-locales that the provider has; until then its login page comes in its own.",
				"ui_locales_supported has no %s: %s", locale, list(md.UILocalesSupported)))
		}
	}
	return found
}

// credential says whether the key or secret is of a kind that the provider takes.
func (e *examiner) credential(check string, md *oidc.Metadata, lacks func([]string, ...string) bool) []Finding {
	info, err := e.Credentials.Describe()
	if err != nil {
		return nil // told by the client's own check
	}
	if e.Kind == oidc.Maskinporten {
		return nil // its grant is the credential
	}
	if lacks(md.TokenEndpointAuthMethodsSupported, info.Methods...) {
		return []Finding{problem(check, "Give the client a credential of a kind that the provider takes: client-jwk for private_key_jwt, client-secret for the others.",
			"the configured credential is for %s, but token_endpoint_auth_methods_supported has %s", list(info.Methods), list(md.TokenEndpointAuthMethodsSupported))}
	}
	if info.Algorithm != "" && lacks(md.TokenEndpointAuthAlgSupported, info.Algorithm) {
		return []Finding{problem(check, "Make a key for an algorithm that the provider takes, and register its public half there.",
			"the client's key is for %s, but assertions may be signed by %s", info.Algorithm, list(md.TokenEndpointAuthAlgSupported))}
	}
	return nil
}

// scopes compares those that a login asks for with what the provider announces.
func (e *examiner) scopes(md *oidc.Metadata) []Finding {
	check := e.check("scopes")
	asked := oidc.LoginScopes(e.world.Config.OpenID)
	var found []Finding
	if !slices.Contains(asked, "openid") {
		found = append(found, problem(check, "Add openid to openid.scopes.", "the scope openid is not asked for, so there is no id token"))
	}
	if len(md.ScopesSupported) > 0 {
		for _, scope := range asked {
			if !slices.Contains(md.ScopesSupported, scope) && !strings.Contains(scope, ":") {
				found = append(found, warning(check, "Take it out of openid.scopes, or have it registered: many providers refuse the login for it.",
					"the scope %s is not among scopes_supported", scope))
			}
		}
	}
	if slices.Contains(md.ScopesSupported, "offline_access") && !slices.Contains(asked, "offline_access") {
		found = append(found, warning(check, "Add offline_access to openid.scopes, so that sessions outlive the first access token.",
			"offline_access is not asked for, and the provider gives refresh tokens for it"))
	}
	if grants := md.GrantTypesSupported; len(grants) > 0 && !slices.Contains(grants, "refresh_token") {
		found = append(found, warning(check, "Have refresh tokens switched on at the provider, or expect a login whenever the access token ends.",
			"the provider has no grant refresh_token"))
	}
	return judged(found, check, "%s", strings.Join(asked, " "))
}

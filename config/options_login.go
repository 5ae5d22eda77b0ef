package config

func (t *table) loginOptions(c *Config) {
	o := &c.OpenID
	t.group("Login")
	t.oneOf(&o.Provider, "openid.provider",
		"Kind of identity provider. `azure` and `idporten` switch login on by themselves and take what is not given from the platform's variables. "+
			"An SSO proxy that says it takes sessions of no other.",
		"openid", "azure", "idporten").ofWonderwall().takes(map[string]string{"*": "openid"})
	t.text(&o.ClientID, "openid.client-id", "", "Client id at the provider. Switches login on.").
		ofWonderwall().preset("azure", "", "AZURE_APP_CLIENT_ID").preset("idporten", "", "IDPORTEN_CLIENT_ID")
	t.secret(&o.ClientJWK, "openid.client-jwk", "Private JWK that authenticates the client; it must have `alg`. Wins over `openid.client-secret`.").
		ofWonderwall().preset("azure", "", "AZURE_APP_JWK", "AZURE_APP_CLIENT_JWK").preset("idporten", "", "IDPORTEN_CLIENT_JWK")
	t.secret(&o.ClientSecret, "openid.client-secret", "Secret that authenticates the client. Wins over `openid.federated-token-file`.").
		ofWonderwall().preset("azure", "", "AZURE_APP_CLIENT_SECRET")
	t.path(&o.FederatedTokenFile, "openid.federated-token-file", "File with a token of the platform that authenticates the client; read for each use.").
		preset("azure", "", "AZURE_FEDERATED_TOKEN_FILE")
	t.url(&o.WellKnownURL, "openid.well-known-url", "Address of the provider's metadata. https, except on loopback.").
		ofWonderwall().preset("azure", "", "AZURE_APP_WELL_KNOWN_URL").preset("idporten", "", "IDPORTEN_WELL_KNOWN_URL")
	t.texts(&o.Tenants, "openid.tenants", "Tenants that may log in, for a provider of many (its issuer carries `{tenantid}`), as GUIDs; required there. They bind inbound tokens of such an Entra ID too.")
	t.texts(&o.Scopes, "openid.scopes", "Scopes to ask for, beyond those that the provider's kind brings with it.").ofWonderwall()
	t.texts(&o.Audiences, "openid.audiences", "Audiences that an id token may name beside the client id.").ofWonderwall()
	t.text(&o.ACRValues, "openid.acr-values", "", "Level that login asks for and that every session must have; one value.").
		ofWonderwall().preset("idporten", "idporten-loa-high")
	t.text(&o.UILocales, "openid.ui-locales", "", "Language that login asks for.").ofWonderwall().preset("idporten", "nb")
	t.text(&o.DomainHint, "openid.domain-hint", "", "`domain_hint` of login, for Entra ID.").ofWonderwall()
	t.text(&o.ResourceIndicator, "openid.resource-indicator", "", "`resource` of login (RFC 8707).").ofWonderwall()
	t.url(&o.PostLogoutRedirectURI, "openid.post-logout-redirect-uri", "Where to go after logout, unless the request says.").ofWonderwall()
	algorithms := SignatureAlgorithms()
	t.oneOf(&o.JWKSFallbackAlg, "openid.jwks-fallback-alg", "Algorithm of provider keys that name none.", algorithms...).ofWonderwall()
	t.toggle(&o.NewClientAuthJWTType, "openid.new-client-auth-jwt-type", false, "Type client assertions `client-authentication+jwt` rather than `JWT`.").
		ofWonderwall()
	t.toggle(&c.Providers.AllowHTTP, "allow-http-providers", false, "Accept providers over http that are not on loopback. For tests: tokens and keys go in clear.")
	t.toggle(&c.Providers.AllowTestProvider, "allow-test-provider", false,
		"Accept Postern's built-in test provider although an ingress is not on loopback. For tests: anybody can log in there as anybody.")
}

// SignatureAlgorithms are the asymmetric ones of RFC 7518 §3.1 and RFC 8037; nothing that a client's own secret could sign.
func SignatureAlgorithms() []string {
	return []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
}

func (t *table) cookieOptions(c *Config) {
	t.group("Cookies and keys")
	t.text(&c.Cookie.Prefix, "cookie.prefix", "postern", "Start of the names of the cookies (wonderwall: `io.nais.wonderwall`).").ofWonderwall()
	t.oneOf(&c.Cookie.SameSite, "cookie.same-site", "`SameSite` of cookies, as SSO server only; else it is `Lax`.", "Lax", "None", "Strict").ofWonderwall()
	t.toggle(&c.Cookie.Secure, "cookie.secure", true, "`Secure` of cookies. `false` only if every ingress is http on loopback.").ofWonderwall()
	t.secrets(&c.Encryption.Keys, &c.Encryption.KeysFile, "encryption-key",
		"Keys for cookies and session data: base64 of 32 random bytes each. The first encrypts, all decrypt. Required with Redis.").
		defaults("random, while sessions are kept in memory").ofWonderwall()
}

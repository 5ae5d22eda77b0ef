package config

func (t *table) accessOptions(c *Config) {
	t.group("Access")
	t.texts(&c.Policy.Files, "policy-file", "The app's access policy: files or directories, read anew when they change.")
	t.oneOf(&c.Policy.Mode, "policy-mode", "`report` lets pass what the policy would refuse, and logs it.", "enforce", "report")
	t.text(&c.Policy.Cluster, "cluster", "", "Cluster of the app, for rules and names.").platform("NAIS_CLUSTER_NAME")
	t.texts(&c.Bearer.Providers, "bearer.providers",
		"Whose bearer tokens are accepted: any of `entra_id`, `tokenx`, `maskinporten`, `idporten`, `openid` and the names of `issuers`; or `all` that are "+
			"enabled; or `none`, which leaves `Authorization` alone. `openid`, the login provider, needs `openid.audiences`. "+
			"Without a policy people are admitted and apps are not.").
		defaults("`all` with `policy-file` or `require-auth`, else `none`")
	bind(t, &c.Bearer.Issuers, "issuers", nil, objectsKind[Issuer](),
		"Further issuers of bearer tokens: `{name, issuer, audience, jwks-uri or well-known-url, algorithms, tenants, claims}`. `algorithms` is `RS256` "+
			"unless given; an issuer that carries `{tenantid}` needs `tenants`; `claims` says where `groups`, `roles`, `scope`, `name`, `preferred_username`, "+
			"`email` and `acr` are.")
}

func (t *table) tokenOptions(c *Config) {
	k := &c.Token
	t.group("Tokens for the app")
	t.address(&k.BindAddress, "token.bind-address", "127.0.0.1:3002",
		"Listener of the token API (Texas' API): `host:port` or `unix:/path`. It is on when a provider of the platform is enabled.").
		defaults("`BIND_ADDRESS`, else `127.0.0.1:3000` as a Texas, else `127.0.0.1:3002`").
		platform("BIND_ADDRESS").onlyWhile((*Config).TokenAPIEnabled)
	t.toggle(&k.AllowRemote, "token.allow-remote", false, "Accept another address than loopback for the token API and the egress proxy, and answer other peers.")
	t.path(&k.SecretFile, "token.secret-file", "File with a secret that calls must carry: at the token API as bearer token, at the egress as `X-Postern-Secret`. Read anew when it changes.")
	t.texts(&k.AllowedHosts, "token.allowed-hosts", "Values of `Host` that are accepted beside addresses, `localhost` and names without a dot.")
	t.address(&c.Egress.BindAddress, "egress.bind-address", "127.0.0.1:3003",
		"Listener of the egress proxy: `host:port` or `unix:/path`. It is on when it has routes.")
	bind(t, &c.Egress.Routes, "egress.routes", nil, objectsKind[EgressRoute](),
		"APIs that the app calls: `{name, url, provider, target, as, open, cookies, h2c, timeout}`. `as` is `user` unless `app` or `auto` is given, "+
			"`timeout` (to the response headers) is `30s`.")
}

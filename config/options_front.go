package config

import (
	"cmp"
	"strings"
)

func (t *table) frontOptions(c *Config) {
	f := &c.Front
	t.group("Front door")
	bind(t, &f.Ingress, "ingress", nil, urlsKind(),
		"Addresses at which browsers reach the app: scheme, host and, if it has one, a path prefix. Required for login.").ofWonderwall()
	t.toggle(&f.AutoLogin, "auto-login", false,
		"Every request needs a caller: a browser that navigates is sent to login, everything else gets 401.").ofWonderwall()
	bind(t, &f.AutoLoginIgnorePaths, "auto-login-ignore-paths", nil, globsKind(),
		"Paths that `auto-login` leaves alone: globs with `*`, `**`, `?`, `[a-z]` and `{a,b}`. `/favicon.ico` and `/robots.txt` always belong to them. "+
			"With a policy file or `require-auth` they get 401 instead of a redirect.").ofWonderwall()
	t.toggle(&f.RequireAuth, "require-auth", false, "Refuse every request that has no admitted caller.").
		defaults("`false`; `true` with `policy-file`")
	t.toggle(&f.AuthSkipPreflight, "auth-skip-preflight", false,
		"Let CORS preflights pass (`OPTIONS` with `Origin` and `Access-Control-Request-Method`), without cookies and identity.")
	t.oneOf(&f.PathStrictness, "path-strictness",
		"`readings` decides on every way in which an app might read a path, `strict` refuses a path that has several.", "readings", "strict")
	t.oneOf(&f.CSRF, "csrf",
		"Which requests of a logged-in browser are refused when they could change something: those from another site, those from another origin, none.",
		"cross-site", "same-origin", "off")
	t.texts(&f.CSRFTrustedOrigins, "csrf.trusted-origins", "Origins that may send such requests, such as `https://other.example.org`.")
	bind(t, &f.TrustedProxies, "trusted-proxies", privateNetworks(), prefixesKind(),
		"Peers whose `Forwarded` and `X-Forwarded-*` are passed on to the app. A convenience, never part of a decision. "+
			"With neither `policy-file`, `require-auth` nor this option the headers of every peer pass, as wonderwall. Empty trusts nobody; everybody is not accepted.")
	t.texts(&f.ForwardHeaders, "forward-headers",
		"Headers that are passed on although apps may route by them, such as `X-Original-URL` (only matters with `policy-file` or `require-auth`).")
	t.texts(&f.AuthorizationSchemes, "authorization-passthrough",
		"Schemes of `Authorization` that are left alone while bearer tokens are validated, such as `Basic`.")
	t.duration(&f.StreamMaxAge, "stream-max-age", 0, "Longest life of a WebSocket, an event stream or a gRPC call; `0s` lets it live as long as its caller.")
	t.number(&f.LoginRate, "login.rate", 50, 1, "Logins and callbacks a second that may reach the identity provider; beyond it 429.")

	r := &c.RateLimit
	t.toggle(&r.Enabled, "ratelimit.enabled", true, "Stop a browser that logs in over and over, with 429.").ofWonderwall()
	t.number(&r.Logins, "ratelimit.logins", 5, 0, "Logins of one browser within the window.").ofWonderwall()
	t.duration(&r.Window, "ratelimit.window", 5e9, "The window.").ofWonderwall()
}

func (t *table) upstreamOptions(c *Config) {
	u := &c.Upstream
	t.group("App")
	t.address(&u.Host, "upstream-host", "127.0.0.1:8080", "The app: `host:port` or `unix:/path`.").ofWonderwall()
	t.text(&t.upstreamIP, "upstream-ip", "", "Address of the app, together with `upstream-port`; both win over `upstream-host`.").ofWonderwall()
	bind(t, &t.upstreamPort, "upstream-port", 0, numberKind(0, 65535), "Port of the app, together with `upstream-ip`.").ofWonderwall()
	t.toggle(&u.AccessLogs, "upstream-access-logs", false, "Log each request of a caller that goes to the app.").ofWonderwall()
	t.toggle(&u.IncludeIDToken, "upstream-include-id-token", false, "Send the id token to the app as `X-Wonderwall-Id-Token`.").ofWonderwall()
	t.duration(&u.Timeout, "upstream-timeout", 0, "Time for the app to send its response headers, then 504; `0s` waits for ever.")
	t.toggle(&u.H2C, "upstream-h2c", false, "Speak HTTP/2 without TLS to the app, as gRPC servers want.")
	t.oneOf(&u.Exposed, "upstream-exposed",
		"What to do while the app's port also listens on an address other than loopback, where it can be reached beside Postern: log a warning, or also answer not ready. "+
			"Looked at on start and every minute; not for `unix:/path` or an app on another host.", "warn", "refuse")
}

func (t *table) identityOptions(c *Config) {
	i := &c.Identity
	t.group("Identity headers")
	headers := t.someOf(&i.Headers, "identity.headers",
		"Sets of headers that tell the app who is calling: any of `postern`, `claims`, `oauth2-proxy`, `easyauth`; or `none`.",
		"postern", "claims", "oauth2-proxy", "easyauth", "none").
		defaults("`postern` with `policy-file`, `require-auth` or bearer validation, else `none`")
	headers.show = func() string { return cmp.Or(strings.Join(i.Headers, ","), "none") }
	bind(t, &i.Claims, "identity.claims", nil, pairsKind("Header-Name=claim"), "Further headers, each with the value of a claim.")
	t.size(&i.MaxBytes, "identity.max-bytes", 6<<10, "Size of the added headers, beyond which `X-Postern-Groups` and `X-Postern-Claims` are left out.")
	t.toggle(&i.Assertion, "identity.assertion", false, "Send a signed statement of the caller's identity as `X-Postern-Assertion`.")
	t.path(&i.AssertionKeyFile, "identity.assertion-key-file",
		"Private JWK or JWK set that signs it; read anew when it changes. Without it a key is made at each start.")
	t.text(&i.AssertionIssuer, "identity.assertion-issuer", "", "`iss` of the statement.").defaults("the first ingress")
	bind(t, &i.UpstreamTokens, "upstream-tokens", nil, objectsKind[UpstreamToken](),
		"Tokens for downstream APIs on behalf of the user, each as a header for the app: `{header, provider, target, required, paths}`. "+
			"`paths` are globs; without any, every request of a user gets it.")
}

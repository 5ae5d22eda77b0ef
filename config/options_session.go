package config

import (
	"math"
	"time"
)

func (t *table) sessionOptions(c *Config) {
	s := &c.Session
	t.group("Sessions")
	t.duration(&s.MaxLifetime, "session.max-lifetime", 10*time.Hour, "When a session ends, whatever happens.").ofWonderwall()
	t.toggle(&s.Inactivity, "session.inactivity", false, "End sessions that nobody uses.").ofWonderwall()
	t.duration(&s.InactivityTimeout, "session.inactivity-timeout", 30*time.Minute, "After how long without a request.").ofWonderwall()
	t.duration(&s.CacheTTL, "session.cache-ttl", 30*time.Second,
		"How long a replica may serve a session from memory. Logouts are heard within a second all the same.").
		defaults("`30s`; `0s` as SSO proxy")
	t.duration(&s.OutageGrace, "session.outage-grace", 0,
		"How long sessions are served from memory while the store is down. In that time logouts elsewhere are not heard.")
	t.toggle(&s.BackchannelLogout, "session.backchannel-logout", true, "Serve the OpenID Connect back-channel logout endpoint.")
	t.toggle(&s.ForwardAuth, "session.forward-auth", false, "Serve `/oauth2/session/forwardauth`, for ingress controllers: 204 or 401.").ofWonderwall()
	t.toggle(&s.ForwardAuthSetHeaders, "session.forward-auth-set-headers", false,
		"Send `X-Wonderwall-Forward-Auth-Token`, the id token, in its answers; needs `session.forward-auth`. A script on the app's pages can read it there.").ofWonderwall()
	t.address(&c.ForwardAuth.BindAddress, "forward-auth.bind-address", "", "Listener of its own for forward-auth, where an ingress controller gets the decision of the policy and all identity headers. Off by default.")
	t.path(&c.ForwardAuth.SecretFile, "forward-auth.secret-file", "File with the secret that the ingress controller sends as `X-Postern-Forward-Auth`; with it `/oauth2/session/forwardauth` answers as the listener of its own, which asks for it as well. Read anew when it changes.")
}

func (t *table) redisOptions(c *Config) {
	r := &c.Redis
	t.group("Session store")
	t.secret(&r.URI, "redis.uri", "Redis or Valkey: `redis://`, `rediss://` (TLS) or `unix://`. "+
		"With Sentinel or Cluster it gives credentials, database and TLS. Without any address sessions are kept in memory.").ofWonderwall()
	t.address(&r.Address, "redis.address", "", "Older way to give `redis.uri`: `host:port`.").ofWonderwall()
	t.text(&r.Username, "redis.username", "", "User name; wins over the one in `redis.uri`.").ofWonderwall()
	t.secret(&r.Password, "redis.password", "Password; wins over the one in `redis.uri`.").ofWonderwall()
	t.toggle(&r.TLS, "redis.tls", true, "TLS, for `redis.address`.").ofWonderwall()
	t.path(&r.CAFile, "redis.ca-file", "Certificates (PEM) that the store's certificate must descend from, instead of the system's; needs TLS.")
	bind(t, &r.ConnectionIdleTimeout, "redis.connection-idle-timeout", 0, numberKind(-1, math.MaxInt32),
		"Seconds after which an idle connection is closed; `0` is 30 minutes, `-1` is never.").ofWonderwall()
	t.text(&r.SentinelMaster, "redis.sentinel-master", "", "Name of the primary that the sentinels watch.")
	t.texts(&r.SentinelAddresses, "redis.sentinel-addresses", "Sentinels, each `host:port`.")
	t.texts(&r.ClusterAddresses, "redis.cluster-addresses", "Some nodes of a cluster, each `host:port`.")
}

func (t *table) ssoOptions(c *Config) {
	s := &c.SSO
	t.group("Single sign-on")
	t.toggle(&s.Enabled, "sso.enabled", false, "Share one session over the apps of a domain. Switches login on.").ofWonderwall()
	t.oneOf(&s.Mode, "sso.mode", "The one `server` that logs in, or a `proxy` in front of an app.", "server", "proxy").ofWonderwall()
	t.text(&s.SessionCookieName, "sso.session-cookie-name", "", "Name of the shared cookie, the same for the server and its proxies; with `cookie.secure` it begins with `__Secure-`. Required.").ofWonderwall()
	t.text(&s.Domain, "sso.domain", "", "Domain of the shared cookie, which the server and all apps are in, and which redirects stay in. Required as server.").ofWonderwall()
	t.url(&s.ServerURL, "sso.server-url", "Address of the server, for browsers and for the proxy itself. Required as proxy.").ofWonderwall()
	t.url(&s.ServerDefaultRedirectURL, "sso.server-default-redirect-url", "Where the server sends people who came without a destination that it accepts. Required as server.").
		ofWonderwall()
}

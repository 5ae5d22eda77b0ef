package e2e

import (
	"maps"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
)

// ssoDomain is a domain that browsers let cookies be shared over: "localhost" is taken for a public suffix.
const ssoDomain = "sso.localhost"

// ssoCookie is sso.session-cookie-name.
const ssoCookie = "shared"

// readerPassword is that of the Redis user of the proxies, who may read and nothing else.
const readerPassword = "reads-only-7c1d"

// ssoWorld is a provider, an SSO server, two apps behind SSO proxies, and the Redis that they share.
type ssoWorld struct {
	redis    *RedisServer
	dev      *DevProvider
	server   *world
	one, two *world
}

// ssoOptions shape it; nil maps change nothing.
type ssoOptions struct {
	server, one, two map[string]string
	apps             func(testing.TB) *AppServer
	citizens         bool // the provider is ID-porten
	noServer         bool // there is another one, or none
	provider         providerFunc
}

func newSSO(t testing.TB, o ssoOptions) *ssoWorld {
	t.Helper()
	s := &ssoWorld{redis: Redis(t)}
	makeReader(t, s.redis.Client(t))
	at := func(name string) *world {
		return &world{ingress: "http://" + name + "." + ssoDomain + ":" + FreePort(t)}
	}
	s.server, s.one, s.two = at("login"), at("one"), at("two")
	_, port, _ := strings.Cut(s.server.host(), ":")
	// The provider's page lets its form lead to these origins only, and the last redirect after a login is to an app.
	origins := []string{s.server.ingress + "/oauth2/callback", s.one.ingress + "/", s.two.ingress + "/"}
	s.dev = o.provider.start(t, origins, []string{s.server.ingress + "/oauth2/logout/callback"}, "--par=off")
	s.server.dev, s.server.idp = s.dev, s.dev
	s.server.env = map[string]string{
		"POSTERN_BIND_ADDRESS": "127.0.0.1:" + port, "POSTERN_INGRESS": s.server.ingress, "POSTERN_ENCRYPTION_KEY": testKey,
		"POSTERN_LOG_LEVEL": "debug", "POSTERN_REDIS_URI": s.redis.URI(),
		"POSTERN_SSO_ENABLED": "true", "POSTERN_SSO_SESSION_COOKIE_NAME": ssoCookie, "POSTERN_SSO_DOMAIN": ssoDomain,
		"POSTERN_SSO_SERVER_DEFAULT_REDIRECT_URL": s.one.ingress + "/start",
		"POSTERN_OPENID_PROVIDER":                 "azure", "POSTERN_OPENID_CLIENT_ID": DevClientID, "POSTERN_OPENID_CLIENT_SECRET": DevClientSecret,
		"POSTERN_OPENID_WELL_KNOWN_URL": s.dev.WellKnown(),
	}
	provider := "azure"
	if o.citizens {
		provider = "idporten"
		s.server.env["POSTERN_OPENID_PROVIDER"], s.server.env["POSTERN_OPENID_WELL_KNOWN_URL"] = provider, s.dev.IDPortenWellKnown()
	}
	maps.Copy(s.server.env, o.server)
	if !o.noServer {
		s.server.Process = Start(t, s.server.env)
	}
	if o.apps == nil {
		o.apps = func(t testing.TB) *AppServer { return App(t, nil) }
	}
	s.proxy(t, s.one, provider, o.apps(t), o.one)
	s.proxy(t, s.two, provider, o.apps(t), o.two)
	return s
}

func makeReader(t testing.TB, admin *redis.Client) {
	t.Helper()
	err := admin.Do(t.Context(), "ACL", "SETUSER", "reader", "on", ">"+readerPassword, "resetkeys", "%R~*", "-@all", "+@read", "+@connection", "+info").Err()
	if err != nil {
		t.Fatal(err)
	}
}

// proxy starts an SSO proxy in front of an app, at a host of its own in the domain.
func (s *ssoWorld) proxy(t testing.TB, w *world, provider string, app *AppServer, env map[string]string) {
	t.Helper()
	w.app, w.dev, w.idp = app, s.dev, s.dev
	_, port, _ := strings.Cut(w.host(), ":")
	w.env = map[string]string{
		"POSTERN_BIND_ADDRESS": "127.0.0.1:" + port, "POSTERN_INGRESS": w.ingress, "POSTERN_UPSTREAM_HOST": app.Addr,
		"POSTERN_ENCRYPTION_KEY": testKey, "POSTERN_LOG_LEVEL": "debug", "POSTERN_IDENTITY_HEADERS": "postern",
		"POSTERN_REDIS_URI":   "redis://reader:" + readerPassword + "@" + s.redis.Addr,
		"POSTERN_SSO_ENABLED": "true", "POSTERN_SSO_MODE": "proxy", "POSTERN_SSO_SESSION_COOKIE_NAME": ssoCookie,
		"POSTERN_SSO_SERVER_URL": s.server.ingress, "POSTERN_OPENID_PROVIDER": provider,
	}
	maps.Copy(w.env, env)
	w.Process = Start(t, w.env)
}

// atProvider goes on from a redirect of a proxy or of the server until the provider is next.
func (s *ssoWorld) atProvider(c *Client, r *Response) *Response {
	c.t.Helper()
	if r.Redirects() && strings.HasPrefix(r.Where().String(), s.server.ingress+"/") {
		r = c.Navigate(r.Where().String())
	}
	return r
}

// login signs a person in from a proxy and returns the answer to the callback.
func (s *ssoWorld) login(t testing.TB, c *Client, w *world, person, query string) *Response {
	t.Helper()
	back := s.dev.SignIn(c, s.atProvider(c, c.Navigate(w.ingress+"/oauth2/login"+query)), person)
	done := c.Navigate(back.Where().String())
	if done.StatusCode != 302 {
		t.Fatalf("callback: status %d, want 302\n%.500s", done.StatusCode, done.Body)
	}
	return done
}

// user is whom the app behind a proxy takes a browser for.
func (w *world) user(t testing.TB, c *Client) string {
	t.Helper()
	return w.get(t, c, "/").Header.Get("X-Postern-User")
}

// neverRefused fails the test if the store ever had to refuse a command: a proxy that only reads does not even try.
func (s *ssoWorld) neverRefused(t testing.TB) {
	t.Helper()
	refused, err := s.redis.Client(t).Do(t.Context(), "ACL", "LOG").Slice()
	if err != nil {
		t.Fatal(err)
	}
	if len(refused) > 0 {
		t.Errorf("Redis refused commands of a proxy: %v", refused)
	}
}

// asDefault is sso.server-default-redirect-url.
func (s *ssoWorld) asDefault() string { return s.server.env["POSTERN_SSO_SERVER_DEFAULT_REDIRECT_URL"] }

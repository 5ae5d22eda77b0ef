package e2e

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// The login suite: what every provider must let through, the project's own and one that was not written here, by each way in which the
// client can show who it is.
func TestLoginSuite(t *testing.T) {
	t.Parallel()
	npm := func(client string, o ProviderOptions) func(testing.TB, []string, []string) (identityProvider, map[string]string) {
		return func(t testing.TB, redirects, postLogout []string) (identityProvider, map[string]string) {
			o.RedirectURIs, o.PostLogoutRedirectURIs = redirects, postLogout
			o.People = map[string]map[string]any{"kari": {"name": "Kari Saksbehandler"}}
			p := OIDCProvider(t, o)
			env := map[string]string{
				"POSTERN_OPENID_CLIENT_ID": client, "POSTERN_OPENID_WELL_KNOWN_URL": p.WellKnown(), "POSTERN_OPENID_SCOPES": "profile,offline_access",
			}
			if client == KeyClient {
				env["POSTERN_OPENID_CLIENT_JWK"] = p.ClientJWK
			} else {
				env["POSTERN_OPENID_CLIENT_SECRET"] = p.ClientSecret
			}
			return p, env
		}
	}
	for name, o := range map[string]worldOptions{
		"postern idp":                      {},
		"postern idp without PAR":          {idpFlags: []string{"--par=off"}},
		"postern idp, PAR required":        {idpFlags: []string{"--par=required"}},
		"postern idp, strict rotation":     {idpFlags: []string{"--refresh-rotation=strict"}},
		"oidc-provider, basic":             {idp: npm(SecretClient, ProviderOptions{SecretAuth: "client_secret_basic"})},
		"oidc-provider, post":              {idp: npm(SecretClient, ProviderOptions{SecretAuth: "client_secret_post"})},
		"oidc-provider, private key":       {idp: npm(KeyClient, ProviderOptions{})},
		"oidc-provider, PAR required":      {idp: npm(KeyClient, ProviderOptions{RequirePAR: true})},
		"postern idp, ingress with a path": {path: "/app"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, o)
			loginSuite(t, w)
		})
	}
}

func loginSuite(t *testing.T, w *world) {
	c := NewClient(t)
	done := w.login(t, c, "kari", w.path()+"/deep?x=1")
	if got, want := done.Where().String(), w.origin()+w.path()+"/deep?x=1"; got != want {
		t.Errorf("after the login: %s, want %s", got, want)
	}
	seen := w.get(t, c, "/x")
	if seen.Header.Get("X-Postern-Subject") == "" || seen.Header.Get("X-Postern-Name") != "Kari Saksbehandler" {
		t.Errorf("the app was told: %v", seen.Header)
	}
	first := seen.Header.Get("Authorization")
	if !strings.HasPrefix(first, "Bearer ") {
		t.Error("no bearer token")
	}
	if r := c.Get(w.ingress + "/oauth2/session"); r.StatusCode != 200 || !strings.Contains(r.Body, `"active":true`) {
		t.Errorf("session: status %d %s", r.StatusCode, r.Body)
	}
	if r := c.Send("POST", w.ingress+"/oauth2/session/refresh", ""); r.StatusCode != 200 {
		t.Errorf("refresh: status %d %s", r.StatusCode, r.Body)
	}
	out := c.Navigate(w.ingress + "/oauth2/logout")
	if !out.Redirects() || out.Where().Query().Get("post_logout_redirect_uri") != w.ingress+"/oauth2/logout/callback" {
		t.Fatalf("logout: status %d to %s", out.StatusCode, out.Where().Redacted())
	}
	back := c.FollowUntil(c.Navigate(out.Where().String()), func(next *url.URL) bool { return next.Path == w.path()+"/oauth2/logout/callback" })
	if !back.Redirects() { // a provider that asks first
		back = c.FollowUntil(c.Submit(back, map[string]string{"logout": "yes"}),
			func(next *url.URL) bool { return next.Path == w.path()+"/oauth2/logout/callback" })
	}
	end := c.Navigate(back.Where().String())
	if end.StatusCode != http.StatusFound || !strings.HasPrefix(end.Where().String(), w.ingress) {
		t.Errorf("logout callback: status %d to %s", end.StatusCode, end.Where().Redacted())
	}
	if seen := w.get(t, c, "/x"); seen.Header.Get("X-Postern-Subject") != "" || seen.Header.Get("Authorization") != "" {
		t.Error("the app still sees somebody after the logout")
	}
	w.Log.Without(t, map[string]string{"access token": strings.TrimPrefix(first, "Bearer ")})
}

// path is the path of the ingress.
func (w *world) path() string {
	u, err := url.Parse(w.ingress)
	if err != nil {
		return ""
	}
	return u.Path
}

// origin is the ingress without its path.
func (w *world) origin() string { return strings.TrimSuffix(w.ingress, w.path()) }

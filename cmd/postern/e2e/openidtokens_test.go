package e2e

import (
	"maps"
	"net/http"
	"strings"
	"testing"
)

// genericAPI is the audience of access tokens for the app at a provider of no particular kind, and partnerAPI is another one there.
const (
	genericAPI = "https://app.example"
	partnerAPI = "https://partner.example/api"
)

// genericWorld is an app that logs people in at npm's oidc-provider, and is a client there for its own calls too. The token API is on for the sake of
// Maskinporten, which is the project's own provider.
type genericWorld struct {
	*world
	provider *Provider
	target   *AppServer
	egress   string
	tokens   *texas
}

func newGenericWorld(t *testing.T, client string) *genericWorld {
	t.Helper()
	api := "127.0.0.1:" + FreePort(t)
	g := &genericWorld{target: App(t, nil), egress: "http://127.0.0.1:" + FreePort(t)}
	g.world = newWorld(t, worldOptions{idp: func(t testing.TB, redirects, postLogout []string) (identityProvider, map[string]string) {
		g.provider = OIDCProvider(t, ProviderOptions{RedirectURIs: redirects, PostLogoutRedirectURIs: postLogout, Resource: genericAPI, TokenGrants: true})
		jwk, public := newJWK(t)
		g.tokens = &texas{t: t, api: "http://" + api, dev: DevIDP(t, "", nil, nil, "--clients="+platformApps(t, map[string]any{"jwks": public}))}
		env := map[string]string{
			"POSTERN_OPENID_CLIENT_ID": client, "POSTERN_OPENID_CLIENT_SECRET": g.provider.ClientSecret, "POSTERN_OPENID_WELL_KNOWN_URL": g.provider.WellKnown(),
			"POSTERN_OPENID_RESOURCE_INDICATOR": genericAPI, "POSTERN_OPENID_AUDIENCES": genericAPI, "POSTERN_OPENID_SCOPES": "profile,offline_access,api",
			"POSTERN_TOKEN_BIND_ADDRESS": api, "POSTERN_EGRESS_BIND_ADDRESS": strings.TrimPrefix(g.egress, "http://"),
			"POSTERN_UPSTREAM_TOKENS": `[{header: X-Orders-Token, provider: openid, target: orders, required: true, paths: [/orders]}]`,
			"POSTERN_EGRESS_ROUTES": strings.ReplaceAll(`
- {name: orders, url: "http://TARGET", provider: openid, target: orders}
- {name: scope, url: "http://TARGET", provider: openid, target: api, as: app}
- {name: address, url: "http://TARGET", provider: openid, target: "`+partnerAPI+`", as: app}
- {name: either, url: "http://TARGET", provider: openid, target: stock, as: auto}
- {name: refused, url: "http://TARGET", provider: openid, target: "`+partnerAPI+`#x", as: app}
`, "TARGET", g.target.Addr),
		}
		if client == KeyClient {
			env["POSTERN_OPENID_CLIENT_SECRET"], env["POSTERN_OPENID_CLIENT_JWK"] = "", g.provider.ClientJWK
		}
		all := platformEnv(g.tokens.dev, jwk)
		maps.DeleteFunc(all, func(name, _ string) bool { return !strings.HasPrefix(name, "MASKINPORTEN_") })
		maps.Copy(env, all)
		maps.DeleteFunc(env, func(_, value string) bool { return value == "" })
		return g.provider, env
	}})
	return g
}

// A provider that nobody here wrote gives tokens for the next hop: the app's own, and on behalf of whoever is signed in. By each way of showing who
// the app is.
func TestTokensOfAProviderOfNoParticularKind(t *testing.T) {
	t.Parallel()
	for _, client := range []string{SecretClient, KeyClient} {
		t.Run(client, func(t *testing.T) {
			t.Parallel()
			genericTokens(t, newGenericWorld(t, client), client)
		})
	}
}

func genericTokens(t *testing.T, g *genericWorld, client string) {
	c := NewClient(t)
	g.login(t, c, "kari", "")
	given := g.get(t, c, "/orders").Header
	own := given.Get("Authorization")
	if got := bearer(t, given); got["aud"] != genericAPI || got["sub"] != "kari" {
		t.Fatalf("the app was given %v", got)
	}
	isExchanged := func(what string, got map[string]any, aud string) {
		t.Helper()
		act, _ := got["act"].(map[string]any)
		if got["iss"] != g.provider.Issuer || got["aud"] != aud || got["sub"] != "kari" || act["client_id"] != client {
			t.Errorf("%s: %v", what, got)
		}
	}
	isOwn := func(what string, got map[string]any, aud string) {
		t.Helper()
		if got["iss"] != g.provider.Issuer || got["aud"] != aud || got["client_id"] != client || got["sub"] != nil && got["sub"] != client {
			t.Errorf("%s: %v", what, got)
		}
	}
	isExchanged("upstream token", claims(t, given.Get("X-Orders-Token")), "orders")
	call := func(path, authorization string) *Response {
		headers := []string{"X-Postern-Egress", "1"}
		if authorization != "" {
			headers = append(headers, "Authorization", authorization)
		}
		return NewClient(t).Get(g.egress+path, headers...)
	}
	through := func(path, authorization string) map[string]any {
		t.Helper()
		r := call(path, authorization)
		if r.StatusCode != 200 {
			t.Fatalf("%s: %d %s", path, r.StatusCode, r.Body)
		}
		return bearer(t, Echoed(t, r).Header)
	}
	isExchanged("egress", through("/orders/x", own), "orders")
	isExchanged("egress, auto", through("/either/x", own), "stock")
	machine := through("/scope/x", "")
	isOwn("egress, a scope", machine, genericAPI)
	if machine["scope"] != "api" {
		t.Errorf("scope %v", machine["scope"])
	}
	isOwn("egress, an address", through("/address/x", ""), partnerAPI)
	noToken(t, call("/refused/x", ""), 403, "invalid_target", "")
	noToken(t, call("/orders/x", ""), 401, "unauthenticated", "")

	ask := func(path string, members map[string]any) *Response {
		members["identity_provider"] = "openid"
		return g.tokens.ask(path, members)
	}
	user := strings.TrimPrefix(own, "Bearer ")
	exchanged := token(t, ask(exchangePath, map[string]any{"target": "billing", "user_token": user}))
	isExchanged("token API", claims(t, exchanged.Access), "billing")
	app := token(t, ask(tokenPath, map[string]any{"target": partnerAPI}))
	isOwn("token API", claims(t, app.Access), partnerAPI)
	noToken(t, ask(exchangePath, map[string]any{"target": "billing", "user_token": user + "x"}), 400, "invalid_grant", "")

	known := len(g.target.Requests())
	for what, raw := range map[string]string{
		"of the app's own, for another API": app.Access, "of the app's own, for itself": token(t, ask(tokenPath, map[string]any{"target": "api"})).Access,
		"for another API": exchanged.Access, "of another provider": g.tokens.entraUser("kari"), "without its end": user[:len(user)-8],
	} {
		for _, path := range []string{"/orders/x", "/either/x"} {
			if r := call(path, "Bearer "+raw); r.StatusCode != 401 || len(g.target.Requests()) != known {
				t.Errorf("a token %s: %d %s", what, r.StatusCode, r.Body)
			}
		}
	}

	if r := c.Get(g.ingress + "/oauth2/logout/local"); r.StatusCode != http.StatusNoContent { // S-09
		t.Fatalf("logout: status %d", r.StatusCode)
	}
	noToken(t, call("/orders/x", own), 401, "invalid_token", "")
	noToken(t, ask(exchangePath, map[string]any{"target": "billing", "user_token": user}), 401, "invalid_token", "")
	g.Log.Without(t, map[string]string{"the user's token": user, "an exchanged token": exchanged.Access, "the app's token": app.Access})
}

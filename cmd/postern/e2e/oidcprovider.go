package e2e

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const installProvider = "run .ci/test, which installs Node.js 20 or newer and .ci/oidc-provider's packages (npm ci)"

// Clients of every [Provider].
const (
	SecretClient = "postern"     // client_secret_basic and client_secret_post
	KeyClient    = "postern-key" // private_key_jwt, RS256
)

// ProviderOptions say how the provider behaves. The zero value has no redirect URI and so lets nobody log in.
type ProviderOptions struct {
	RedirectURIs           []string
	PostLogoutRedirectURIs []string
	BackchannelLogoutURI   string

	Host        string                    // name in the issuer; "idp.localhost"
	Port        string                    // a [FreePort] chosen before
	SecretAuth  string                    // how SecretClient shows its secret: "client_secret_basic" (default) or "client_secret_post"
	People      map[string]map[string]any // claims by login name; any other login is a person too
	TTL         map[string]int            // seconds by kind: "AccessToken", "IdToken", "RefreshToken", "Session"
	Resource    string                    // audience of access tokens, which are then JWTs
	OfflineOnly bool                      // refresh tokens only with the scope offline_access
	RequirePAR  bool                      // refuse authorization requests that were not pushed
	AskAtLogout bool                      // the logout page waits for its button, #sign-out
	TokenGrants bool                      // the clients may ask for tokens of their own (RFC 6749 4.4) and exchange others' (RFC 8693)
}

// Provider is a running oidc-provider. Its login form has #login, #password (any), #sign-in and #cancel.
type Provider struct {
	Issuer       string
	Addr         string // host:port to connect to
	ClientSecret string // of SecretClient
	ClientJWK    string // private JWK of KeyClient
	Log          *Log

	*child
}

// OIDCProvider starts npm's oidc-provider, and returns when it answers.
func OIDCProvider(t testing.TB, o ProviderOptions) *Provider {
	t.Helper()
	dir := filepath.Join(moduleRoot(t), ".ci", "oidc-provider")
	node := nodePath(t)
	if _, err := os.Stat(filepath.Join(dir, "node_modules", "oidc-provider")); err != nil {
		missing(t, "npm's oidc-provider", installProvider)
	}
	if o.Port == "" {
		o.Port = FreePort(t)
	}
	if o.Host == "" {
		o.Host = "idp.localhost"
	}
	private, public := newJWK(t)
	p := &Provider{
		Issuer: "http://" + o.Host + ":" + o.Port, Addr: "127.0.0.1:" + o.Port, Log: newLog(),
		ClientSecret: rand.Text(), ClientJWK: private,
	}
	settings, err := json.Marshal(map[string]any{
		"issuer": p.Issuer, "clients": clients(o, p.ClientSecret, public), "people": o.People, "ttl": o.TTL, "resource": o.Resource,
		"offlineOnly": o.OfflineOnly, "requirePAR": o.RequirePAR, "askAtLogout": o.AskAtLogout,
	})
	if err != nil {
		t.Fatal(err)
	}
	p.child = spawn(t, &p.Log.out, &p.Log.err, dir, map[string]string{"OIDC_PROVIDER": string(settings)}, node, "server.mjs", o.Port)
	Eventually(t, "waiting for oidc-provider", func() error {
		if !p.alive() {
			t.Fatalf("oidc-provider ended:\n%s", p.Log.Text())
		}
		status, _, err := probe(p.WellKnown())
		if err == nil && status != http.StatusOK {
			err = fmt.Errorf("status %d", status)
		}
		return err
	})
	return p
}

// WellKnown is the address of the metadata.
func (p *Provider) WellKnown() string { return p.Issuer + "/.well-known/openid-configuration" }

// SignIn goes on from a redirect to the provider: through its login form, and back to the redirect that leads to the client's callback, which is
// returned and not followed.
func (p *Provider) SignIn(c *Client, r *Response, login string) *Response {
	c.t.Helper()
	away := func(next *url.URL) bool { return !strings.HasPrefix(next.String(), p.Issuer+"/") }
	form := c.FollowUntil(p.enter(c, r), away)
	if form.Redirects() {
		return form // still signed in at the provider
	}
	return c.FollowUntil(c.Submit(form, map[string]string{"login": login, "action": "sign-in"}), away)
}

// Cancel is SignIn by somebody who presses Cancel.
func (p *Provider) Cancel(c *Client, r *Response) *Response {
	c.t.Helper()
	away := func(next *url.URL) bool { return !strings.HasPrefix(next.String(), p.Issuer+"/") }
	form := c.FollowUntil(p.enter(c, r), away)
	return c.FollowUntil(c.Submit(form, map[string]string{"action": "cancel"}), away)
}

func (p *Provider) enter(c *Client, r *Response) *Response {
	c.t.Helper()
	if !r.Redirects() || !strings.HasPrefix(r.Where().String(), p.Issuer+"/") {
		c.t.Fatalf("not a redirect to the provider: status %d, to %s", r.StatusCode, r.Where().Redacted())
	}
	return c.Navigate(r.Where().String())
}

func clients(o ProviderOptions, secret string, public map[string]any) []map[string]any {
	grants := []string{"authorization_code", "refresh_token"}
	if o.TokenGrants {
		grants = append(grants, "client_credentials", "urn:ietf:params:oauth:grant-type:token-exchange")
	}
	client := func(id, auth string) map[string]any {
		m := map[string]any{
			"client_id": id, "token_endpoint_auth_method": auth,
			"redirect_uris": nonNil(o.RedirectURIs), "post_logout_redirect_uris": nonNil(o.PostLogoutRedirectURIs),
			"grant_types": grants, "response_types": []string{"code"},
		}
		if o.BackchannelLogoutURI != "" {
			m["backchannel_logout_uri"], m["backchannel_logout_session_required"] = o.BackchannelLogoutURI, true
		}
		return m
	}
	if o.SecretAuth == "" {
		o.SecretAuth = "client_secret_basic"
	}
	withSecret, withKey := client(SecretClient, o.SecretAuth), client(KeyClient, "private_key_jwt")
	withSecret["client_secret"] = secret
	withKey["jwks"] = map[string]any{"keys": []any{public}}
	withKey["token_endpoint_auth_signing_alg"] = "RS256"
	return []map[string]any{withSecret, withKey}
}

func nonNil(list []string) []string { return append([]string{}, list...) }

// newJWK is an RSA key as a private JWK text and its public members (RFC 7518 6.3).
func newJWK(t testing.TB) (private string, public map[string]any) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	number := func(n *big.Int) string { return base64.RawURLEncoding.EncodeToString(n.Bytes()) }
	public = map[string]any{
		"kty": "RSA", "kid": rand.Text(), "alg": "RS256", "use": "sig", "n": number(key.N), "e": number(big.NewInt(int64(key.E))),
	}
	all := map[string]any{
		"d": number(key.D), "p": number(key.Primes[0]), "q": number(key.Primes[1]),
		"dp": number(key.Precomputed.Dp), "dq": number(key.Precomputed.Dq), "qi": number(key.Precomputed.Qinv),
	}
	for name, value := range public {
		all[name] = value
	}
	text, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	return string(text), public
}

// nodePath is a Node.js that oidc-provider runs on: the one that .ci/test installed, or the system's.
func nodePath(t testing.TB) string {
	t.Helper()
	own, _ := filepath.Glob(filepath.Join(moduleRoot(t), ".ci", "node", "node_modules", "node-linux-*", "bin", "node"))
	for _, path := range append(own, "node") {
		out, err := exec.CommandContext(t.Context(), path, "--version").Output()
		if err != nil {
			continue
		}
		major, _, _ := strings.Cut(strings.TrimPrefix(string(out), "v"), ".")
		if n, err := strconv.Atoi(major); err == nil && n >= 20 {
			return path
		}
	}
	missing(t, "Node.js 20 or newer", installProvider)
	return ""
}

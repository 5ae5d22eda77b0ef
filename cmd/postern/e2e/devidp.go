package e2e

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// DevProvider is a running `postern idp`. Its login form is a button for each person, named persona, and one named cancel.
type DevProvider struct {
	Issuer string
	Addr   string
	Log    *Log

	*Process
}

// DevClientID and DevClientSecret are the one client of every [DevProvider].
const (
	DevClientID     = "0e7b1a52-3c64-4f0f-9d1b-7a52c1f2d301"
	DevClientSecret = "dev-client-secret-8f2c"
)

// devTenant is the tenant of `postern idp`.
const devTenant = "7d1a4a5e-0b5c-4f0e-9a53-5f1d0c6e2b11"

// DevIDP starts `postern idp` with its knobs on, and returns when it answers. flags are further flags of the command.
func DevIDP(t testing.TB, port string, redirectURIs, postLogoutURIs []string, flags ...string) *DevProvider {
	t.Helper()
	if port == "" {
		port = FreePort(t)
	}
	args := append([]string{
		"idp", "--bind-address=127.0.0.1:" + port, "--admin", "--log-format=json",
		"--client-id=" + DevClientID, "--client-secret=" + DevClientSecret,
		"--redirect-uri=" + strings.Join(redirectURIs, ","), "--post-logout-redirect-uri=" + strings.Join(postLogoutURIs, ","),
	}, flags...)
	p := &DevProvider{Issuer: "http://idp.localhost:" + port + "/" + devTenant + "/v2.0", Addr: "127.0.0.1:" + port}
	p.Process = Launch(t, nil, args...)
	p.Log = p.Process.Log
	p.WaitURL(t, "http://127.0.0.1:"+port+"/"+devTenant+"/v2.0/.well-known/openid-configuration")
	t.Cleanup(func() {
		if !p.ended {
			p.Stop(t)
		}
	})
	return p
}

// Port is the provider's port.
func (p *DevProvider) Port() string { return p.Addr[strings.LastIndexByte(p.Addr, ':')+1:] }

// WellKnown is the address of the metadata.
func (p *DevProvider) WellKnown() string { return p.Issuer + "/.well-known/openid-configuration" }

// TokenXIssuer is TokenX as `iss` says it. The host of all issuers is idp.localhost.
func (p *DevProvider) TokenXIssuer() string { return p.origin() + "/tokenx" }

// MaskinportenIssuer ends in a slash.
func (p *DevProvider) MaskinportenIssuer() string { return p.origin() + "/maskinporten/" }

// IDPortenIssuer does not.
func (p *DevProvider) IDPortenIssuer() string { return p.origin() + "/idporten" }

// TokenXWellKnown is the address of TokenX's metadata.
func (p *DevProvider) TokenXWellKnown() string {
	return p.TokenXIssuer() + "/.well-known/oauth-authorization-server"
}

// MaskinportenWellKnown is the address of Maskinporten's metadata.
func (p *DevProvider) MaskinportenWellKnown() string {
	return p.MaskinportenIssuer() + ".well-known/oauth-authorization-server"
}

// IDPortenWellKnown is the address of ID-porten's metadata.
func (p *DevProvider) IDPortenWellKnown() string {
	return p.IDPortenIssuer() + "/.well-known/openid-configuration"
}

// Mint has the provider sign a token: the request is the body of POST /_dev/mint, such as {"profile": "tokenx", "claims": {"acr": "Level4"}}. The
// issuers in it are those of idp.localhost.
func (p *DevProvider) Mint(t testing.TB, request map[string]any) string {
	t.Helper()
	encoded, err := json.Marshal(request)
	if err != nil {
		t.Fatal(err)
	}
	r := NewClient(t).Send(http.MethodPost, p.origin()+"/_dev/mint", string(encoded), "Content-Type", "application/json")
	var answer struct {
		Token string `json:"token"`
	}
	if err := json.Unmarshal([]byte(r.Body), &answer); err != nil || answer.Token == "" {
		t.Fatalf("POST /_dev/mint: status %d %s", r.StatusCode, r.Body)
	}
	return answer.Token
}

// EndSessions logs somebody out at the provider itself, everywhere; all clients that are told must answer 200. It returns how many answered.
func (p *DevProvider) EndSessions(t testing.TB, user string) (told int) {
	t.Helper()
	r := NewClient(t).Send(http.MethodPost, p.origin()+"/_dev/logout", `{"user":"`+user+`"}`, "Content-Type", "application/json")
	var answer struct {
		Told []struct{ Status int }
	}
	if err := json.Unmarshal([]byte(r.Body), &answer); err != nil {
		t.Fatalf("POST /_dev/logout: status %d %s", r.StatusCode, r.Body)
	}
	for _, one := range answer.Told {
		if one.Status != http.StatusOK {
			t.Errorf("a client answered a logout token with %d", one.Status)
		}
	}
	return len(answer.Told)
}

// origin is where everything of the provider is.
func (p *DevProvider) origin() string { return strings.TrimSuffix(p.Issuer, "/"+devTenant+"/v2.0") }

// SignIn goes on from a redirect to the provider: through its login page, and back to the redirect that leads to the client's callback, which
// is returned and not followed.
func (p *DevProvider) SignIn(c *Client, r *Response, persona string) *Response {
	c.t.Helper()
	return p.submit(c, r, map[string]string{"persona": persona})
}

// SignInWith is SignIn with free claims, a JSON object.
func (p *DevProvider) SignInWith(c *Client, r *Response, persona, claims string) *Response {
	c.t.Helper()
	return p.submit(c, r, map[string]string{"persona": persona, "claims": claims})
}

// Cancel is SignIn by somebody who presses Cancel.
func (p *DevProvider) Cancel(c *Client, r *Response) *Response {
	c.t.Helper()
	return p.submit(c, r, map[string]string{"cancel": "yes"})
}

func (p *DevProvider) submit(c *Client, r *Response, fields map[string]string) *Response {
	c.t.Helper()
	if !r.Redirects() || !strings.HasPrefix(r.Where().String(), p.origin()+"/") {
		c.t.Fatalf("not a redirect to the provider: status %d, to %s\n%.300s", r.StatusCode, r.Where().Redacted(), r.Body)
	}
	away := func(next *url.URL) bool { return !strings.HasPrefix(next.String(), p.origin()+"/") }
	form := c.FollowUntil(c.Navigate(r.Where().String()), away)
	if form.Redirects() {
		return form // still signed in at the provider
	}
	return c.FollowUntil(c.Submit(form, fields), away)
}

// Dev turns one of the provider's knobs (/_dev/…).
func (p *DevProvider) Dev(t testing.TB, path string, body any) {
	t.Helper()
	encoded, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	r := NewClient(t).Send(http.MethodPost, "http://"+p.Addr+"/_dev/"+path, string(encoded), "Content-Type", "application/json")
	if r.StatusCode >= 300 {
		t.Fatalf("POST /_dev/%s: status %d %s", path, r.StatusCode, r.Body)
	}
}

// Counts is how many requests each of the provider's endpoints has had.
func (p *DevProvider) Counts(t testing.TB) map[string]int {
	t.Helper()
	var counts map[string]int
	r := NewClient(t).Get("http://" + p.Addr + "/_dev/counts")
	if err := json.Unmarshal([]byte(r.Body), &counts); err != nil {
		t.Fatalf("counts: %v %s", err, r.Body)
	}
	return counts
}

// TokenRequest is what one of the provider's token endpoints was sent. Secrets, codes and tokens in the form are hidden.
type TokenRequest struct {
	Issuer    string      `json:"issuer"`
	GrantType string      `json:"grant_type"`
	Form      url.Values  `json:"form"`
	Header    http.Header `json:"header"`
	Tokens    map[string]struct {
		Header map[string]any `json:"header"`
		Claims map[string]any `json:"claims"`
	} `json:"tokens"`
}

// TokenRequests are those since [DevProvider.Forget], the last hundred of them, oldest first.
func (p *DevProvider) TokenRequests(t testing.TB) []TokenRequest {
	t.Helper()
	var all struct {
		Requests []TokenRequest `json:"requests"`
	}
	r := NewClient(t).Get("http://" + p.Addr + "/_dev/token-requests")
	if err := json.Unmarshal([]byte(r.Body), &all); err != nil {
		t.Fatalf("token requests: %v %s", err, r.Body)
	}
	return all.Requests
}

// Forget starts the counts and the token requests anew.
func (p *DevProvider) Forget(t testing.TB) {
	t.Helper()
	p.Dev(t, "token-requests/forget", map[string]any{})
}

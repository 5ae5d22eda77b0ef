package egress

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"postern/config"
	"postern/oidc"
	"postern/oidc/devidp"
)

const ourClient = "aaaaaaaa-0000-4000-8000-00000000000a"

// newProviders is the test provider in all its roles, and the verifier of an app that takes the tokens of each.
func newProviders(t *testing.T) (mint func(devidp.MintRequest) string, users *oidc.Verifier, ended *oidc.Revocations) {
	t.Helper()
	idp, err := devidp.New(devidp.Config{Clients: []devidp.ClientConfig{{ID: ourClient, Secret: "s", Scopes: []string{"defaultaccess"}, RedirectURIs: []string{"http://localhost/cb"}}}})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(idp)
	t.Cleanup(server.Close)
	var accept []oidc.Acceptance
	for _, one := range []struct {
		name, audience string
		issuer         devidp.Issuer
	}{
		{oidc.EntraID, ourClient, devidp.Entra},
		{oidc.TokenX, devidp.DefaultTokenXAudience, devidp.TokenX},
		{oidc.Maskinporten, "", devidp.Maskinporten},
		{oidc.IDPorten, devidp.DefaultIDPortenAudience, devidp.IDPorten},
	} {
		provider, err := oidc.NewProvider(oidc.ProviderConfig{Name: one.name, WellKnownURL: idp.WellKnown(one.issuer, server.URL), AllowTestProvider: true}, oidc.Deps{})
		if err != nil {
			t.Fatal(err)
		}
		go provider.Run(t.Context())
		for provider.Ready() != nil { // the checks of tokens wait for two seconds at most
			time.Sleep(time.Millisecond)
		}
		a := oidc.Acceptance{Name: one.name, Provider: provider}
		if one.audience != "" {
			a.Audiences = []string{one.audience}
		}
		accept = append(accept, a)
	}
	ended = oidc.NewRevocations(nil)
	if users, err = oidc.NewVerifier(accept, 0, oidc.Deps{Revocations: ended}); err != nil {
		t.Fatal(err)
	}
	return func(m devidp.MintRequest) string {
		m.Base = server.URL
		token, err := idp.Mint(m)
		if err != nil {
			t.Fatal(err)
		}
		return token
	}, users, ended
}

// TestS21OnlyAUserIsExchangedAsOne is about real tokens of every class (reference/tokens.md 6.3).
func TestS21OnlyAUserIsExchangedAsOne(t *testing.T) {
	t.Parallel()
	mint, users, _ := newProviders(t)
	target := newOutside(t, nil)
	s := newSidecar(t, func(c *Config, d *Deps) {
		d.Users, c.IDPorten = users, []string{ourClient}
	}, config.EgressRoute{Name: "entra", URL: target.URL}, config.EgressRoute{Name: "tokenx", URL: target.URL, Provider: oidc.TokenX, Target: "t"},
		config.EgressRoute{Name: "auto", URL: target.URL, As: "auto", Open: true})
	ago := -3600
	for name, test := range map[string]struct {
		token devidp.MintRequest
		route string
		want  string // "": it goes out; else what the answer says
	}{
		"a user of Entra ID":                   {devidp.MintRequest{Profile: devidp.MintEntraUser}, "entra", ""},
		"the same, where the app may go too":   {devidp.MintRequest{Profile: devidp.MintEntraUser}, "auto", ""},
		"an app of Entra ID":                   {devidp.MintRequest{Profile: devidp.MintEntraApp}, "entra", "The token is an app's"},
		"an app is no app of ours":             {devidp.MintRequest{Profile: devidp.MintEntraApp}, "auto", "The token is an app's"},
		"an id token":                          {devidp.MintRequest{Profile: devidp.MintEntraIDToken}, "entra", "id token"},
		"a token for another app":              {devidp.MintRequest{Profile: devidp.MintEntraUser, Claims: map[string]any{"aud": "another"}}, "entra", "not accepted"},
		"a token that has ended":               {devidp.MintRequest{Profile: devidp.MintEntraUser, ExpIn: &ago}, "entra", "not accepted"},
		"a forged token":                       {devidp.MintRequest{Profile: devidp.MintEntraUser, BadSignature: true}, "entra", "not accepted"},
		"a machine of Maskinporten":            {devidp.MintRequest{Profile: devidp.MintMaskinporten}, "tokenx", "The token is an app's"},
		"a machine of Maskinporten, at Entra":  {devidp.MintRequest{Profile: devidp.MintMaskinporten}, "auto", "The token is an app's"},
		"a citizen by TokenX":                  {devidp.MintRequest{Profile: devidp.MintTokenX}, "tokenx", ""},
		"a citizen by TokenX, at Entra":        {devidp.MintRequest{Profile: devidp.MintTokenX}, "entra", "which does not take it"},
		"a citizen who logged in here":         {devidp.MintRequest{Profile: devidp.MintIDPorten}, "tokenx", ""},
		"S-02: a citizen who did so elsewhere": {devidp.MintRequest{Profile: devidp.MintIDPorten, Claims: map[string]any{"client_id": "elsewhere"}}, "tokenx", "another client"},
		"S-02: a citizen of no client":         {devidp.MintRequest{Profile: devidp.MintIDPorten, Claims: map[string]any{"client_id": nil}}, "tokenx", "another client"},
		"an employee, at TokenX":               {devidp.MintRequest{Profile: devidp.MintEntraUser}, "tokenx", "which does not take it"},
	} {
		token := mint(test.token)
		reached, asked := len(target.requests()), len(s.broker.requests())
		res, body := s.call(t, "GET /"+test.route+"/x", "Authorization: Bearer "+token+"\r\n")
		if test.want == "" {
			if res.StatusCode != 200 || target.last().Header.Get("Authorization") != "Bearer exchanged-"+token {
				t.Errorf("%s: %d %s", name, res.StatusCode, body)
			}
			continue
		}
		if got := errorOf(t, body); res.StatusCode != 401 || got.Code != "invalid_token" || !strings.Contains(got.Description, test.want) {
			t.Errorf("%s: %d %s; want %q", name, res.StatusCode, body, test.want)
		}
		if len(target.requests()) > reached || len(s.broker.requests()) > asked {
			t.Errorf("%s: something was sent somewhere", name)
		}
	}
}

// TestS09TokenOfAnEndedSessionGoesNowhere: the app still has it, and may still forward it.
func TestS09TokenOfAnEndedSessionGoesNowhere(t *testing.T) {
	t.Parallel()
	mint, users, ended := newProviders(t)
	target := newOutside(t, nil)
	s := newSidecar(t, func(_ *Config, d *Deps) { d.Users = users }, orders(target.URL))
	token := mint(devidp.MintRequest{Profile: devidp.MintEntraUser})
	header := "Authorization: Bearer " + token + "\r\n"
	if res, body := s.call(t, "GET /orders/x", header); res.StatusCode != 200 {
		t.Fatalf("%d %s", res.StatusCode, body)
	}
	ended.AddHash(oidc.TokenHash(oidc.NewToken(token)), time.Now().Add(time.Hour))
	if res, body := s.call(t, "GET /orders/x", header); res.StatusCode != 401 || !strings.Contains(body, "logout") {
		t.Errorf("%d %s", res.StatusCode, body)
	}
	if len(target.requests()) != 1 {
		t.Error("the target was called")
	}
}

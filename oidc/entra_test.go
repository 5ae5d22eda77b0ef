package oidc_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/lestrrat-go/jwx/v2/jwk"

	"postern/config"
	"postern/oidc"
	"postern/oidc/devidp"
)

// One login, two refreshes and a logout at the strict test provider, over a real network, with a private key and with a secret.
func TestLoginAndRefreshAtTheTestProvider(t *testing.T) {
	t.Parallel()
	const clientID, redirect = "0cf3a3c4-6b35-4c7f-9d1c-5a5a4a0f7a01", "https://app.example/oauth2/callback"
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	key, err := jwk.FromRaw(private)
	must(t, err)
	must(t, key.Set(jwk.AlgorithmKey, "ES256"))
	must(t, key.Set(jwk.KeyIDKey, "client-key"))
	text, err := json.Marshal(key)
	must(t, err)
	const secret = "a-secret-of-some-length-0123456789"
	for name, tc := range map[string]struct {
		par      devidp.PARMode
		rotation devidp.Rotation
		login    config.OpenID
	}{
		"pushed, private key":    {devidp.PARRequired, devidp.RotateStrict, config.OpenID{ClientJWK: config.NewSecret(string(text))}},
		"secret, no new refresh": {devidp.PAROff, devidp.RotateNever, config.OpenID{ClientSecret: config.NewSecret(secret)}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			idp, err := devidp.New(devidp.Config{
				PAR: tc.par, RefreshRotation: tc.rotation, AutoLogin: "ola",
				Clients: []devidp.ClientConfig{{ID: clientID, Secret: secret, JWKS: text, RedirectURIs: []string{redirect}}},
			})
			must(t, err)
			srv := httptest.NewServer(idp)
			defer srv.Close()
			provider, err := oidc.NewProvider(oidc.ProviderConfig{
				Name: "entra_id", WellKnownURL: srv.URL + "/" + devidp.DefaultTenantID + "/v2.0/.well-known/openid-configuration", AllowTestProvider: true,
			}, oidc.Deps{})
			must(t, err)
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			go provider.Run(ctx)
			tc.login.Provider, tc.login.ClientID = "azure", clientID
			client, err := oidc.NewClient(tc.login, provider, oidc.Deps{})
			must(t, err)

			pending, target, err := client.Authorize(ctx, oidc.AuthorizationRequest{RedirectURI: redirect})
			must(t, err)
			back := follow(t, target)
			answer := oidc.AuthorizationResponse{Code: back.Get("code"), State: back.Get("state"), Iss: back.Get("iss")}
			grant, err := client.Redeem(ctx, pending, answer)
			must(t, err)
			id := grant.Identity
			want := []string{"Z990002", "Ola Beslutter", devidp.DefaultTenantID}
			if diff := cmp.Diff(want, []string{id.User(), id.Name(), id.Tenant()}); diff != "" || id.GrantedJSON() == "" {
				t.Errorf("%s, granted %s", diff, id.GrantedJSON())
			}
			if diff := cmp.Diff([]string{devidp.GroupCaseworkers, devidp.GroupApprovers}, id.Groups()); diff != "" {
				t.Error(diff)
			}
			for range 2 {
				renewed, err := client.Refresh(ctx, grant)
				must(t, err)
				if renewed.Identity.User() != "Z990002" || renewed.Tokens.Access == grant.Tokens.Access || renewed.Tokens.Refresh.Empty() {
					t.Errorf("%+v", renewed)
				}
				grant = renewed
			}
			out, err := client.EndSessionURL(ctx, grant.Tokens.ID, "", "", "")
			must(t, err)
			if u, err := url.Parse(out); err != nil || u.Query().Get("id_token_hint") != grant.Tokens.ID.Raw() {
				t.Errorf("%s, %v", out, err)
			}
			_, err = client.Redeem(ctx, pending, answer) // the code is used up
			if refusal := (*oidc.RefusalError)(nil); !errors.As(err, &refusal) || refusal.OurFault() {
				t.Errorf("got %v", err)
			}
		})
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// follow plays the browser up to the way back to the app.
func follow(t testing.TB, target string) url.Values {
	t.Helper()
	browser := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := browser.Get(target)
	must(t, err)
	defer resp.Body.Close()
	to, err := resp.Location()
	must(t, err)
	return to.Query()
}

package oidc

import (
	"errors"
	"fmt"
	"strings"

	"postern/config"
)

// Client is the login client of the app at its provider. It holds no state of logins: [PendingLogin] travels with the browser.
type Client struct {
	cfg        config.OpenID
	preset     preset
	scopes     []string
	acr        string // default, may be several values; empty if none is asked for
	locales    string
	provider   *Provider
	endpoint   *TokenEndpoint
	credential *rotating
	deps       Deps
}

// NewClient does no I/O; an error means that the configuration cannot work.
func NewClient(cfg config.OpenID, p *Provider, d Deps) (*Client, error) {
	kind, err := presetFor(cfg)
	auth, authErr := NewAuthenticator(Credentials{
		ClientID: cfg.ClientID, JWK: cfg.ClientJWK, Secret: cfg.ClientSecret, FederatedTokenFile: cfg.FederatedTokenFile,
		NewJWTType: cfg.NewClientAuthJWTType,
	}, d)
	if err := errors.Join(err, authErr); err != nil {
		return nil, fmt.Errorf("configure login client: %w", err)
	}
	c := &Client{
		cfg: cfg, preset: kind, provider: p, deps: d.withDefaults(),
		acr: RequiredACR(cfg), locales: first(cfg.UILocales, kind.locale),
	}
	c.credential = newRotating(auth)
	c.endpoint = NewTokenEndpoint(p, c.credential, d)
	c.scopes = LoginScopes(cfg)
	return c, nil
}

// ProviderName is the value of X-Postern-Provider: "openid", "entra_id" or "idporten".
func (c *Client) ProviderName() string { return c.preset.name }

// TokenEndpoint is that of the client's provider, for other grants with the credential that the client has at the time.
func (c *Client) TokenEndpoint(d Deps) *TokenEndpoint {
	return NewTokenEndpoint(c.provider, c.credential, d)
}

// RequiredACR is the level that every session of this client must have: the configured or preset one, possibly several words of which
// one suffices; empty if there is none. See [ACRSatisfies].
func (c *Client) RequiredACR() string { return c.acr }

// RequiredACR is the same for whoever has no client of its own: an SSO proxy.
func RequiredACR(cfg config.OpenID) string {
	kind, _ := presetFor(cfg) // of an unknown provider nothing is preset, and NewClient reports it
	return translateACR(first(cfg.ACRValues, kind.acr))
}

// ACRSatisfies says whether got meets one of the space-separated values of want. Levels of ID-porten are ordered, and may be called by
// their old names; other values must be equal. An empty want is always met.
func ACRSatisfies(want, got string) bool {
	if want == "" {
		return true
	}
	got = translateACR(got)
	for _, one := range strings.Fields(translateACR(want)) {
		if one == got || one == loaSubstantial && got == loaHigh {
			return true
		}
	}
	return false
}

const (
	loaSubstantial = "idporten-loa-substantial"
	loaHigh        = "idporten-loa-high"
)

// translateACR replaces the old names of ID-porten's levels.
func translateACR(values string) string {
	words := strings.Fields(values)
	for i, word := range words {
		switch word {
		case "Level3":
			words[i] = loaSubstantial
		case "Level4":
			words[i] = loaHigh
		}
	}
	return strings.Join(words, " ")
}

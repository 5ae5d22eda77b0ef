package oidc

import (
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/oauth2"
)

// AuthorizationRequest is what a login may ask for. All but RedirectURI and State comes from the browser and may be empty; a value that means
// nothing to the provider falls back to the configured one.
type AuthorizationRequest struct {
	RedirectURI string
	State       string // empty: a random one is made
	Level       string // one of the provider's acr_values_supported, or an old name of ID-porten's
	Locale      string // one of the provider's ui_locales_supported
	Prompt      string // "login" or "select_account"; anything else counts as "login"
	DomainHint  string
	Claims      string // JSON of OIDC Core §5.5: a claims challenge that came with a refusal
}

// PendingLogin is what must be kept, sealed for this browser, until the provider sends it back.
type PendingLogin struct {
	State, Nonce, Verifier, RedirectURI string
	ACR                                 string // asked for; the id token must satisfy it
	MaxAge                              bool   // a new authentication was asked for
	StartedAt                           int64  // seconds since 1970
}

// Authorize starts a login: what to keep, and the URL to send the browser to. With PAR the URL holds no more than a reference.
func (c *Client) Authorize(ctx context.Context, r AuthorizationRequest) (PendingLogin, string, error) {
	md, err := c.provider.Metadata(ctx)
	if err != nil {
		return PendingLogin{}, "", err
	}
	if md.AuthorizationEndpoint == "" {
		return PendingLogin{}, "", c.endpoint.trouble("authorize", errors.New("the metadata has no authorization endpoint"))
	}
	pending := PendingLogin{RedirectURI: r.RedirectURI, ACR: c.chooseACR(md, r.Level), StartedAt: c.deps.Now().Unix()}
	pending.State = r.State
	for _, secret := range []*string{&pending.State, &pending.Nonce, &pending.Verifier} {
		if *secret != "" {
			continue
		}
		if *secret, err = c.deps.secretText(); err != nil {
			return PendingLogin{}, "", c.endpoint.trouble("authorize", err)
		}
	}
	params, maxAge := c.authorizationParams(md, r, pending)
	pending.MaxAge = maxAge
	if md.PushedAuthorizationRequestEndpoint != "" {
		if params, err = c.push(ctx, md, params); err != nil {
			return PendingLogin{}, "", err
		}
	}
	return pending, withQuery(md.AuthorizationEndpoint, params), nil
}

// authorizationParams are those of OIDC Core §3.1.2.1, RFC 7636 §4.3 (S256 always) and RFC 8707 §2.1.
func (c *Client) authorizationParams(md *Metadata, r AuthorizationRequest, pending PendingLogin) (_ url.Values, maxAge bool) {
	optional := map[string]string{
		"acr_values":  pending.ACR,
		"ui_locales":  c.chooseLocales(md, r.Locale),
		"domain_hint": first(r.DomainHint, c.cfg.DomainHint),
		"resource":    c.cfg.ResourceIndicator,
	}
	switch r.Prompt {
	case "":
	case "select_account":
		optional["prompt"] = r.Prompt
	default:
		optional["prompt"], optional["max_age"] = "login", "0"
		maxAge = true
	}
	if r.Claims != "" && json.Valid([]byte(r.Claims)) {
		optional["claims"] = r.Claims
	}
	options := []oauth2.AuthCodeOption{
		oauth2.S256ChallengeOption(pending.Verifier),
		oauth2.SetAuthURLParam("nonce", pending.Nonce),
		oauth2.SetAuthURLParam("response_mode", "query"),
	}
	for name, value := range optional {
		if value != "" {
			options = append(options, oauth2.SetAuthURLParam(name, value))
		}
	}
	request := oauth2.Config{ClientID: c.cfg.ClientID, RedirectURL: pending.RedirectURI, Scopes: c.scopes}
	// Without an endpoint this is the query alone, which a pushed request needs as a form.
	params, _ := url.ParseQuery(strings.TrimPrefix(request.AuthCodeURL(pending.State, options...), "?"))
	return params, maxAge
}

// chooseACR takes a level that the provider knows, by its name or its old name; else the default.
func (c *Client) chooseACR(md *Metadata, level string) string {
	for _, acr := range []string{level, translateACR(level)} {
		if acr != "" && slices.Contains(md.ACRValuesSupported, acr) {
			return acr
		}
	}
	return c.acr
}

// chooseLocales leaves out what the provider does not list: some refuse the whole request for it.
func (c *Client) chooseLocales(md *Metadata, locale string) string {
	if locale != "" && slices.Contains(md.UILocalesSupported, locale) {
		return locale
	}
	known := slices.DeleteFunc(strings.Fields(c.locales), func(l string) bool { return !slices.Contains(md.UILocalesSupported, l) })
	return strings.Join(known, " ")
}

// withQuery adds parameters to an endpoint that may have some of its own (RFC 6749 §3.1), which stay.
func withQuery(endpoint string, params url.Values) string {
	separator := "?"
	if strings.Contains(endpoint, "?") {
		separator = "&"
	}
	return endpoint + separator + params.Encode()
}

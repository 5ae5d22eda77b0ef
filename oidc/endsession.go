package oidc

import (
	"context"
	"net/url"
)

// maxHint: an id token with hundreds of groups makes a URL that servers refuse; the client id says enough then.
const maxHint = 6 << 10

// EndSessionURL is where to send the browser to log out at the provider (OIDC RP-Initiated Logout §2); empty if the provider has no such
// place. Arguments may be empty, but for postLogoutRedirectURI and state, which go together.
func (c *Client) EndSessionURL(ctx context.Context, idTokenHint Token, logoutHint, postLogoutRedirectURI, state string) (string, error) {
	md, err := c.provider.Metadata(ctx)
	if err != nil || md.EndSessionEndpoint == "" {
		return "", err
	}
	params := url.Values{"client_id": {c.cfg.ClientID}}
	if hint := idTokenHint.Raw(); len(hint) <= maxHint && hint != "" {
		params.Set("id_token_hint", hint)
	}
	for name, value := range map[string]string{
		"logout_hint": logoutHint, "post_logout_redirect_uri": postLogoutRedirectURI, "state": state,
	} {
		if value != "" {
			params.Set(name, value)
		}
	}
	return withQuery(md.EndSessionEndpoint, params), nil
}

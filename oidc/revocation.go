package oidc

import (
	"context"
	"net/url"
)

// Revoke ends the tokens of a session at the provider (RFC 7009 §2.1): the refresh token, and with it what was issued for it, else the
// access token. A provider that has no place for that is not asked. It is sent once: what is lost lives out its own time.
//
// Some providers end everything that came of the same login there, so this is for a session whose login is over.
func (c *Client) Revoke(ctx context.Context, tokens Tokens) error {
	token, hint := tokens.Refresh, "refresh_token"
	if token.Empty() {
		token, hint = tokens.Access, "access_token"
	}
	if token.Empty() {
		return nil
	}
	md, err := c.provider.Metadata(ctx)
	if err != nil || md.RevocationEndpoint == "" {
		return err
	}
	at := *md
	if methods := md.RevocationAuthMethodsSupported; len(methods) > 0 { // RFC 8414 §2
		at.TokenEndpointAuthMethodsSupported = methods
	}
	_, err = c.endpoint.post(ctx, "revoke token", &at, md.RevocationEndpoint, url.Values{"token": {token.Raw()}, "token_type_hint": {hint}})
	return err
}

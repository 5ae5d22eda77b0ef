package oidc

import (
	"context"
	"crypto/subtle"
	"fmt"
	"net/url"
)

// AuthorizationResponse is what the browser brought back (RFC 6749 §4.1.2, RFC 9207), each parameter known to be single.
type AuthorizationResponse struct {
	Code, State, Iss string
}

// Redeem completes a login: it checks who answered, exchanges the code, verifies the id token and everything that the login asked for.
//
// Errors: *[InvalidTokenError] (response or id token not acceptable), *[RefusalError], *[TroubleError].
func (c *Client) Redeem(ctx context.Context, pending PendingLogin, r AuthorizationResponse) (Grant, error) {
	const op = "redeem code"
	md, err := c.provider.Metadata(ctx)
	if err != nil {
		return Grant{}, err
	}
	// RFC 9207 §2.4: before the code is shown to anybody, and so before it could be shown to the wrong provider (mix-up).
	if err := c.checkResponseIssuer(md, r.Iss); err != nil {
		return Grant{}, err
	}
	if pending.State == "" || subtle.ConstantTimeCompare([]byte(pending.State), []byte(r.State)) != 1 {
		return Grant{}, invalid("the response does not belong to this login")
	}
	if r.Code == "" {
		return Grant{}, invalid("the response has no code")
	}
	answer, err := c.endpoint.Grant(ctx, op, url.Values{
		"grant_type":    {"authorization_code"},
		"code":          {r.Code},
		"redirect_uri":  {pending.RedirectURI},
		"code_verifier": {pending.Verifier},
	})
	if err != nil {
		return Grant{}, err
	}
	if answer.ID.Empty() {
		return Grant{}, invalid("the provider sent no id token")
	}
	id, err := c.verifyIDToken(ctx, md, answer.Tokens)
	if err != nil {
		return Grant{}, err
	}
	if err := c.checkLogin(id, pending); err != nil {
		return Grant{}, err
	}
	granted, _ := c.granted(ctx, md, answer.Access, id) // S-18: it never fails a login
	return c.grant(answer.Tokens, id.payload, granted)
}

func (c *Client) grant(tokens Tokens, claims, granted string) (Grant, error) {
	identity, err := newSessionIdentity(c.preset.name, claims, granted)
	if err != nil {
		return Grant{}, err
	}
	return Grant{Tokens: tokens, Identity: identity}, nil
}

// RefusedResponse turns an error response (RFC 6749 §4.1.2.1) into a *[RefusalError]; into a *[TroubleError] if the provider says that
// it is in trouble, and into an *[InvalidTokenError] if it was not this provider that answered. The texts come from the browser: they are
// cut to what fits a log.
func (c *Client) RefusedResponse(ctx context.Context, pending PendingLogin, iss, code, description string) error {
	const op = "authorize"
	md, err := c.provider.Metadata(ctx)
	if err != nil {
		return err
	}
	if err := c.checkResponseIssuer(md, iss); err != nil {
		return err
	}
	switch {
	case !isErrorCode(code):
		code = "unknown"
	case code == "server_error" || code == "temporarily_unavailable":
		return c.endpoint.trouble(op, fmt.Errorf("the provider answers %s", code))
	}
	return &RefusalError{
		Provider: c.provider.cfg.Name, Op: op, Code: code,
		Description: cleanText(description, pending.State, pending.Nonce, pending.Verifier),
	}
}

// checkResponseIssuer is RFC 9207 §2.4: required where the provider announces it, compared wherever it is there.
func (c *Client) checkResponseIssuer(md *Metadata, iss string) error {
	if iss == "" {
		if md.AuthorizationResponseIss {
			return invalid("the response does not name its issuer")
		}
		return nil
	}
	if !c.provider.isIssuer(md, iss) {
		return invalid("the response is from another issuer")
	}
	return nil
}

package oidc

import "context"

// CheckLogoutIssuer holds a front-channel logout to its issuer (OIDC Front-Channel Logout 1.0 §3, S-33): "iss" is required where the
// provider announces it, and compared wherever it is there. No signature is behind it: whoever knows a session id of the provider may say
// that the session is over.
func (c *Client) CheckLogoutIssuer(ctx context.Context, iss string) error {
	md, err := c.provider.Metadata(ctx)
	if err != nil {
		return err
	}
	switch {
	case iss == "" && !md.FrontchannelLogoutSessionSupported, c.provider.isIssuer(md, iss):
		return nil
	case iss == "":
		return invalid("the logout does not name its issuer")
	}
	return invalid("the logout is from another issuer")
}

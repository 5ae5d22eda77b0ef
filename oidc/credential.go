package oidc

import (
	"fmt"
	"net/http"
	"net/url"
	"sync/atomic"

	"postern/config"
)

// rotating is a credential that can be replaced while it is in use.
type rotating struct{ current atomic.Pointer[Authenticator] }

func newRotating(first Authenticator) *rotating {
	r := &rotating{}
	r.current.Store(&first)
	return r
}

// Authenticate implements [Authenticator].
func (r *rotating) Authenticate(md *Metadata, form url.Values, header http.Header) error {
	return (*r.current.Load()).Authenticate(md, form, header)
}

// ReplaceCredential exchanges the client's private key or secret, whichever it was made with, from the next attempt on. One that cannot be
// used changes nothing.
func (c *Client) ReplaceCredential(text config.Secret) error {
	next := Credentials{ClientID: c.cfg.ClientID, Secret: text, NewJWTType: c.cfg.NewClientAuthJWTType}
	if !c.cfg.ClientJWK.Empty() {
		next.JWK, next.Secret = text, config.Secret{}
	}
	auth, err := NewAuthenticator(next, c.deps)
	if err != nil {
		return fmt.Errorf("replace client credential: %w", err)
	}
	c.credential.current.Store(&auth)
	return nil
}

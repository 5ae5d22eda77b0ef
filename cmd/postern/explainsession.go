package main

import (
	"errors"
	"fmt"

	"postern/oidc"
)

// sessionCaller reads the claims of an id token as those of a session of the login provider (S-18, S-19).
func sessionCaller(provider, claims string) (*oidc.Caller, error) {
	c, err := oidc.SessionCaller(provider, claims)
	switch {
	case err != nil:
		return nil, fmt.Errorf("--claims: %w", err)
	case c.Subject == "":
		return nil, errors.New("--claims: they lack sub, which every id token has")
	}
	return c, nil
}

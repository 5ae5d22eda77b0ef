package oidc

import (
	"context"
	"errors"
	"maps"
	"net/url"
	"slices"
)

// Refresh renews the tokens of a session (RFC 6749 §6). What the provider leaves out of its answer is kept: the refresh token, the id
// token. The person stays the same, and so does the level of authentication (S-18).
//
// Run it on a context that does not end with somebody's request: a rotated refresh token that nobody stored is lost. Errors as of
// [Client.Redeem]; an *[InvalidTokenError] means that the answer was for somebody else, or forged, and must not be used.
func (c *Client) Refresh(ctx context.Context, old Grant) (Grant, error) {
	const op = "refresh tokens"
	if old.Tokens.Refresh.Empty() || old.Identity == nil {
		return Grant{}, invalid("there is no refresh token")
	}
	before, err := readObject(old.Identity.ClaimsJSON())
	if err != nil {
		return Grant{}, &InvalidTokenError{Reason: "claims of the session cannot be read", Err: err}
	}
	md, err := c.provider.Metadata(ctx)
	if err != nil {
		return Grant{}, err
	}
	answer, err := c.endpoint.Grant(ctx, op, url.Values{
		"grant_type":    {"refresh_token"},
		"refresh_token": {old.Tokens.Refresh.Raw()},
	})
	if err != nil {
		return Grant{}, err
	}
	tokens, claims := answer.Tokens, old.Identity.ClaimsJSON()
	if tokens.Refresh.Empty() {
		tokens.Refresh = old.Tokens.Refresh
	}
	person := &idToken{compactJWT: compactJWT{claims: before}}
	if tokens.ID.Empty() {
		tokens.ID = old.Tokens.ID
	} else {
		refreshed, verifyErr := c.verifyIDToken(ctx, md, tokens)
		if refreshed == nil {
			return Grant{}, verifyErr
		}
		if err := checkRefreshed(refreshed.claims, before); err != nil {
			return Grant{}, err
		}
		if verifyErr != nil {
			// The keys are out of reach and the old refresh token is used up: losing the new one would sign the person out. The token
			// came from the provider over TLS (OIDC Core §3.1.3.7 item 6) and is for the same person; its claims are not taken over.
			tokens.ID = old.Tokens.ID
		} else {
			person = refreshed
			if claims, err = carryOver(person, before); err != nil {
				return Grant{}, err
			}
		}
	}
	granted, err := c.granted(ctx, md, tokens.Access, person)
	if err != nil {
		// The keys are out of reach, and the token has already been renewed: what counted until now does until the next refresh.
		granted = old.Identity.GrantedJSON()
	}
	return c.grant(tokens, claims, granted)
}

// checkRefreshed is OIDC Core §12.2: the new id token must be about the same authentication of the same person for the same client.
func checkRefreshed(now, before members) error {
	for _, name := range []string{"iss", "sub", "tid", "oid"} {
		was, err1 := before.text(name)
		is, err2 := now.text(name)
		if err1 != nil || err2 != nil {
			return invalid("it was refreshed without a readable " + name)
		}
		if was != is {
			return &InvalidTokenError{Reason: "it was refreshed for somebody else: another " + name, Err: ErrOtherPerson}
		}
	}
	wasFor, err1 := before.audience()
	isFor, err2 := now.audience()
	if err1 != nil || err2 != nil || !sameSet(wasFor, isFor) {
		return invalid("it was refreshed for another audience")
	}
	issued, _, err1 := before.seconds("iat")
	reissued, _, err2 := now.seconds("iat")
	if err1 != nil || err2 != nil || reissued < issued {
		return invalid("it is older than the one that it replaces")
	}
	was, had, err1 := before.seconds("auth_time")
	is, has, err2 := now.seconds("auth_time")
	if err1 != nil || err2 != nil || had && has && was != is {
		return invalid("its time of authentication is another")
	}
	nonce, err1 := now.text("nonce")
	original, err2 := before.text("nonce")
	if err1 != nil || err2 != nil || nonce != "" && nonce != original {
		return invalid("its nonce is another")
	}
	return nil
}

func sameSet(a, b []string) bool {
	a, b = slices.Clone(a), slices.Clone(b)
	slices.Sort(a)
	slices.Sort(b)
	return slices.Equal(slices.Compact(a), slices.Compact(b))
}

// carryOver returns the claims of the session after a refresh: the new ones as they are, but for what a refresh cannot change. The level
// stays unless the provider lowers it; and what was said at login and is merely not repeated still holds.
func carryOver(id *idToken, before members) (string, error) {
	var was, is string
	if err := errors.Join(before.decode("acr", &was), id.claims.decode("acr", &is)); err != nil {
		return "", &InvalidTokenError{Reason: "its level cannot be read", Err: err}
	}
	keep := make(members)
	for _, name := range []string{"auth_time", "sid"} {
		if before.has(name) && !id.claims.has(name) {
			keep[name] = before[name]
		}
	}
	lowered := is != "" && ACRSatisfies(is, was)
	if is != was && !lowered {
		keep["acr"] = before["acr"] // empty: there was none, and there shall be none
	}
	if len(keep) == 0 {
		return id.payload, nil
	}
	merged := maps.Clone(id.claims)
	maps.Copy(merged, keep)
	maps.DeleteFunc(merged, func(_, value string) bool { return value == "" })
	return merged.object(), nil
}

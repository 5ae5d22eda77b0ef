package egress

import (
	"fmt"
	"net/http"
	"slices"

	"postern/oidc"
	"postern/proxy/forward"
)

// token gets the token for a call: on behalf of the user whose token came with it, or the app's own. A call that forgets its user is never
// raised to the app's rights unless the route says so, and one with a token of any other kind never is (S-21).
func (h *Handler) token(v *visit, r *http.Request, e *route) (oidc.Token, error) {
	sent := forward.Credential{}
	if e.as != "app" {
		sent = forward.ReadCredential(r.Header, nil)
	}
	ask, request := h.tokens.Exchange, e.request
	switch {
	case e.as == "app", e.as == "auto" && sent.Kind == forward.NoCredential:
		ask = h.tokens.Machine
	case sent.Kind == forward.NoCredential:
		return oidc.Token{}, unauthenticated()
	case sent.Kind != forward.BearerToken:
		return oidc.Token{}, invalidToken("The Authorization header is not one well-formed Bearer token.", nil)
	default:
		if err := h.checkUser(v, e, sent.Token); err != nil {
			return oidc.Token{}, err
		}
		request.UserToken = sent.Token
	}
	got, err := ask(&v.scope, request)
	if err != nil {
		return oidc.Token{}, noToken(err)
	}
	return got.Access, nil
}

// checkUser wants a valid token of a user for this app, of those that the route's provider exchanges. Any other is sent nowhere.
func (h *Handler) checkUser(v *visit, e *route, token string) error {
	id, err := h.users.Verify(&v.scope, token)
	v.user = id
	switch {
	case err != nil:
		return notVerified(err)
	case id.Kind() != oidc.User:
		return invalidToken("The token is an app's, and this route exchanges those of users.", nil)
	case id.Provider() == oidc.IDPorten && !slices.Contains(h.cfg.IDPorten, id.Caller().ClientID): // S-02
		return invalidToken("The token was issued to another client of ID-porten than this app.", nil)
	case !oidc.Exchanges(e.request.Provider, id.Provider()):
		return invalidToken(fmt.Sprintf("The token is of %s, and this route exchanges at %s, which does not take it.", id.Provider(), e.request.Provider), nil)
	}
	return nil
}

// unauthenticated is RFC 6750 §3: no error code in the challenge of a request without a credential.
func unauthenticated() *failure {
	f := fail(http.StatusUnauthorized, "unauthenticated", "This route calls on behalf of a user: forward the Authorization header that the app received.")
	f.challenge = challenge
	return f
}

func invalidToken(description string, err error) *failure {
	f := fail(http.StatusUnauthorized, "invalid_token", description)
	f.challenge, f.err = challenge+`, error="invalid_token", error_description=`+forward.Quoted(description), err
	return f
}

const challenge = `Bearer realm="egress"`

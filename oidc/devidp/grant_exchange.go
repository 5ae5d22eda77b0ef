package devidp

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"
)

const (
	jwtType         = "urn:ietf:params:oauth:token-type:jwt" // RFC 8693 §3
	accessTokenType = "urn:ietf:params:oauth:token-type:access_token"
)

// exchangeToken is the token exchange of TokenX (RFC 8693 §2): a citizen's token for the next app. Checks, their order, statuses and words are
// those of tokendings, which calls many things invalid_request that RFC 6749 has other words for.
func (x *exchange) exchangeToken(q params) (map[string]any, *oauthError) {
	caller, refused := x.tokenXCaller(q)
	if refused != nil {
		return nil, refused
	}
	if planned := x.idp.faults.tokenError(x.at.name, q.get("grant_type")); planned != nil {
		return nil, planned
	}
	switch {
	case q.get("grant_type") != GrantTokenExchange:
		return nil, say(http.StatusForbidden, "access_denied", "could not find authorizer for grant_type="+q.get("grant_type"))
	case q.get("subject_token_type") != jwtType:
		return nil, wrong("Parameter subject_token_type must be " + jwtType)
	case q.get("subject_token") == "":
		return nil, wrong("Parameter subject_token missing")
	}
	target, known := x.idp.tokenXClient(q.get("audience"))
	switch {
	case !known:
		return nil, wrong("token exchange audience " + q.get("audience") + " is invalid")
	case !slices.Contains(target.TokenX.Inbound, caller.TokenX.ID):
		return nil, wrong("client '" + caller.TokenX.ID + "' is not authorized to get token with aud=" + target.TokenX.ID)
	}
	subject, reason := x.subject(q.get("subject_token"), caller)
	if reason != "" {
		return nil, wrong("invalid subject_token: " + reason)
	}
	claims := x.tokenXClaims(subject, target.TokenX.ID, caller.TokenX.ID, x.lifetime())
	token, err := x.sign(Draft{Kind: "access_token", Claims: claims})
	if err != nil {
		return nil, x.idp.broken(err)
	}
	exp, _ := claims["exp"].(int64)
	answer := map[string]any{
		"access_token": token, "issued_token_type": accessTokenType, "token_type": "Bearer",
		"expires_in": int(time.Unix(exp, 0).Sub(x.now).Seconds()), // whole seconds that are left, which is one less by most clocks
	}
	if q.get("scope") != "" {
		answer["scope"] = q.get("scope")
	}
	return answer, nil
}

// tokenXCaller finds out which app is asking, by its assertion.
func (x *exchange) tokenXCaller(q params) (*client, *oauthError) {
	for _, name := range []string{"client_assertion_type", "client_assertion"} {
		if q.get(name) == "" {
			return nil, wrong("Parameter " + name + " missing")
		}
	}
	if q.get("client_assertion_type") != assertionType {
		return nil, stranger("Client authentication failed: invalid client_assertion_type")
	}
	a, err := parseCompact(q.get("client_assertion"))
	id := text(a.claims, "sub")
	switch {
	case err != nil:
		return nil, wrong("invalid request, cannot parse token")
	case id == "":
		return nil, stranger("Client authentication failed: sub must be present in assertion")
	case q.get("audience") == "":
		return nil, wrong("Parameter audience missing")
	}
	c, known := x.idp.tokenXClient(id)
	if !known {
		return nil, stranger("invalid client authentication for client_id=" + id + ", client not registered.")
	}
	if reason := x.assertionFault(q.get("client_assertion"), a, c); reason != "" {
		return nil, wrong("token verification failed: " + url.QueryEscape(reason))
	}
	exp, _ := seconds(a.claims, "exp")
	switch {
	case time.Unix(exp, 0).Sub(x.now) > tokenXAssertionLife:
		return nil, stranger("invalid client authentication for client_id=" + id + ", client assertion exceeded max lifetime (120s).")
	case !x.spendOnce(c, text(a.claims, "jti")) && !x.idp.cfg.TokenXLenient:
		return nil, stranger("invalid client authentication for client_id=" + id + ", client assertion was used before.")
	}
	return c, nil
}

// assertionFault is what is wrong with an app's assertion, in the words of the library that tokendings uses.
func (x *exchange) assertionFault(raw string, a compact, c *client) string {
	if _, there := a.header["typ"]; !there && !x.idp.cfg.TokenXLenient {
		return "Required JOSE header typ (type) parameter is missing"
	}
	if reason := signatureFault(raw, a, c.tokenXKeys); reason != "" {
		return reason
	}
	if reason := lacks(a, "aud", "exp", "iat", "iss", "jti", "nbf", "sub"); reason != "" {
		return reason
	}
	if iss := text(a.claims, "iss"); iss != c.TokenX.ID {
		return fmt.Sprintf("JWT iss claim has value %v, must be %s", a.claims["iss"], c.TokenX.ID)
	}
	if reason := untimely(a, x.now); reason != "" {
		return reason
	}
	given, ours := audiences(a), x.audiences()
	if len(given) != 1 || !slices.Contains(ours, given[0]) {
		return fmt.Sprintf("JWT aud claim has value %v, must be exactly one of %v", given, ours)
	}
	return ""
}

// subject verifies the citizen's token. An external one is not tied to the app that brings it, one of TokenX's own is.
func (x *exchange) subject(raw string, caller *client) (claims map[string]any, reason string) {
	a, err := parseCompact(raw)
	if err != nil {
		return nil, "invalid request, cannot parse token"
	}
	login := x.of(IDPorten)
	from, iss := x.site, text(a.claims, "iss")
	switch iss {
	case x.issuer():
	case login.issuer():
		from = login
	default:
		return nil, "invalid request, cannot validate token from issuer=" + iss
	}
	reason = ownSignatureFault(a, from.at.keys)
	if reason == "" {
		reason = lacks(a, "exp", "iat", "iss")
	}
	if reason == "" {
		reason = untimely(a, x.now)
	}
	switch {
	case reason != "":
		return nil, "token verification failed: " + url.QueryEscape(reason)
	case from.at == x.at && !slices.Contains(audiences(a), caller.TokenX.ID):
		return nil, "audience does not match client_id=" + caller.TokenX.ID
	}
	return a.claims, ""
}

// wrong, stranger and say are errors as tokendings words them.
func wrong(text string) *oauthError { return say(http.StatusBadRequest, "invalid_request", text) }

func stranger(text string) *oauthError { return say(http.StatusUnauthorized, "invalid_client", text) }

func say(status int, code, text string) *oauthError {
	return &oauthError{status: status, code: code, text: text}
}

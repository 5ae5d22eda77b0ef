package devidp

import (
	"encoding/base64"
	"slices"
	"strconv"
	"strings"
)

// authRequest is an authorization request that has been found good.
type authRequest struct {
	client      *client
	redirectURI string
	state       string
	nonce       string
	challenge   string
	scopes      scopes
	prompt      []string
	loginHint   string
	maxAge      int // seconds, -1 if not asked for
	level       int // index of the level that is asked for, 0 where there are none
	claims      requestedClaims
	refreshable bool
	locale      string // ID-porten
	resource    string // ID-porten
}

// grantTo is the grant that this request becomes once somebody has logged in at a level.
func (a *authRequest) grantTo(who *person, acr string) *grant {
	return &grant{
		client: a.client, scopes: a.scopes, nonce: a.nonce, maxAge: a.maxAge >= 0, acr: acr, claims: a.claims, person: who,
		refreshable: a.refreshable, locale: a.locale, resource: a.resource,
	}
}

// addressee finds who is to get the answer. Without it there is nowhere to send an error: RFC 6749 §4.1.2.1 forbids to redirect then.
func (p *IdP) addressee(q params) (*client, string, *oauthError) {
	if !q.single("client_id", "redirect_uri", "request_uri") {
		return nil, "", refuse(9000411)
	}
	if q.get("client_id") == "" {
		return nil, "", missing("client_id")
	}
	c, ok := p.client(q.get("client_id"))
	if !ok {
		return nil, "", refuse(700016)
	}
	redirectURI := q.get("redirect_uri")
	switch {
	case redirectURI == "":
		return nil, "", missing("redirect_uri")
	case !slices.Contains(c.RedirectURIs, redirectURI): // byte for byte (RFC 9700 §2.1)
		return nil, "", refuse(50011)
	}
	return c, redirectURI, nil
}

// authRequest checks everything but the addressee.
func (p *IdP) authRequest(x *exchange, q params, c *client, redirectURI string) (*authRequest, *oauthError) {
	a := &authRequest{
		client: c, redirectURI: redirectURI, state: q.get("state"), nonce: q.get("nonce"), challenge: q.get("code_challenge"),
		loginHint: q.get("login_hint"), level: x.at.asked(q.get("acr_values")), maxAge: -1,
	}
	if !q.single() {
		return nil, refuse(9000411)
	}
	for _, check := range []func(params) *oauthError{a.checkResponse, a.checkPKCE, a.checkPrompt, a.checkMaxAge} {
		if err := check(q); err != nil {
			return nil, err
		}
	}
	var err *oauthError
	if a.scopes, err = x.at.login.scopes(x.site, q.get("scope")); err != nil {
		return nil, err
	}
	if err = x.at.login.ask(x.site, a, q); err != nil {
		return nil, err
	}
	return a, nil
}

func (a *authRequest) checkResponse(q params) *oauthError {
	switch {
	case q.get("request") != "":
		e := refuse(90013).because("Request objects are not supported.")
		e.code = "request_not_supported" // OIDC Core §3.1.2.6
		return e
	case q.get("response_type") == "":
		return missing("response_type")
	case q.get("response_type") != "code":
		return refuse(700051)
	case q.get("response_mode") != "" && q.get("response_mode") != "query":
		return refuse(70007)
	}
	return nil
}

// checkPKCE demands S256 (RFC 7636 §4.2): the challenge is a SHA-256 in base64url.
func (a *authRequest) checkPKCE(q params) *oauthError {
	if a.challenge == "" {
		return refuse(9002325)
	}
	digest, err := base64.RawURLEncoding.Strict().DecodeString(a.challenge)
	if err != nil || len(digest) != 32 || len(a.challenge) != 43 || q.get("code_challenge_method") != "S256" {
		return refuse(501491)
	}
	return nil
}

func (a *authRequest) checkPrompt(q params) *oauthError {
	a.prompt = strings.Fields(q.get("prompt"))
	for _, word := range a.prompt {
		switch word {
		case "none", "login", "select_account", "consent":
		default:
			return refuse(90023)
		}
	}
	if a.asks("none") && len(a.prompt) > 1 { // OIDC Core §3.1.2.1
		return refuse(90023).because("'none' stands alone.")
	}
	return nil
}

func (a *authRequest) asks(prompt string) bool { return slices.Contains(a.prompt, prompt) }

func (a *authRequest) checkMaxAge(q params) *oauthError {
	raw := q.get("max_age")
	if raw == "" {
		return nil
	}
	n, err := strconv.ParseUint(raw, 10, 31)
	if err != nil {
		return refuse(90013).because("max_age is not a number of seconds.")
	}
	a.maxAge = int(n)
	return nil
}

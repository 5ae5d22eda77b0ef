package devidp

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"net/url"
)

// posted is a form that a client has sent to one of its own endpoints, with who that is. Everything else has been answered.
func (p *IdP) posted(x *exchange) (q params, c *client, ok bool) {
	if !x.allow(http.MethodPost) {
		return params{}, nil, false
	}
	q, bad := x.form()
	if bad == nil {
		c, _, bad = p.authenticate(x, q)
	}
	if bad != nil {
		x.fail(bad)
	}
	return q, c, bad == nil
}

// authenticate finds out which client is asking (RFC 6749 §2.3). Exactly one method may be used.
func (p *IdP) authenticate(x *exchange, q params) (*client, AuthMethod, *oauthError) {
	if !q.single() {
		return nil, "", refuse(9000411)
	}
	authorization := x.r.Header.Values("Authorization")
	used := len(authorization)
	for _, name := range []string{"client_secret", "client_assertion"} {
		if q.get(name) != "" {
			used++
		}
	}
	switch {
	case used > 1:
		return nil, "", refuse(90013).because("More than one way of client authentication was used.")
	case used == 0:
		return nil, "", refuse(7000218)
	case q.get("client_assertion") != "":
		return p.byAssertion(x, q)
	case q.get("client_secret") != "":
		if q.get("client_id") == "" {
			return nil, "", missing("client_id")
		}
		return x.bySecret(q.get("client_id"), q.get("client_secret"), ClientSecretPost)
	}
	id, secret, ok := basic(x.r.BasicAuth())
	if !ok || (q.get("client_id") != "" && q.get("client_id") != id) {
		return nil, "", refuse(7000215)
	}
	return x.bySecret(id, secret, ClientSecretBasic)
}

// basic undoes the form encoding of both halves, which RFC 6749 §2.3.1 asks for and many clients forget.
func basic(user, password string, ok bool) (id, secret string, _ bool) {
	id, errID := url.QueryUnescape(user)
	secret, errSecret := url.QueryUnescape(password)
	return id, secret, ok && errID == nil && errSecret == nil
}

func (x *exchange) bySecret(id, secret string, how AuthMethod) (*client, AuthMethod, *oauthError) {
	c, ok := x.idp.client(id)
	if !ok {
		return nil, "", x.unknownClient()
	}
	given := sha256.Sum256([]byte(secret))
	if same := subtle.ConstantTimeCompare(given[:], c.secret[:]) == 1; !same || !c.may(how) {
		return nil, "", refuse(7000215)
	}
	return c, how, nil
}

// unknownClient is invalid_client by RFC 6749 §5.2. Entra ID has another word for it.
func (x *exchange) unknownClient() *oauthError {
	e := refuse(700016)
	if !x.at.numbered {
		e.status, e.code = http.StatusUnauthorized, "invalid_client"
	}
	return e
}

const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// byAssertion takes an assertion that the client signed, or one of an issuer that it trusts (RFC 7523 §2.2 and §3).
func (p *IdP) byAssertion(x *exchange, q params) (*client, AuthMethod, *oauthError) {
	if q.get("client_assertion_type") != assertionType {
		return nil, "", refuse(90013).because("client_assertion_type is not " + assertionType + ".")
	}
	raw := q.get("client_assertion")
	parsed, err := parseCompact(raw)
	if err != nil {
		return nil, "", refuse(50027)
	}
	id := q.get("client_id")
	if id == "" { // RFC 7521 §4.2: it is optional beside an assertion
		id = text(parsed.claims, "sub")
	}
	c, ok := p.client(id)
	if !ok {
		return nil, "", x.unknownClient()
	}
	if len(c.federated) > 0 && c.may(Federated) && text(parsed.claims, "iss") != c.ID {
		return c, Federated, x.checkFederated(c, raw, parsed)
	}
	if !c.may(PrivateKeyJWT) {
		return nil, "", refuse(700027)
	}
	return c, PrivateKeyJWT, x.checkAssertion(c, raw, parsed)
}

// audiences are the names by which an assertion may mean this issuer: the issuer and the endpoint (RFC 7523 §3, RFC 9126 §2).
func (x *exchange) audiences() []string {
	names := []string{x.issuer(), x.url(EndpointToken)}
	if x.r.URL.Path == x.at.paths[EndpointPAR] {
		names = append(names, x.url(EndpointPAR))
	}
	return names
}

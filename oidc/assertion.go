package oidc

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

// assertionLifetime: an assertion is made for one attempt, so this only has to cover the way to the provider and the difference of two
// clocks. 5 s fail on hosts that drift a little; Maskinporten and ID-porten refuse more than 120 s.
const assertionLifetime = 30 * time.Second

// assertion is the claims of a JWT by which a client speaks for itself (RFC 7523 §3).
type assertion struct {
	Issuer    string `json:"iss"`
	Subject   string `json:"sub,omitempty"`
	Audience  string `json:"aud"`
	IssuedAt  int64  `json:"iat"`
	NotBefore int64  `json:"nbf"`
	Expiry    int64  `json:"exp"`
	ID        string `json:"jti"`

	Scope                string          `json:"scope,omitempty"`
	Resource             *string         `json:"resource,omitempty"`
	AuthorizationDetails json.RawMessage `json:"authorization_details,omitempty"`
}

// newAssertion is one for this moment and no other attempt.
func newAssertion(clientID string, md *Metadata, d Deps) (assertion, error) {
	jti, err := d.secretText()
	if err != nil {
		return assertion{}, err
	}
	// The issuer alone, as one text: Entra ID refuses a list, and an endpoint as audience lets one server replay it at another.
	audience := md.Issuer
	if md.multiTenant() {
		audience = md.TokenEndpoint // such an issuer is a pattern and no name
	}
	now := d.Now()
	return assertion{
		Issuer: clientID, Audience: audience, IssuedAt: now.Unix(), NotBefore: now.Unix(), Expiry: now.Add(assertionLifetime).Unix(), ID: jti,
	}, nil
}

func (a assertion) sign(key *signingKey, typ string) (string, error) {
	payload, err := json.Marshal(a)
	if err != nil {
		return "", fmt.Errorf("encode: %w", err)
	}
	signed, err := key.sign(payload, typ)
	if err != nil {
		return "", fmt.Errorf("sign: %w", err)
	}
	return signed, nil
}

// JWTGrant makes authorization grants that the client signs itself (RFC 7523 §2.1), as Maskinporten takes them: the grant is the
// authentication too.
type JWTGrant struct {
	clientID string
	key      *signingKey
	deps     Deps
}

// GrantClaims are what such a grant asks for. Resource and AuthorizationDetails (a JSON list) are left out if nil.
type GrantClaims struct {
	Scope                string
	Resource             *string
	AuthorizationDetails json.RawMessage
}

// NewJWTGrant takes the client's private key; no other credential can sign.
func NewJWTGrant(c Credentials, d Deps) (*JWTGrant, error) {
	key, err := parseSigningKey(c.JWK.Reveal())
	if err != nil {
		return nil, fmt.Errorf("read client JWK: %w", err)
	}
	return &JWTGrant{clientID: c.ClientID, key: key, deps: d.withDefaults()}, nil
}

// For is the credential of a call that asks for these claims; it signs anew for every attempt.
func (g *JWTGrant) For(claims GrantClaims) Authenticator { return &signedGrant{g, claims} }

type signedGrant struct {
	*JWTGrant
	claims GrantClaims
}

func (g *signedGrant) Authenticate(md *Metadata, form url.Values, _ http.Header) error {
	claims, err := newAssertion(g.clientID, md, g.deps)
	if err != nil {
		return err
	}
	claims.Scope, claims.Resource, claims.AuthorizationDetails = g.claims.Scope, g.claims.Resource, g.claims.AuthorizationDetails
	signed, err := claims.sign(g.key, "JWT")
	if err != nil {
		return fmt.Errorf("grant: %w", err)
	}
	form.Set("assertion", signed)
	return nil
}

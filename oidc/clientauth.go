package oidc

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"

	"postern/config"
)

const jwtBearerAssertion = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" // RFC 7523 §2.2

// Authenticator puts the client's credential on one attempt of a call to a provider. Call it anew for every attempt: assertions are used
// once. Its errors hold nothing secret.
type Authenticator interface {
	Authenticate(md *Metadata, form url.Values, header http.Header) error
}

// Credentials are what a client may have; the private key wins over the secret, and that over the federated token.
type Credentials struct {
	ClientID           string
	JWK                config.Secret // a private JWK with "alg"
	Secret             config.Secret
	FederatedTokenFile string // read anew for every attempt
	NewJWTType         bool   // "client-authentication+jwt" as the assertion's typ
	OmitClientID       bool   // leave it to the private key's assertion to say who asks (RFC 7521 §4.2), as TokenX expects
}

// NewAuthenticator picks the credential. A key that cannot be used is an error that says why and shows nothing of the key.
func NewAuthenticator(c Credentials, d Deps) (Authenticator, error) {
	if c.ClientID == "" {
		return nil, errors.New("client id is missing")
	}
	switch {
	case !c.JWK.Empty():
		key, err := parseSigningKey(c.JWK.Reveal())
		if err != nil {
			return nil, fmt.Errorf("read client JWK: %w", err)
		}
		typ := "JWT"
		if c.NewJWTType {
			typ = "client-authentication+jwt" // draft-ietf-oauth-rfc7523bis
		}
		return &privateKeyJWT{clientID: c.ClientID, anonymous: c.OmitClientID, key: key, typ: typ, deps: d.withDefaults()}, nil
	case !c.Secret.Empty():
		return &clientSecret{clientID: c.ClientID, secret: c.Secret}, nil
	case c.FederatedTokenFile != "":
		return &federatedToken{clientID: c.ClientID, file: c.FederatedTokenFile}, nil
	}
	return nil, errors.New("client credential is missing: one of private JWK, secret, federated token file")
}

// privateKeyJWT is OIDC Core §9 private_key_jwt.
type privateKeyJWT struct {
	clientID  string
	anonymous bool // the form does not name the client beside the assertion
	key       *signingKey
	typ       string
	deps      Deps
}

func (a *privateKeyJWT) Authenticate(md *Metadata, form url.Values, _ http.Header) error {
	claims, err := newAssertion(a.clientID, md, a.deps)
	if err != nil {
		return err
	}
	claims.Subject = a.clientID
	assertion, err := claims.sign(a.key, a.typ)
	if err != nil {
		return fmt.Errorf("client assertion: %w", err)
	}
	if !a.anonymous {
		form.Set("client_id", a.clientID)
	}
	form.Set("client_assertion_type", jwtBearerAssertion)
	form.Set("client_assertion", assertion)
	return nil
}

type clientSecret struct {
	clientID string
	secret   config.Secret
}

func (a *clientSecret) Authenticate(md *Metadata, form url.Values, header http.Header) error {
	methods := md.TokenEndpointAuthMethodsSupported
	if slices.Contains(methods, "client_secret_basic") && !slices.Contains(methods, "client_secret_post") {
		// RFC 6749 §2.3.1: both are form-encoded before they are joined.
		pair := url.QueryEscape(a.clientID) + ":" + url.QueryEscape(a.secret.Reveal())
		header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(pair)))
		return nil
	}
	form.Set("client_id", a.clientID)
	form.Set("client_secret", a.secret.Reveal())
	return nil
}

// federatedToken is workload identity federation: the platform keeps a fresh token of the pod's service account in a file.
type federatedToken struct{ clientID, file string }

func (a *federatedToken) Authenticate(_ *Metadata, form url.Values, _ http.Header) error {
	f, err := os.Open(a.file)
	if err != nil {
		return fmt.Errorf("read federated token: %w", err)
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, maxToken+1))
	if err != nil {
		return fmt.Errorf("read federated token: %w", err)
	}
	token := strings.TrimSpace(string(content))
	if token == "" || len(content) > maxToken {
		return fmt.Errorf("read federated token: %s is empty or too large", a.file)
	}
	form.Set("client_id", a.clientID)
	form.Set("client_assertion_type", jwtBearerAssertion)
	form.Set("client_assertion", token)
	return nil
}

package devidp

import (
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"github.com/lestrrat-go/jwx/v2/jwk"
)

// AuthMethod is a way in which a client proves who it is.
type AuthMethod string

// The methods. A federated credential is sent like a private key's assertion, but somebody else signed it.
const (
	PrivateKeyJWT     AuthMethod = "private_key_jwt"
	ClientSecretPost  AuthMethod = "client_secret_post"
	ClientSecretBasic AuthMethod = "client_secret_basic"
	Federated         AuthMethod = "federated"
)

// DefaultFederatedAudience is what Entra ID expects in `aud` of a federated assertion.
const DefaultFederatedAudience = "api://AzureADTokenExchange"

// ClientConfig registers an app.
type ClientConfig struct {
	ID   string
	Name string // shown on pages and in azp_name, such as "dev-gcp:team-a:app"; empty means ID

	Secret      string                // for the two secret methods
	JWKS        json.RawMessage       // a key or key set for private_key_jwt; of private keys only the public half is kept
	Federated   []FederatedCredential // whose assertions are accepted instead
	AuthMethods []AuthMethod          // empty means all for which there is a credential

	RedirectURIs           []string // compared byte for byte
	PostLogoutRedirectURIs []string // compared byte for byte
	FrontChannelLogoutURI  string   // called in an iframe with iss and sid when the session ends

	Origins []string // further origins where a login ends (single sign-on): browsers hold a form to the page's policy through all redirects
	Scopes  []string // delegated permissions in scp of its tokens; empty means defaultaccess
}

// FederatedCredential is the trust in another issuer's tokens, such as those of a Kubernetes service account.
type FederatedCredential struct {
	Issuer   string
	Subject  string          // such as system:serviceaccount:<namespace>:<name>
	Audience string          // empty means [DefaultFederatedAudience]
	JWKS     json.RawMessage // the issuer's public keys
}

// String keeps the secret out of %v.
func (c ClientConfig) String() string { return "client " + c.ID }

// GoString keeps the secret out of %#v.
func (c ClientConfig) GoString() string { return "devidp.ClientConfig(" + c.ID + ")" }

// LogValue implements [slog.LogValuer].
func (c ClientConfig) LogValue() slog.Value { return slog.StringValue(c.ID) }

// client is a registration that has been checked.
type client struct {
	ClientConfig
	secret    [sha256.Size]byte
	keys      jwk.Set // public
	federated []federatedKeys
}

type federatedKeys struct {
	FederatedCredential
	keys jwk.Set
}

func newClient(cfg ClientConfig) (*client, error) {
	c := &client{ClientConfig: cfg, secret: sha256.Sum256([]byte(cfg.Secret))}
	c.Name = cmp.Or(c.Name, c.ID)
	if len(c.Scopes) == 0 {
		c.Scopes = []string{"defaultaccess"}
	}
	var problems []error
	if c.ID == "" {
		problems = append(problems, errors.New("no id"))
	}
	if len(cfg.JWKS) > 0 {
		keys, err := publicKeys(cfg.JWKS)
		problems = append(problems, err)
		c.keys = keys
	}
	for _, f := range cfg.Federated {
		f.Audience = cmp.Or(f.Audience, DefaultFederatedAudience)
		keys, err := publicKeys(f.JWKS)
		if f.Issuer == "" || f.Subject == "" {
			err = errors.Join(err, errors.New("federated credential without issuer or subject"))
		}
		problems = append(problems, err)
		c.federated = append(c.federated, federatedKeys{f, keys})
	}
	for _, uris := range [][]string{cfg.RedirectURIs, cfg.PostLogoutRedirectURIs, cfg.Origins} {
		for _, uri := range uris {
			_, err := webURL(uri)
			problems = append(problems, err)
		}
	}
	if cfg.FrontChannelLogoutURI != "" {
		_, err := webURL(cfg.FrontChannelLogoutURI)
		problems = append(problems, err)
	}
	problems = append(problems, c.settleMethods())
	if err := errors.Join(problems...); err != nil {
		return nil, fmt.Errorf("client %q: %w", cfg.ID, err)
	}
	return c, nil
}

func (c *client) settleMethods() error {
	var able []AuthMethod
	if c.Secret != "" {
		able = append(able, ClientSecretPost, ClientSecretBasic)
	}
	if c.keys != nil {
		able = append(able, PrivateKeyJWT)
	}
	if len(c.federated) > 0 {
		able = append(able, Federated)
	}
	if len(able) == 0 {
		return errors.New("no secret, key or federated credential")
	}
	for _, m := range c.AuthMethods {
		if !slices.Contains(able, m) {
			return fmt.Errorf("no credential for %s", m)
		}
	}
	if len(c.AuthMethods) == 0 {
		c.AuthMethods = able
	}
	return nil
}

func (c *client) may(m AuthMethod) bool { return slices.Contains(c.AuthMethods, m) }

// publicKeys reads a JWK or a JWK set and keeps nothing private of it.
func publicKeys(raw json.RawMessage) (jwk.Set, error) {
	set, err := jwk.Parse(raw)
	if err != nil {
		return nil, errors.New("keys are neither a JWK nor a JWK set") // the cause would quote the input, which may be private
	}
	public, err := jwk.PublicSetOf(set)
	if err != nil {
		return nil, errors.New("keys have no public half")
	}
	if public.Len() == 0 {
		return nil, errors.New("key set is empty")
	}
	for i := range public.Len() {
		key, _ := public.Key(i)
		if key.KeyType().String() == "oct" {
			return nil, errors.New("key set holds a symmetric key")
		}
	}
	return public, nil
}

package devidp

import (
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

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

// ClientConfig registers an app, in Go or as JSON (see [ReadClients]). An empty list of other apps admits none: as with the real ones, nobody gets
// a token for an app that has not said so.
type ClientConfig struct {
	ID   string `json:"id"`
	Name string `json:"name"` // shown on pages and in azp_name, such as "dev-gcp:team-a:app"; empty means ID

	Secret      string                `json:"secret"`       // for the two secret methods
	JWKS        json.RawMessage       `json:"jwks"`         // a key or key set for private_key_jwt; of private keys only the public half is kept
	Federated   []FederatedCredential `json:"federated"`    // whose assertions are accepted instead
	AuthMethods []AuthMethod          `json:"auth_methods"` // empty means all for which there is a credential

	RedirectURIs           []string `json:"redirect_uris"`             // compared byte for byte
	PostLogoutRedirectURIs []string `json:"post_logout_redirect_uris"` // compared byte for byte
	FrontChannelLogoutURI  string   `json:"front_channel_logout_uri"`  // called in an iframe with iss and sid when the session ends
	BackChannelLogoutURI   string   `json:"back_channel_logout_uri"`   // gets a logout token when the session ends; the real ones have no such thing

	Origins []string `json:"origins"` // further origins where a login ends (single sign-on): browsers hold a form to the page's policy through all redirects

	// Who gets tokens for this app at Entra ID, and what is in them.
	PreAuthorized     []string `json:"pre_authorized"`     // apps, by ID or Name, besides the app itself
	Scopes            []string `json:"scopes"`             // delegated permissions in scp of its tokens; empty means defaultaccess
	Roles             []string `json:"roles"`              // application permissions of the apps above, besides access_as_application
	RequireAssignment bool     `json:"require_assignment"` // only they and members of Groups get a token at all; else other apps get one without roles
	Groups            []string `json:"groups"`             // assigned to the app: its tokens name no others; empty means none is assigned and all are named

	TokenX       TokenXClient       `json:"tokenx"`
	Maskinporten MaskinportenClient `json:"maskinporten"`
}

// TokenXClient is an app as TokenX knows it.
type TokenXClient struct {
	ID      string          `json:"id"`      // cluster:namespace:app; empty means the client's Name if it has this form, else TokenX does not know it
	JWKS    json.RawMessage `json:"jwks"`    // empty means those of the client
	Inbound []string        `json:"inbound"` // ids of the apps that may exchange tokens for this one, which is not one of them unless it says so
}

// MaskinportenClient is an app as Maskinporten knows it.
type MaskinportenClient struct {
	ID           string          `json:"id"`           // empty means that of the client
	JWKS         json.RawMessage `json:"jwks"`         // empty means those of the client; without any, Maskinporten does not know it
	KeysUntil    time.Time       `json:"keys_until"`   // when the keys expire; zero means never
	Scopes       []string        `json:"scopes"`       // that it may ask for
	Organisation string          `json:"organisation"` // such as 0192:314159268; empty means [DefaultConsumer]
	Consumers    []string        `json:"consumers"`    // numbers of organisations that have delegated to this one; consumer_org names one of them
	DetailTypes  []string        `json:"detail_types"` // of authorization_details; empty means [SystemUser]
}

// FederatedCredential is the trust in another issuer's tokens, such as those of a Kubernetes service account.
type FederatedCredential struct {
	Issuer   string          `json:"issuer"`
	Subject  string          `json:"subject"`  // such as system:serviceaccount:<namespace>:<name>
	Audience string          `json:"audience"` // empty means [DefaultFederatedAudience]
	JWKS     json.RawMessage `json:"jwks"`     // the issuer's public keys
}

// String keeps the secret out of %v.
func (c ClientConfig) String() string { return "client " + c.ID }

// GoString keeps the secret out of %#v.
func (c ClientConfig) GoString() string { return "devidp.ClientConfig(" + c.ID + ")" }

// String keeps a private key out of %v.
func (c TokenXClient) String() string { return "client " + c.ID + " of TokenX" }

// GoString keeps a private key out of %#v.
func (c TokenXClient) GoString() string { return "devidp.TokenXClient(" + c.ID + ")" }

// String keeps a private key out of %v.
func (c MaskinportenClient) String() string { return "client " + c.ID + " of Maskinporten" }

// GoString keeps a private key out of %#v.
func (c MaskinportenClient) GoString() string { return "devidp.MaskinportenClient(" + c.ID + ")" }

// LogValue implements [slog.LogValuer].
func (c ClientConfig) LogValue() slog.Value { return slog.StringValue(c.ID) }

// client is a registration that has been checked.
type client struct {
	ClientConfig
	secret           [sha256.Size]byte
	keys             jwk.Set // public
	tokenXKeys       jwk.Set // nil for none, as the other two
	maskinportenKeys jwk.Set
	federated        []federatedKeys
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
	if given(cfg.JWKS) {
		keys, err := publicKeys(cfg.JWKS)
		problems = append(problems, err)
		c.keys = keys
	}
	problems = append(problems, c.settleOthers())
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
	for _, uri := range []string{cfg.FrontChannelLogoutURI, cfg.BackChannelLogoutURI} {
		if uri != "" {
			_, err := webURL(uri)
			problems = append(problems, err)
		}
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
	if len(able) == 0 && (len(c.RedirectURIs) > 0 || !c.needsNone()) {
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

// needsNone says whether a client makes sense without a credential at Entra ID and ID-porten: it has one elsewhere, or is an API that others get
// tokens for.
func (c *client) needsNone() bool {
	return c.tokenXKeys != nil || c.maskinportenKeys != nil || appID.MatchString(c.Name)
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

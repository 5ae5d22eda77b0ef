package devidp

import (
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"
)

// DefaultTenantID is the tenant of a provider that was given none.
const DefaultTenantID = "7d1a4a5e-0b5c-4f0e-9a53-5f1d0c6e2b11"

// DefaultTokenLifetime is the life of an access token: the middle of what Entra ID gives (60 to 90 minutes).
const DefaultTokenLifetime = 75 * time.Minute

// Rotation is what a refresh does to the refresh token that was used.
type Rotation string

// The temperaments of real providers.
const (
	RotateKeepOld Rotation = ""       // Entra ID: a new one each time, the old one stays good
	RotateStrict  Rotation = "strict" // a new one each time; using an old one again revokes the whole family (RFC 9700 §4.14.2)
	RotateNever   Rotation = "never"  // no new one is returned, the old one stays good (RFC 6749 §6)
)

// PARMode is whether authorization requests can or must be pushed (RFC 9126).
type PARMode string

// The modes. Entra ID itself has no PAR; [PAROff] is its true likeness.
const (
	PAROffered  PARMode = ""
	PAROff      PARMode = "off"
	PARRequired PARMode = "required"
)

// Config describes a provider. The zero value is one without clients, good for loopback. Clients are registered with all
// issuers at once.
type Config struct {
	// BaseURL is scheme and host of all addresses, such as "http://idp.localhost:8090". Empty takes it from the Host of each request,
	// and then answers loopback hosts only.
	BaseURL string
	// TenantID is a GUID; empty means [DefaultTenantID].
	TenantID string
	// Clients may also be added later with [IdP.SetClient].
	Clients []ClientConfig
	// Personas are the people on the login page; nil means [DefaultPersonas].
	Personas []Persona
	// TokenLifetime of access tokens, at least a second; 0 means [DefaultTokenLifetime].
	TokenLifetime time.Duration
	// RefreshRotation is one of the Rotate constants.
	RefreshRotation Rotation
	// PAR is one of the PAR constants, for all issuers at which people log in.
	PAR PARMode
	// Revocation adds a revocation endpoint (RFC 7009) to Entra ID, which really has none. ID-porten has one.
	Revocation bool
	// ACRValues are the levels on offer at Entra ID, lowest first. Really it has none, then acr_values is ignored and no token has `acr`. A person gets
	// at most their own level, whatever was asked for: noticing that is the client's job.
	ACRValues []string
	// KeyFile is a PEM file with RSA private keys that the user made, one for each issuer in the order Entra ID, TokenX, Maskinporten,
	// ID-porten, or for the first few. The others, and all if it is empty, get new random keys.
	KeyFile string
	// TokenXAudience is `aud` of minted tokens of TokenX, a client id such as cluster:namespace:app; empty means [DefaultTokenXAudience].
	TokenXAudience string
	// IDPortenAudience is `aud` of minted access tokens of ID-porten; empty means [DefaultIDPortenAudience]. A login chooses its own, by
	// the parameter resource.
	IDPortenAudience string
	// TokenXLifetime of exchanged tokens, at least a second; 0 means [DefaultTokenXLifetime].
	TokenXLifetime time.Duration
	// TokenXMapACR writes Level3 and Level4 for the levels of ID-porten into exchanged tokens, as NAV's TokenX does.
	TokenXMapACR bool
	// TokenXLenient takes a client assertion again, and one without `typ`, as the real TokenX does.
	TokenXLenient bool
	// MaskinportenLifetimes of tokens by scope, at least a second; the shortest one counts. Others live for [DefaultMaskinportenLifetime].
	MaskinportenLifetimes map[string]time.Duration
	// AutoLogin is the ID of a persona that logs in without a page, for tests. A login_hint chooses another one.
	AutoLogin string
	// Admin serves the knobs under /_dev/.
	Admin bool

	Now  func() time.Time // nil means time.Now
	Rand io.Reader        // for codes and ids, never for keys; safe for concurrent use; nil means crypto/rand
	Log  *slog.Logger     // nil discards
	HTTP *http.Client     // for telling clients of logouts; nil means one that knows *.localhost
}

var guid = newForm(`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)

// complete fills in the defaults and reports all problems at once.
func (c *Config) complete() error {
	if c.TenantID == "" {
		c.TenantID = DefaultTenantID
	}
	if c.TokenLifetime == 0 {
		c.TokenLifetime = DefaultTokenLifetime
	}
	c.TokenXLifetime = cmp.Or(c.TokenXLifetime, DefaultTokenXLifetime)
	if c.Personas == nil {
		c.Personas = DefaultPersonas()
	}
	c.TokenXAudience = cmp.Or(c.TokenXAudience, DefaultTokenXAudience)
	c.IDPortenAudience = cmp.Or(c.IDPortenAudience, DefaultIDPortenAudience)
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Rand == nil {
		c.Rand = rand.Reader
	}
	if c.HTTP == nil {
		c.HTTP = newHTTPClient()
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	var problems []error
	if !guid.MatchString(c.TenantID) {
		problems = append(problems, fmt.Errorf("tenant id %q is not a GUID in lower case", c.TenantID))
	}
	for _, life := range append(slices.Collect(maps.Values(c.MaskinportenLifetimes)), c.TokenLifetime, c.TokenXLifetime) {
		if life < time.Second {
			problems = append(problems, fmt.Errorf("token lifetime %s is less than a second", life))
		}
	}
	if c.BaseURL != "" {
		c.BaseURL = strings.TrimSuffix(c.BaseURL, "/")
		if u, err := webURL(c.BaseURL); err != nil || u.Path != "" || u.RawQuery != "" || u.ForceQuery {
			problems = append(problems, fmt.Errorf("base URL %q is not scheme and host alone", c.BaseURL))
		}
	}
	switch c.RefreshRotation {
	case RotateKeepOld, RotateStrict, RotateNever:
	default:
		problems = append(problems, fmt.Errorf("unknown refresh rotation %q", c.RefreshRotation))
	}
	switch c.PAR {
	case PAROffered, PAROff, PARRequired:
	default:
		problems = append(problems, fmt.Errorf("unknown PAR mode %q", c.PAR))
	}
	return errors.Join(append(problems, checkPersonas(c)...)...)
}

// webURL parses an absolute http or https URL without userinfo and fragment.
func webURL(raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	switch {
	case err != nil:
		return nil, fmt.Errorf("parse URL: %w", err)
	case u.Scheme != "http" && u.Scheme != "https", !plainHost.MatchString(u.Host), u.User != nil, strings.Contains(raw, "#"):
		return nil, fmt.Errorf("%q is not an absolute http(s) URL without userinfo and fragment", raw)
	}
	return u, nil
}

// origin is scheme and host of a URL that [webURL] has accepted.
func origin(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return ""
	}
	return u.Scheme + "://" + u.Host
}

// loopback says whether a host, with or without a port, is this machine by name or number.
func loopback(host string) bool {
	u, err := url.Parse("//" + host)
	if err != nil || u.Host != host || u.User != nil {
		return false
	}
	name := strings.ToLower(u.Hostname())
	if name == "localhost" || (strings.HasSuffix(name, ".localhost") && plainName.MatchString(name)) {
		return true
	}
	ip, err := netip.ParseAddr(name)
	return err == nil && ip.IsLoopback() && ip.Zone() == ""
}

// plainHost is also what can stand in a Content-Security-Policy.
var plainHost = newForm(`^[A-Za-z0-9.:\[\]-]+$`)

var plainName = newForm(`^[a-z0-9.-]+$`)

package config

import (
	"net/netip"
	"net/url"
	"time"
)

// Config is everything that the operator may say, validated. Each room's constructor takes the part that bears its name, by value.
// The meaning, default and spelling of each field is defined once, in options.go.
type Config struct {
	Server      Server
	Log         Log
	Front       Front
	Upstream    Upstream
	Cookie      Cookie
	Encryption  Encryption
	OpenID      OpenID
	RateLimit   RateLimit
	Redis       Redis
	Session     Session
	SSO         SSO
	Otel        Otel
	Token       Token
	Egress      Egress
	Policy      Policy
	Bearer      Bearer
	Identity    Identity
	ForwardAuth ForwardAuth
	Admin       Admin
	Audit       Audit
	Providers   Providers
	Outbound    Outbound
}

// Server is the listeners and their limits. Addresses are host:port, or "unix:/path"; empty switches a listener off.
type Server struct {
	BindAddress        string
	MetricsBindAddress string
	ProbeBindAddress   string
	PprofEnabled       bool
	TLSCertFile        string
	TLSKeyFile         string
	ShutdownGraceful   time.Duration // both periods together
	ShutdownWait       time.Duration // not ready, still serving
	Limits             Limits
	CacheMaxMemory     int64 // bytes; 0 means 30 % of the memory limit
}

// Limits bound what one client can make the listener hold.
type Limits struct {
	HeaderBytes   int           // request line and headers together
	HeaderTime    time.Duration // until the last header byte
	IdleTime      time.Duration // between two requests of a connection
	StallTime     time.Duration // for a client that neither sends its body nor takes its answer; 0 means no limit
	Headers       int           // header lines of a request
	Cookies       int           // cookie pairs of a request
	Connections   int           // open connections of each listener; 0 means no limit
	Streams       int           // open HTTP/2 streams of a connection
	BodyBytes     int64         // request bodies of own endpoints
	TokenAPIBytes int64         // request bodies of the token API
}

// Log is the event log on standard output.
type Log struct {
	Format string // "json" or "text"
	Level  string // "debug", "info", "warn" or "error"
}

// Front is the front door: which requests are ours, and who may pass without a caller.
type Front struct {
	Ingress              []*url.URL // external addresses of the app; scheme, host and an optional path
	AutoLogin            bool
	AutoLoginIgnorePaths []string // globs
	RequireAuth          bool
	CSRF                 string // "cross-site", "same-origin" or "off"
	CSRFTrustedOrigins   []string
	AuthSkipPreflight    bool
	PathStrictness       string         // "readings" or "strict"
	TrustedProxies       []netip.Prefix // whose Forwarded and X-Forwarded-* are passed on
	TrustedProxiesSet    bool           // the operator named them
	ForwardHeaders       []string       // exceptions of the header clean-up
	AuthorizationSchemes []string       // authorization-passthrough: schemes left alone
	StreamMaxAge         time.Duration  // 0 means as long as the caller lives
	LoginRate            int            // logins and callbacks a second that may reach the provider
}

// Upstream is the app behind Postern.
type Upstream struct {
	Host           string // host:port or "unix:/path"
	Set            bool   // the operator named it
	AccessLogs     bool
	IncludeIDToken bool
	Timeout        time.Duration // to the response headers; 0 means none
	H2C            bool
	Exposed        string // "warn" or "refuse"
}

// Cookie shapes the cookies that Postern sets.
type Cookie struct {
	Prefix   string
	SameSite string // "Lax", "None" or "Strict"; as SSO server only
	Secure   bool
}

// Encryption is the key ring: each entry is a base64 256-bit key. The first encrypts, all decrypt.
type Encryption struct {
	Keys     []Secret
	KeysFile string // where Keys came from, to be re-read; empty if they were given in place
}

// OpenID is the login client and its identity provider.
type OpenID struct {
	Provider              string // "openid", "azure" or "idporten"
	ProviderSet           bool   // the operator named it
	ClientID              string
	ClientJWK             Secret // a private JWK; wins over the secret
	ClientSecret          Secret
	FederatedTokenFile    string // read anew for every assertion
	WellKnownURL          string
	Tenants               []string // allow-list for an issuer that carries {tenantid}
	Scopes                []string // beyond those of the preset
	Audiences             []string // accepted beside the client id
	ACRValues             string
	UILocales             string
	DomainHint            string
	ResourceIndicator     string
	PostLogoutRedirectURI string
	JWKSFallbackAlg       string // for keys without "alg"
	NewClientAuthJWTType  bool   // "client-authentication+jwt" as typ of client assertions
}

// LoginEnabled says whether browser login is on (contract: openid.client-id, a preset provider, or SSO).
func (c *Config) LoginEnabled() bool {
	return c.OpenID.ClientID != "" || c.OpenID.Provider != "openid" || c.SSO.Enabled
}

// RateLimit breaks login loops of one browser.
type RateLimit struct {
	Enabled bool
	Logins  int
	Window  time.Duration
}

// Redis is the session store outside of the process; without any address sessions are kept in memory.
type Redis struct {
	URI                   Secret // redis://, rediss:// or unix://
	Address               string // deprecated spelling of URI
	Username              string
	Password              Secret
	TLS                   bool // with Address only
	CAFile                string
	ConnectionIdleTimeout int // seconds; 0 library default, -1 never
	SentinelMaster        string
	SentinelAddresses     []string
	ClusterAddresses      []string
}

// Enabled says whether a Redis was configured.
func (r Redis) Enabled() bool {
	return !r.URI.Empty() || r.Address != "" || len(r.SentinelAddresses) > 0 || len(r.ClusterAddresses) > 0
}

// Session is for how long somebody stays logged in.
type Session struct {
	MaxLifetime           time.Duration
	Inactivity            bool
	InactivityTimeout     time.Duration
	ForwardAuth           bool
	ForwardAuthSetHeaders bool
	CacheTTL              time.Duration // how long a replica may serve from memory
	OutageGrace           time.Duration
	BackchannelLogout     bool
}

// SSO shares one session over the apps of a domain.
type SSO struct {
	Enabled                  bool
	Mode                     string // "server" or "proxy"
	SessionCookieName        string
	Domain                   string
	ServerURL                string
	ServerDefaultRedirectURL string
}

// Token is the token API for the app.
type Token struct {
	BindAddress  string
	AllowRemote  bool
	SecretFile   string
	AllowedHosts []string
	HTTP         TokenHTTP
}

// TokenHTTP is what TEXAS_HTTP_* say about calls to token endpoints. A zero member means the built-in value.
type TokenHTTP struct {
	ConnectTimeout time.Duration
	ReadTimeout    time.Duration
	OverallTimeout time.Duration // of one attempt
	MaxRetries     *int          // nil: built-in; 0: none
	PoolMaxIdle    int
}

// Egress is the outgoing proxy for the app.
type Egress struct {
	BindAddress string
	Routes      []EgressRoute
}

// EgressRoute sends calls of one name to one URL with a token for one target. As and Timeout are there whatever was said.
type EgressRoute struct {
	Name     string        `yaml:"name"`
	URL      string        `yaml:"url"`
	Provider string        `yaml:"provider"`
	Target   string        `yaml:"target"`
	As       string        `yaml:"as"` // "user", "app" or "auto"
	Open     bool          `yaml:"open"`
	Cookies  bool          `yaml:"cookies"`
	H2C      bool          `yaml:"h2c"`
	Timeout  time.Duration `yaml:"timeout"` // to the response headers
}

// Policy is the access policy of the app.
type Policy struct {
	Files   []string
	Mode    string // "enforce" or "report"
	Cluster string
}

// Bearer is whose tokens are accepted inbound.
type Bearer struct {
	Providers []string // as it was said: names, or "all", or "none"
	Set       bool     // the operator said it (S-15)
	Issuers   []Issuer
	Accepted  []string // what Providers come to; see [Config.InboundProviders]
}

// Enabled says whether inbound bearer tokens are validated at all: whether anybody's are accepted.
func (b Bearer) Enabled() bool { return len(b.Accepted) > 0 }

// Issuer is a further issuer of inbound bearer tokens.
type Issuer struct {
	Name         string            `yaml:"name"`
	Issuer       string            `yaml:"issuer"`
	Audience     string            `yaml:"audience"`
	JWKSURI      string            `yaml:"jwks-uri"`
	WellKnownURL string            `yaml:"well-known-url"`
	Algorithms   []string          `yaml:"algorithms"` // at least one, RS256 if none was given
	Tenants      []string          `yaml:"tenants"`    // GUIDs, for an issuer that carries {tenantid}
	Claims       map[string]string `yaml:"claims"`     // our name of a claim to the issuer's
}

// Identity is how the app learns who is calling.
type Identity struct {
	Headers          []string          // sets: "postern", "claims", "oauth2-proxy", "easyauth"; empty for none
	Claims           map[string]string // extra headers: name to claim
	MaxBytes         int
	Assertion        bool
	AssertionKeyFile string
	AssertionIssuer  string
	UpstreamTokens   []UpstreamToken
}

// OwnHeaders are the names of the headers that the operator made: of identity.claims and upstream-tokens. Nobody else writes them (S-24).
func (i Identity) OwnHeaders() []string {
	var names []string
	for name := range i.Claims {
		names = append(names, name)
	}
	for _, token := range i.UpstreamTokens {
		names = append(names, token.Header)
	}
	return names
}

// UpstreamToken is a token for a downstream API, handed to the app as a request header.
type UpstreamToken struct {
	Header   string   `yaml:"header"`
	Provider string   `yaml:"provider"`
	Target   string   `yaml:"target"`
	Required bool     `yaml:"required"`
	Paths    []string `yaml:"paths"`
}

// ForwardAuth is the listener that answers an ingress controller.
type ForwardAuth struct {
	BindAddress string
	SecretFile  string
}

// Admin is the listener for ending and counting sessions.
type Admin struct {
	BindAddress string
	TokenFile   string
}

// Audit is the stream of audit events.
type Audit struct {
	File string
}

// Providers are the identity providers that the platform's variables name (contract 2.2), for tokens rather than for login.
type Providers struct {
	Azure        Provider
	TokenX       Provider
	Maskinporten Provider
	IDPorten     Provider

	AllowHTTP         bool // provider URLs may be http beyond loopback
	AllowTestProvider bool // the built-in test provider is accepted beyond loopback ingresses
}

// Provider is one platform provider. Explicit endpoints win over metadata.
type Provider struct {
	Enabled            bool
	ClientID           string
	ClientJWK          Secret
	ClientSecret       Secret
	FederatedTokenFile string
	WellKnownURL       string
	Issuer             string
	JWKSURI            string
	TokenEndpoint      string
	Audience           string          // ID-porten only
	TenantID           string          // Entra ID only
	PreAuthorizedApps  []PreAuthorized // Entra ID only
}

// PreAuthorized maps a client id of Entra ID to the app that it belongs to.
type PreAuthorized struct {
	Name     string `json:"name"` // cluster:namespace:app
	ClientID string `json:"clientId"`
}

// Outbound is the web proxy for calls to identity providers (HTTP_PROXY, HTTPS_PROXY, NO_PROXY). Calls to the app never use it.
type Outbound struct {
	HTTPProxy  Secret
	HTTPSProxy Secret
	NoProxy    string
}

package devidp

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

// IdP is the provider. It is an [http.Handler] and safe for concurrent use.
type IdP struct {
	cfg    Config
	pages  *pages
	keys   *keyRing
	faults faults

	mu            sync.Mutex // guards everything below
	clients       map[string]*client
	autoLogin     string
	tokenLifetime time.Duration
	alterMetadata func(map[string]any)
	alterToken    func(*Draft)
	unmarked      bool // tests only, see HideTestMarker

	flows    *store[*flow]         // logins waiting for a person
	pushed   *store[*authRequest]  // PAR
	sessions *store[*ssoSession]   // single sign-on, by cookie value
	codes    *store[*code]         // redeemed ones stay until they expire, to notice reuse
	refresh  *store[*refreshToken] // by token
	jtis     *store[struct{}]      // of client assertions
}

// Lives and bounds. Twice a code's life is remembered, so that reuse is told from nonsense for a while.
const (
	flowLife    = time.Hour
	pushedLife  = time.Minute
	sessionLife = 24 * time.Hour
	codeLife    = time.Minute
	codeMemory  = 10 * time.Minute
	refreshLife = 90 * 24 * time.Hour
)

// New makes a provider, with a new signing key unless the configuration names one. The error names every problem of the configuration.
func New(cfg Config) (*IdP, error) {
	err := cfg.complete()
	clients := map[string]*client{}
	for _, registration := range cfg.Clients {
		c, bad := newClient(registration)
		switch {
		case bad != nil:
			err = errors.Join(err, bad)
		case clients[c.ID] != nil:
			err = errors.Join(err, fmt.Errorf("two clients are called %q", c.ID))
		default:
			clients[c.ID] = c
		}
	}
	if err != nil {
		return nil, fmt.Errorf("configure test provider: %w", err)
	}
	keys, err := newKeyRing(cfg.KeyFile)
	if err != nil {
		return nil, err
	}
	pages, err := newPages()
	if err != nil {
		return nil, err
	}
	return &IdP{
		cfg: cfg, pages: pages, keys: keys, clients: clients, autoLogin: cfg.AutoLogin, tokenLifetime: cfg.TokenLifetime,
		faults:   faults{set: map[Endpoint]*Fault{}, seen: map[string]int{}},
		flows:    newStore[*flow](flowLife, 2048),
		pushed:   newStore[*authRequest](pushedLife, 2048),
		sessions: newStore[*ssoSession](sessionLife, 4096),
		codes:    newStore[*code](codeMemory, 4096),
		refresh:  newStore[*refreshToken](refreshLife, 16384),
		jtis:     newStore[struct{}](assertionLife+2*assertionLeeway, 65536),
	}, nil
}

// ServeHTTP implements [http.Handler].
func (p *IdP) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Pragma", "no-cache")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "same-origin") // no-referrer would make browsers send Origin: null with our own form
	x := &exchange{idp: p, w: w, r: r, now: p.cfg.Now()}
	base, ok := p.base(r)
	if !ok {
		x.message(http.StatusMisdirectedRequest, "Not an address of this provider",
			"Without a fixed base URL the test provider answers to loopback names only: localhost, *.localhost, 127.0.0.1 and [::1].", "")
		return
	}
	x.base = base
	endpoint, serve := p.route(r.URL.Path)
	if endpoint == "" {
		p.stray(x)
		return
	}
	p.faults.count(string(endpoint))
	p.faults.serve(endpoint, x, serve)
}

// route finds the handler of a path. Addresses are those of Entra ID v2.
func (p *IdP) route(path string) (Endpoint, func(*exchange)) {
	tenant := "/" + p.cfg.TenantID
	switch path {
	case "/":
		return EndpointFront, p.front
	case tenant + pathMetadata:
		return EndpointMetadata, p.metadata
	case tenant + pathKeys:
		return EndpointKeys, p.jwks
	case tenant + pathAuthorize:
		return EndpointAuthorize, p.authorize
	case tenant + pathLogin:
		return EndpointLogin, p.login
	case tenant + pathToken:
		return EndpointToken, p.token
	case tenant + pathLogout:
		return EndpointLogout, p.logout
	case tenant + pathPAR:
		if p.cfg.PAR != PAROff {
			return EndpointPAR, p.par
		}
	}
	if p.cfg.Admin && strings.HasPrefix(path, pathAdmin) {
		return EndpointAdmin, p.admin
	}
	return "", nil
}

// Paths below the tenant, and of the knobs.
const (
	pathMetadata  = "/v2.0/.well-known/openid-configuration"
	pathKeys      = "/discovery/v2.0/keys"
	pathAuthorize = "/oauth2/v2.0/authorize"
	pathLogin     = "/login"
	pathToken     = "/oauth2/v2.0/token"
	pathLogout    = "/oauth2/v2.0/logout"
	pathPAR       = "/oauth2/v2.0/par"
	pathAdmin     = "/_dev/"
)

// stray answers what is no endpoint: another tenant as Entra ID would, anything else with 404.
func (p *IdP) stray(x *exchange) {
	tenant, rest, _ := strings.Cut(strings.TrimPrefix(x.r.URL.Path, "/"), "/")
	if tenant != p.cfg.TenantID && p.endpointOfAnyTenant("/"+rest) {
		x.fail(refuse(90002))
		return
	}
	x.message(http.StatusNotFound, "Nothing here", "The test provider has no page at this address.", "")
}

func (p *IdP) endpointOfAnyTenant(rest string) bool {
	endpoint, _ := p.route("/" + p.cfg.TenantID + rest)
	return endpoint != ""
}

// base is scheme and host of the provider's addresses, as this request sees them.
func (p *IdP) base(r *http.Request) (string, bool) {
	if p.cfg.BaseURL != "" {
		return p.cfg.BaseURL, true
	}
	if !loopback(r.Host) {
		return "", false
	}
	if r.TLS != nil {
		return "https://" + r.Host, true
	}
	return "http://" + r.Host, true
}

// secret is 256 random bits in base64url.
func (p *IdP) secret() string { return base64.RawURLEncoding.EncodeToString(p.random(32)) }

// guid is a random UUID, as Entra ID uses for anything that needs a name.
func (p *IdP) guid() string {
	b := p.random(16)
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// random falls back to the system's randomness, which does not fail, if the configured one does.
func (p *IdP) random(n int) []byte {
	b := make([]byte, n)
	if _, err := io.ReadFull(p.cfg.Rand, b); err != nil {
		_, _ = rand.Read(b) // never returns an error
	}
	return b
}

func (p *IdP) client(id string) (*client, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c, ok := p.clients[id]
	return c, ok
}

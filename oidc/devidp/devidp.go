package devidp

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// IdP is the provider: four issuers behind one address. It is an [http.Handler] and safe for concurrent use.
type IdP struct {
	cfg     Config
	pages   *pages
	issuers map[Issuer]*issuer // all of them, never changed
	routes  map[string]route   // by path, never changed
	faults  faults

	mu            sync.Mutex // guards everything below, and the stores of the issuers
	clients       map[string]*client
	firstClient   string // that was registered; minted tokens are for it
	autoLogin     string
	lifetimes     map[Issuer]time.Duration // of access tokens
	received      []TokenRequest           // the last ones, oldest first
	alterMetadata map[Issuer]func(map[string]any)
	alterToken    func(*Draft)
	groups        map[string][]string // of a persona by id, where they have changed since the start
	unmarked      bool                // tests only, see HideTestMarker
}

// New makes a provider, with new signing keys unless the configuration names some. The error names every problem of the configuration.
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
			err = errors.Join(err, clash(clients, c))
			clients[c.ID] = c
		}
	}
	if err != nil {
		return nil, fmt.Errorf("configure test provider: %w", err)
	}
	issuers, err := newIssuers(cfg)
	if err != nil {
		return nil, err
	}
	pages, err := newPages()
	if err != nil {
		return nil, err
	}
	p := &IdP{
		cfg: cfg, pages: pages, issuers: issuers, clients: clients, autoLogin: cfg.AutoLogin,
		faults:        faults{set: map[Endpoint]*Fault{}, seen: map[string]int{}, mended: make(chan struct{})},
		alterMetadata: map[Issuer]func(map[string]any){},
		lifetimes: map[Issuer]time.Duration{
			Entra: cfg.TokenLifetime, IDPorten: cfg.TokenLifetime, TokenX: cfg.TokenXLifetime, Maskinporten: DefaultMaskinportenLifetime,
		},
	}
	if len(cfg.Clients) > 0 {
		p.firstClient = cfg.Clients[0].ID
	}
	p.routes = p.allRoutes()
	return p, nil
}

// ServeHTTP implements [http.Handler].
func (p *IdP) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Pragma", "no-cache")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "same-origin") // no-referrer would make browsers send Origin: null with our own form
	x := &exchange{site: p.seenFrom(Entra, ""), w: w, r: r}
	base, ok := p.base(r)
	if !ok {
		x.message(http.StatusMisdirectedRequest, "Not an address of this provider",
			"Without a fixed base URL the test provider answers to loopback names only: localhost, *.localhost, 127.0.0.1 and [::1].", "")
		return
	}
	x.base = base
	to, found := p.routes[r.URL.Path]
	switch {
	case found:
		x.at = to.at
	case p.cfg.Admin && strings.HasPrefix(r.URL.Path, pathAdmin):
		to = route{endpoint: EndpointAdmin, serve: p.admin}
	default:
		p.stray(x)
		return
	}
	p.faults.count(string(to.endpoint))
	grantType := ""
	if r.URL.Path == x.at.paths[EndpointToken] && r.Method == http.MethodPost {
		grantType = x.note() // before any fault, so that each attempt is seen
	}
	p.faults.serve(to.endpoint, grantType, x, to.serve)
}

// pathAdmin is where the knobs are.
const pathAdmin = "/_dev/"

// route is where a path leads.
type route struct {
	at       *issuer
	endpoint Endpoint // with the issuer's name, as in faults and counts
	serve    func(*exchange)
}

func (p *IdP) allRoutes() map[string]route {
	routes := map[string]route{"/": {p.issuers[Entra], EndpointFront, p.front}}
	handlers := map[Endpoint]func(*exchange){
		EndpointMetadata: p.serveMetadata, EndpointKeys: p.jwks, EndpointToken: p.token,
		EndpointAuthorize: p.authorize, EndpointLogin: p.login, EndpointLogout: p.logout, EndpointPAR: p.par, EndpointRevoke: p.revocation,
	}
	for _, at := range p.issuers {
		for endpoint, path := range at.paths {
			if endpoint != EndpointPAR || p.cfg.PAR != PAROff {
				routes[path] = route{at, endpoint.Of(at.name), handlers[endpoint]}
			}
		}
	}
	return routes
}

// stray answers what is no endpoint: another tenant as Entra ID would, anything else with 404.
func (p *IdP) stray(x *exchange) {
	_, rest, _ := strings.Cut(strings.TrimPrefix(x.r.URL.Path, "/"), "/")
	if _, known := p.routes["/"+p.cfg.TenantID+"/"+rest]; known {
		x.fail(refuse(90002))
		return
	}
	x.message(http.StatusNotFound, "Nothing here", "The test provider has no page at this address.", "")
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
func (p *IdP) guid() string { return formatUUID(p.random(16)) }

// formatUUID writes 16 bytes as a UUID of version 4.
func formatUUID(raw []byte) string {
	b := slices.Clone(raw)
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

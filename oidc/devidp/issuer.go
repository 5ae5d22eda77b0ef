package devidp

import (
	"cmp"
	"time"
)

// Issuer names one of the issuers that live in the provider, in the knobs and in the counts.
type Issuer string

// The issuers. Each has addresses, signing keys and stores of its own, so that nothing of one is worth anything at another.
const (
	Entra        Issuer = "entra"
	TokenX       Issuer = "tokenx"
	Maskinporten Issuer = "maskinporten"
	IDPorten     Issuer = "idporten"
)

// allIssuers is in the order of the keys in [Config.KeyFile], and of pages.
func allIssuers() []Issuer { return []Issuer{Entra, TokenX, Maskinporten, IDPorten} }

// issuer is one issuer. What is common to all of them is code elsewhere in this package; what tells them apart is here, filled in by one
// profile_*.go each. The profile is never changed after [New]; [IdP].mu guards the stores.
type issuer struct {
	name  Issuer
	title string              // as people know it
	path  string              // of the issuer identifier, below the base
	home  string              // that the single sign-on cookie is for
	paths map[Endpoint]string // below the base; what has none is not there

	metadata     func(site) map[string]any
	grants       []string // of the token endpoint
	tokens       func(*exchange, params) (map[string]any, *oauthError)
	login        login              // nil where nobody logs in
	admits       func(Persona) bool // who can log in
	levels       []string           // acr, lowest first; empty for none
	exampleClaim string             // for the login page
	numbered     bool               // errors carry the numbers of Entra ID
	lenientEnd   bool               // a logout may name any registered address without saying whose it is
	keys         *keyRing
	stores
}

// login is what two issuers do differently when people log in.
type login interface {
	// scopes reads the scope parameter of an authorization request or a refresh.
	scopes(s site, raw string) (scopes, *oauthError)
	// ask reads the parameters that only this issuer understands. Scopes, level and the rest are there already.
	ask(s site, a *authRequest, q params) *oauthError
	// idClaims is the id token's claim set.
	idClaims(s site, g *grant, refreshed bool) map[string]any
	// answer is access_token, scope and what else is special in an answer of the token endpoint.
	answer(s site, i issuance, life time.Duration) (map[string]any, error)
}

// stores hold what an issuer has handed out.
type stores struct {
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

func newStores() stores {
	return stores{
		flows:    newStore[*flow](flowLife, 2048),
		pushed:   newStore[*authRequest](pushedLife, 2048),
		sessions: newStore[*ssoSession](sessionLife, 4096),
		codes:    newStore[*code](codeMemory, 4096),
		refresh:  newStore[*refreshToken](refreshLife, 16384),
		jtis:     newStore[struct{}](assertionLife+2*assertionLeeway, 65536),
	}
}

// newIssuers makes all four, with the keys of a file or new ones.
func newIssuers(cfg Config) (map[Issuer]*issuer, error) {
	fromFile, err := readKeys(cfg.KeyFile)
	if err != nil {
		return nil, err
	}
	issuers := map[Issuer]*issuer{}
	for i, at := range []*issuer{entraID(cfg), tokenX(), maskinporten(), idPorten()} {
		at.stores = newStores()
		at.keys = &keyRing{certified: at.name == Entra}
		if i < len(fromFile) {
			err = at.keys.start(fromFile[i])
		}
		if err != nil {
			return nil, err
		}
		issuers[at.name] = at
	}
	return issuers, nil
}

// site is an issuer as a caller sees it: below a base address, at a moment.
type site struct {
	idp  *IdP
	at   *issuer
	base string // scheme and host
	now  time.Time
}

func (s site) url(e Endpoint) string { return s.base + s.at.paths[e] }

func (s site) issuer() string { return s.base + s.at.path }

// of is another issuer, seen by the same caller.
func (s site) of(name Issuer) site {
	s.at = s.idp.issuers[name]
	return s
}

// IssuerURL is an issuer identifier, as `iss` says it; it is empty for an unknown name. The base is scheme and host by which the provider is
// reached; empty means that of the configuration.
func (p *IdP) IssuerURL(of Issuer, base string) string {
	if p.issuers[of] == nil {
		return ""
	}
	return p.seenFrom(of, base).issuer()
}

// WellKnown is the address of an issuer's metadata; it is empty for an unknown name. The base is that of [IdP.IssuerURL].
func (p *IdP) WellKnown(of Issuer, base string) string {
	if p.issuers[of] == nil {
		return ""
	}
	return p.seenFrom(of, base).url(EndpointMetadata)
}

func (p *IdP) seenFrom(of Issuer, base string) site {
	return site{idp: p, at: p.issuers[of], base: cmp.Or(base, p.cfg.BaseURL), now: p.cfg.Now()}
}

// chosen is the issuers that a knob is meant for: Entra ID if none is named. Unknown names are left out.
func (p *IdP) chosen(of []Issuer) []*issuer {
	if len(of) == 0 {
		of = []Issuer{Entra}
	}
	var all []*issuer
	for _, name := range of {
		if at := p.issuers[name]; at != nil {
			all = append(all, at)
		}
	}
	return all
}

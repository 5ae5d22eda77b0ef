package devidp

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// RotateKeys signs with a new key from now on, at these issuers; without any, at Entra ID. The old ones stay published, up to four; see
// [IdP.WithdrawKeys].
func (p *IdP) RotateKeys(of ...Issuer) error {
	for _, at := range p.chosen(of) {
		if err := at.keys.rotate(); err != nil {
			return err
		}
	}
	return nil
}

// WithdrawKeys takes every key out of the key set but the one that signs, at these issuers; without any, at Entra ID. After
// [IdP.RotateKeys] it is an emergency rollover.
func (p *IdP) WithdrawKeys(of ...Issuer) {
	for _, at := range p.chosen(of) {
		at.keys.keepSigner()
	}
}

// KeyIDs are the published RSA keys of these issuers, without any those of Entra ID; the last one of each signs.
func (p *IdP) KeyIDs(of ...Issuer) []string {
	ids := []string{}
	for _, at := range p.chosen(of) {
		keys, err := at.keys.keys()
		if err != nil {
			p.cfg.Log.Error("test provider: make key", "error", err)
		}
		for _, key := range keys {
			ids = append(ids, key.kid)
		}
	}
	return ids
}

// SetFault breaks an endpoint, in place of what was wrong with it before. Those of other issuers than Entra ID are named by [Endpoint.Of], one grant
// of a token endpoint by [Endpoint.For].
func (p *IdP) SetFault(e Endpoint, f Fault) {
	p.faults.mu.Lock()
	defer p.faults.mu.Unlock()
	p.faults.set[e] = &f
}

// ClearFaults mends everything: faults and planned token errors. Requests that hang lose their connection.
func (p *IdP) ClearFaults() {
	p.faults.mu.Lock()
	defer p.faults.mu.Unlock()
	clear(p.faults.set)
	p.faults.tokens = nil
	close(p.faults.mended)
	p.faults.mended = make(chan struct{})
}

// Counts is how many requests each endpoint has seen, such as "keys" (of Entra ID) and "tokenx/keys". The token endpoint is also counted by
// the grants that it has: "token/refresh_token", "idporten/token/refresh_token". See [Endpoint.Of] and [Endpoint.For].
func (p *IdP) Counts() map[string]int { return p.faults.counts() }

// TokenError is a refusal to come of the token endpoint, after the client has proved who it is.
type TokenError struct {
	Issuer      Issuer // empty means Entra ID
	GrantType   string // empty means any
	AADSTS      int    // the code; status, error and text follow from it if it is a known one
	Error       string // RFC 6749 error code, if another
	Status      int    // if another
	Description string // if another
	Suberror    string // if another
	Claims      string // claims challenge, JSON
	Times       int    // how many requests; 0 means one, less means until [IdP.ClearFaults]
}

// FailToken plans an error. Several are given in order.
func (p *IdP) FailToken(e TokenError) {
	err := refuseGrant(e.AADSTS)
	err.code, err.status = cmp.Or(e.Error, err.code), cmp.Or(e.Status, err.status)
	err.text = cmp.Or(e.Description, err.text, "This error was asked for.") // clients may insist on a text
	err.suberror, err.claims = cmp.Or(e.Suberror, err.suberror), e.Claims
	p.faults.mu.Lock()
	defer p.faults.mu.Unlock()
	p.faults.tokens = append(p.faults.tokens, &plannedError{cmp.Or(e.Issuer, Entra), e.GrantType, *err, cmp.Or(e.Times, 1)})
}

// RevokeRefreshTokens makes all refresh tokens of a person useless, as an administrator would, and returns how many there were. The person
// is named as in login_hint; "" means everybody. It is done at these issuers; without any, at Entra ID.
func (p *IdP) RevokeRefreshTokens(person string, of ...Issuer) (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, at := range p.chosen(of) {
		at.refresh.each(func(_ string, t *refreshToken) {
			if person == "" || t.family.grant.person.answersTo(person) {
				t.family.revoked = true
				n++
			}
		})
	}
	return n
}

// SetGroups changes the groups of a persona, from the next token on, as an administrator would.
func (p *IdP) SetGroups(persona string, groups []string) error {
	who, ok := p.persona(persona)
	if !ok {
		return fmt.Errorf("no persona %q", persona)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.groups == nil {
		p.groups = map[string][]string{}
	}
	p.groups[who.ID] = slices.Clone(groups)
	return nil
}

// regrouped says whether a persona's groups have changed since the start.
func (p *IdP) regrouped(who Persona) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, changed := p.groups[who.ID]
	return changed
}

func (p *IdP) groupsOf(who Persona) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if changed, ok := p.groups[who.ID]; ok {
		return changed
	}
	return who.Groups
}

// SetTokenLifetime changes the life of access tokens from now on, at least a second, at these issuers; without any, where people log in. At
// Maskinporten it is that of scopes that have none of their own.
func (p *IdP) SetTokenLifetime(life time.Duration, of ...Issuer) {
	if len(of) == 0 {
		of = []Issuer{Entra, IDPorten}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, at := range p.chosen(of) {
		p.lifetimes[at.name] = max(life, time.Second)
	}
}

// SetAutoLogin makes a persona log in without a page from now on, at the issuers that know them; "" brings the page back.
func (p *IdP) SetAutoLogin(persona string) error {
	if _, ok := p.persona(persona); !ok && persona != "" {
		return fmt.Errorf("set automatic login: no persona %q", persona)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.autoLogin = persona
	return nil
}

// SetClient registers a client, in place of one with the same ID. Tests need it where client and provider must know each other's address.
func (p *IdP) SetClient(cfg ClientConfig) error {
	c, err := newClient(cfg)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := clash(p.clients, c); err != nil {
		return err
	}
	p.clients[c.ID] = c
	p.firstClient = cmp.Or(p.firstClient, c.ID)
	return nil
}

// AlterMetadata lets a test change the metadata of these issuers (without any: of Entra ID) before it is served; nil ends that. The function
// must be safe for concurrent use. It cannot remove the mark of the test provider.
func (p *IdP) AlterMetadata(change func(metadata map[string]any), of ...Issuer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, at := range p.chosen(of) {
		p.alterMetadata[at.name] = change
	}
}

// AlterTokens lets a test change each token before it is signed, to see a client refuse it; nil ends that. The function must be safe for
// concurrent use.
func (p *IdP) AlterTokens(change func(*Draft)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.alterToken = change
}

// TestOnly is met by *testing.T and its kin, and by nothing that a program has at hand.
type TestOnly interface {
	Helper()
	TempDir() string
	Setenv(key, value string)
}

// HideTestMarker leaves `postern_test_provider` out of the metadata, so that a test can see what happens with a provider that
// looks real (S-41). It takes a test so that no program can do it.
func (p *IdP) HideTestMarker(t TestOnly) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.unmarked = true
}

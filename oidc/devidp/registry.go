package devidp

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/lestrrat-go/jwx/v2/jwk"
)

// appID is the name of an app on Nais, and its client id at TokenX: cluster:namespace:app.
var appID = newForm(`^[^:/\s]+:[^:/\s]+:[^:/\s]+$`)

// organisationID is an organisation's number in Norway's register as tokens write it (ISO 6523).
var organisationID = newForm(`^0192:[0-9]{9}$`)

// settleOthers settles what the client is at TokenX and Maskinporten.
func (c *client) settleOthers() error {
	var problems []error
	keys := func(own json.RawMessage) jwk.Set {
		if !given(own) {
			return c.keys
		}
		set, err := publicKeys(own)
		problems = append(problems, err)
		return set
	}
	c.tokenXKeys, c.maskinportenKeys = keys(c.TokenX.JWKS), keys(c.Maskinporten.JWKS)
	if c.TokenX.ID == "" && appID.MatchString(c.Name) {
		c.TokenX.ID = c.Name
	}
	c.Maskinporten.ID = cmp.Or(c.Maskinporten.ID, c.ID)
	c.Maskinporten.Organisation = cmp.Or(c.Maskinporten.Organisation, DefaultConsumer)
	if len(c.Maskinporten.DetailTypes) == 0 {
		c.Maskinporten.DetailTypes = []string{SystemUser}
	}
	for _, id := range append([]string{c.Maskinporten.Organisation}, c.Maskinporten.Consumers...) {
		if !organisationID.MatchString(id) {
			problems = append(problems, fmt.Errorf("organisation %q is not 0192: and nine digits", id))
		}
	}
	return errors.Join(problems...)
}

// given says whether there is a key; JSON has a word for none.
func given(raw json.RawMessage) bool { return len(raw) > 0 && string(raw) != "null" }

// clash is what two clients cannot both be called.
func clash(clients map[string]*client, c *client) error {
	for _, other := range clients {
		switch {
		case other.ID == c.ID:
		case c.TokenX.ID != "" && other.TokenX.ID == c.TokenX.ID:
			return fmt.Errorf("client %q: TokenX knows %q by this name", c.ID, other.ID)
		case other.Maskinporten.ID == c.Maskinporten.ID:
			return fmt.Errorf("client %q: Maskinporten knows %q by this id", c.ID, other.ID)
		}
	}
	return nil
}

func (p *IdP) client(id string) (*client, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c, ok := p.clients[id]
	return c, ok
}

func (p *IdP) clientThat(is func(*client) bool) (*client, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.clients {
		if is(c) {
			return c, true
		}
	}
	return nil, false
}

func (p *IdP) tokenXClient(id string) (*client, bool) {
	return p.clientThat(func(c *client) bool { return id != "" && c.TokenX.ID == id })
}

func (p *IdP) maskinportenClient(id string) (*client, bool) {
	return p.clientThat(func(c *client) bool { return c.Maskinporten.ID == id && c.maskinportenKeys != nil })
}

// uris are the names by which a scope or an audience at Entra ID may mean the app.
func (c *client) uris() []string {
	names := []string{c.ID, "api://" + c.ID}
	if appID.MatchString(c.Name) {
		names = append(names, "api://"+strings.ReplaceAll(c.Name, ":", "."))
	}
	return names
}

// preAuthorizes says whether an app may have tokens for this one. It always may itself.
func (c *client) preAuthorizes(caller *client) bool {
	return caller.ID == c.ID || slices.Contains(c.PreAuthorized, caller.ID) || slices.Contains(c.PreAuthorized, caller.Name)
}

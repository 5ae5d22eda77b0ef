package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"postern/oidc"
)

// sessionCaller reads the claims of an id token as those of a session of the login provider: the parts that decisions are made on, per
// provider (S-18, S-19). It makes nobody known: that takes a sealed record.
func sessionCaller(provider string, claims []byte) (*oidc.Caller, error) {
	var members map[string]json.RawMessage // exact names, as encoding/json does not fold the keys of maps
	if json.Unmarshal(claims, &members) != nil {
		return nil, errors.New("--claims: it is no JSON object")
	}
	r := sessionClaims{members: members}
	c := &oidc.Caller{
		Provider: provider, Kind: oidc.User, Session: true,
		Subject: r.text("sub"), ACR: r.text("acr"), Roles: r.list("roles"), Scopes: r.words("scp"), Groups: r.list("groups"),
	}
	if len(c.Scopes) == 0 {
		c.Scopes = r.words("scope")
	}
	c.User = c.Subject
	switch provider {
	case oidc.EntraID:
		c.Tenant, c.Object = r.text("tid"), r.text("oid")
		c.User = c.Object
	case oidc.IDPorten:
		c.Groups, c.Roles = nil, nil // ID-porten vouches for neither
	}
	var elsewhere map[string]json.RawMessage // OIDC Core §5.6.2
	if json.Unmarshal(members["_claim_names"], &elsewhere) == nil && elsewhere["groups"] != nil {
		c.Overage = true
	}
	if has := string(members["hasgroups"]); has == "true" || has == `"true"` {
		c.Overage = true
	}
	if r.err == nil && c.Subject == "" {
		r.err = errors.New("--claims: they lack sub, which every id token has")
	}
	return c, r.err
}

// sessionClaims reads members and keeps the first error, which names the claim and not its value.
type sessionClaims struct {
	members map[string]json.RawMessage
	err     error
}

func (r *sessionClaims) text(name string) (text string) {
	if raw, there := r.members[name]; there && json.Unmarshal(raw, &text) != nil && r.err == nil {
		r.err = fmt.Errorf("--claims: %s must be a text", name)
	}
	return text
}

// list takes a single text as a list of one.
func (r *sessionClaims) list(name string) (list []string) {
	raw, there := r.members[name]
	if !there || json.Unmarshal(raw, &list) == nil {
		return list
	}
	var one string
	if json.Unmarshal(raw, &one) != nil && r.err == nil {
		r.err = fmt.Errorf("--claims: %s must be a text or a list of texts", name)
	}
	return []string{one}
}

func (r *sessionClaims) words(name string) []string {
	return strings.Fields(strings.Join(r.list(name), " "))
}

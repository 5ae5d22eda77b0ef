package policy

import (
	"fmt"

	"postern/oidc"
)

// requirement is the compiled [Require] of a path: its members are joined by and, the values of each by or.
type requirement struct {
	groups        groups
	scopes, roles names
	joined        string // of scopes
	providers     names
	organizations names
	kind          oidc.Kind
	level         string // looked at last: [Policy.meetAll]
}

// meet says whether a caller whom the base policy admits meets all but the level.
func (q *requirement) meet(p *Policy, c *oidc.Caller, rule string, t *trace) Decision {
	if len(q.providers) > 0 {
		ok := q.providers.has(c.Provider)
		t.note(ok, rule, "iss", func() string {
			return fmt.Sprintf("The provider is %q; one of %s is needed.", c.Provider, quoteAll(q.providers))
		})
		if !ok {
			return refuse(ProviderNotAllowed, rule)
		}
	}
	if q.kind != "" {
		ok := c.Kind == q.kind
		t.note(ok, rule, "kind", func() string {
			return fmt.Sprintf("The caller is %s; %s is needed.", describeKind(c.Kind), describeKind(q.kind))
		})
		if !ok {
			return refuse(KindNotAllowed, rule)
		}
	}
	if len(q.organizations) > 0 {
		ok := c.Provider == oidc.Maskinporten && c.Organization != "" && q.organizations.has(c.Organization)
		t.note(ok, rule, "consumer", func() string {
			return fmt.Sprintf("The organisation is %q; one of %s is needed.", c.Organization, quoteAll(q.organizations))
		})
		if !ok {
			return refuse(OrganizationNotListed, rule)
		}
	}
	if d := q.meetGroups(c, rule, t); d.Reason != Allowed {
		return d
	}
	return q.meetPermission(p, c, rule, t)
}

// meetGroups believes people of Entra ID and callers of providers, and nobody else (S-19): TokenX copies what a login token said.
func (q *requirement) meetGroups(c *oidc.Caller, rule string, t *trace) Decision {
	if len(q.groups.names) == 0 {
		return allowed(rule)
	}
	switch c.Provider {
	case oidc.EntraID:
		if c.Kind == oidc.User {
			return checkGroups(&q.groups, true, c, rule, t)
		}
	case oidc.TokenX, oidc.Maskinporten, oidc.IDPorten:
	default:
		return checkGroups(&q.groups, false, c, rule, t)
	}
	t.note(false, rule, "groups", func() string {
		return fmt.Sprintf("Groups are wanted, and %s of %s has none that count.", describeKind(c.Kind), c.Provider)
	})
	return refuse(NotInGroup, rule)
}

// permissions is the side of scopes and roles that speaks of this kind of caller, and the claim that it looks at.
func (q *requirement) permissions(c *oidc.Caller) (list names, claim string) {
	switch c.Provider {
	case oidc.TokenX, oidc.IDPorten:
		return nil, ""
	case oidc.EntraID:
		switch c.Kind {
		case oidc.App:
			return q.roles, "roles"
		case oidc.User:
			return q.scopes, "scp"
		}
		return nil, ""
	}
	return q.scopes, "scope"
}

// meetPermission wants one permission that is in the token and granted to this caller by its rule: what was granted once and is not any more
// may still stand in a token.
func (q *requirement) meetPermission(p *Policy, c *oidc.Caller, rule string, t *trace) Decision {
	if len(q.scopes) == 0 && len(q.roles) == 0 {
		return allowed(rule)
	}
	list, claim := q.permissions(c)
	if len(list) == 0 {
		t.note(false, rule, "", func() string {
			return fmt.Sprintf("The path requires a permission, and gives none that %s of %s can have.", describeKind(c.Kind), c.Provider)
		})
		return refuse(KindNotAllowed, rule)
	}
	isRole := claim == "roles"
	have := names(c.Scopes)
	if isRole {
		have = c.Roles
	}
	inToken, helpful, granted := "", "", 0
	for _, name := range list {
		grants, has := p.grants(c, name), have.has(name)
		if grants && has {
			t.note(true, rule, claim, func() string { return fmt.Sprintf("%q is in the token and granted to the caller.", name) })
			return allowed(rule)
		}
		if has && inToken == "" {
			inToken = name
		}
		if grants {
			if granted++; helpful == "" {
				helpful = name
			}
		}
	}
	t.note(false, rule, claim, func() string {
		if inToken != "" {
			return fmt.Sprintf("%q is in the token, but no rule grants it to this caller.", inToken)
		}
		return fmt.Sprintf("%s has %s; one of %s is needed.", claim, quoteAll(have), quoteAll(list))
	})
	d := refuse(ScopeMissing, rule)
	switch {
	case isRole && inToken != "":
		d.Reason = RoleNotGranted
	case isRole:
		d.Reason = RoleMissing
	case inToken != "":
		d.Reason = ScopeNotGranted
	}
	switch {
	case isRole:
	case granted == len(list):
		d.Scope = q.joined
	default:
		d.Scope = helpful
	}
	return d
}

// grants says whether the base policy lets a permission count for a caller whom it admits.
func (p *Policy) grants(c *oidc.Caller, permission string) bool {
	switch c.Provider {
	case oidc.EntraID:
		rule := p.entraRule(c)
		if rule == nil {
			return p.isOwnClient(c)
		}
		if c.Kind == oidc.App {
			return permission == p.defaultRole || rule.roles.has(permission)
		}
		return permission == p.defaultScope || rule.scopes.has(permission)
	case oidc.Maskinporten:
		return p.maskinporten.grants(c, permission)
	case oidc.TokenX, oidc.IDPorten:
		return false
	}
	return p.providerGrants(c, permission)
}

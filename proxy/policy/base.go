package policy

import (
	"fmt"
	"slices"
	"strings"

	"postern/oidc"
)

const (
	defaultScope = "defaultaccess"
	defaultRole  = "access_as_application"
	ownClient    = "own client" // the rule that admits tokens that the app's own login obtained
)

// admit says who is admitted by what (S-18): each kind of caller by its part of the policy, and by no other.
func (p *Policy) admit(c *oidc.Caller, t *trace) Decision {
	if p.unwritten {
		return p.admitUnwritten(c, t)
	}
	switch c.Provider {
	case oidc.EntraID:
		return p.admitEntra(c, t)
	case oidc.TokenX:
		return p.admitTokenX(c, t)
	case oidc.Maskinporten:
		return p.admitMaskinporten(c, t)
	case oidc.IDPorten:
		return p.admitIDPorten(c, t)
	}
	return p.admitProvider(c, t)
}

// admitUnwritten admits sessions, and of bearer tokens those of people, since nobody has said which machines may call (S-03).
func (p *Policy) admitUnwritten(c *oidc.Caller, t *trace) Decision {
	switch {
	case c.Session:
		t.note(true, "", "", func() string { return "There is no policy: every session is admitted." })
		return allowed("")
	case c.Provider == oidc.EntraID && c.Kind == oidc.User:
		return p.checkDefaultScope(c, "", t)
	case c.Provider == oidc.TokenX:
		return p.checkOrigin(c, t)
	case c.Provider == oidc.IDPorten:
		return p.checkRelyingParty(c, nil, t)
	}
	t.note(false, "", "", func() string {
		return fmt.Sprintf("There is no policy, and a token of %s for %s needs one.", c.Provider, describeKind(c.Kind))
	})
	return refuse(NoPolicy, "")
}

func (p *Policy) admitEntra(c *oidc.Caller, t *trace) Decision {
	if p.entraOff {
		return p.unspoken("azure.application.enabled", c, t)
	}
	if len(p.tenants) > 0 {
		ok := p.tenants.hasFolded(c.Tenant)
		t.note(ok, "entra.tenants", "tid", func() string { return fmt.Sprintf("tid is %q; allowed is %s.", c.Tenant, quoteAll(p.tenants)) })
		if !ok {
			return refuse(WrongTenant, "entra.tenants")
		}
	}
	if c.Session {
		if c.Kind != oidc.User {
			return p.unspoken("users", c, t)
		}
		return p.admitPerson(c, t)
	}
	by, reason := p.checkApplication(c, t)
	if reason != Allowed {
		return refuse(reason, by)
	}
	switch c.Kind {
	case oidc.App:
		ok := slices.Contains(c.Roles, p.defaultRole)
		t.note(ok, by, "roles", func() string { return fmt.Sprintf("roles has %s; %q is needed.", quoteAll(c.Roles), p.defaultRole) })
		if !ok {
			return refuse(NoDefaultRole, by)
		}
		return allowed(by)
	case oidc.User:
		if d := p.checkDefaultScope(c, by, t); d.Reason != Allowed {
			return d
		}
		return p.admitPerson(c, t)
	}
	return p.unspoken("", c, t)
}

// checkApplication finds the rule for the client of an Entra ID token. The name of the client comes from the platform's list of
// pre-authorised apps, never from azp_name.
func (p *Policy) checkApplication(c *oidc.Caller, t *trace) (rule string, reason Reason) {
	own, listed := p.isOwnClient(c), p.entraRule(c)
	switch {
	case listed != nil:
		rule = listed.where
	case own:
		rule = ownClient
	case c.App == "":
		rule, reason = "inbound.rules", UnknownApp
	default:
		rule, reason = "inbound.rules", AppNotListed
	}
	t.note(reason == Allowed, rule, "azp", func() string {
		switch {
		case own:
			return "The token was obtained by the app's own client, which counts as allowed."
		case c.App == "":
			return fmt.Sprintf("azp is %q, which no entry of AZURE_APP_PRE_AUTHORIZED_APPS gives a name.", c.ClientID)
		case reason == Allowed:
			return fmt.Sprintf("azp is %q, and a rule names it.", c.App)
		}
		return fmt.Sprintf("azp is %q, and no rule names it.", c.App)
	})
	return rule, reason
}

// isOwnClient is a session, or a token that the app's own login client obtained.
func (p *Policy) isOwnClient(c *oidc.Caller) bool {
	return c.Session || c.ClientID != "" && slices.Contains(p.entraClients, c.ClientID)
}

// entraRule is the inbound rule for a caller of Entra ID, or nil.
func (p *Policy) entraRule(c *oidc.Caller) *inboundRule {
	if p.isOwnClient(c) {
		return p.inbound[p.ownApp]
	}
	return p.inbound[c.App]
}

func (p *Policy) checkDefaultScope(c *oidc.Caller, rule string, t *trace) Decision {
	ok := slices.Contains(c.Scopes, p.defaultScope)
	t.note(ok, rule, "scp", func() string { return fmt.Sprintf("scp has %s; %q is needed.", quoteAll(c.Scopes), p.defaultScope) })
	if !ok {
		return Decision{Reason: NoDefaultScope, Rule: rule, Scope: p.defaultScope}
	}
	return allowed(rule)
}

// admitPerson is what users says about people of Entra ID.
func (p *Policy) admitPerson(c *oidc.Caller, t *trace) Decision {
	const rule = "users"
	switch u := p.users; {
	case u == nil:
		return p.unspoken(rule, c, t)
	case u.allowAll:
		t.note(true, rule, "", func() string { return "allowAll admits everybody." })
		return allowed(rule)
	case len(u.groups.names) == 0:
		t.note(false, rule, "groups", func() string { return "Neither allowAll nor groups is given, which admits nobody." })
		return refuse(UsersNotAllowed, rule)
	default:
		return checkGroups(&u.groups, true, c, rule, t)
	}
}

// checkGroups compares GUIDs of Entra ID without regard to case, names of other providers exactly. Too many groups for the token is never
// membership.
func checkGroups(g *groups, folded bool, c *oidc.Caller, rule string, t *trace) Decision {
	ok := g.overlap(c.Groups, folded) && !c.Overage
	t.note(ok, rule, "groups", func() string {
		if c.Overage {
			return "The token says that it cannot list all groups, so that membership is unknown, and unknown is not membership."
		}
		return fmt.Sprintf("groups has %s; one of %s is needed.", quoteAll(c.Groups), quoteAll(g.names))
	})
	switch {
	case ok:
		return allowed(rule)
	case c.Overage:
		return refuse(GroupsUnknown, rule)
	}
	return refuse(NotInGroup, rule)
}

func (p *Policy) admitTokenX(c *oidc.Caller, t *trace) Decision {
	if p.tokenXOff || c.Session {
		return p.unspoken("tokenx.enabled", c, t)
	}
	if d := p.checkOrigin(c, t); d.Reason != Allowed {
		return d
	}
	rule := p.inbound[c.ClientID] // exactly: the app itself is not implied
	t.note(rule != nil, "inbound.rules", "client_id", func() string {
		if rule == nil {
			return fmt.Sprintf("client_id is %q, and no rule names it.", c.ClientID)
		}
		return fmt.Sprintf("client_id is %q, and a rule names it.", c.ClientID)
	})
	if rule == nil {
		return refuse(AppNotListed, "inbound.rules")
	}
	return allowed(rule.where)
}

// checkOrigin is where the person of a TokenX token logged in.
func (p *Policy) checkOrigin(c *oidc.Caller, t *trace) Decision {
	if c.IDP == "" || !p.checkIDP {
		return allowed("")
	}
	ok := c.FromIDPorten || slices.Contains(p.idps, c.IDP)
	t.note(ok, "tokenx.idps", "idp", func() string {
		return fmt.Sprintf("idp is %q; allowed, beside ID-porten where it is enabled, is %s.", c.IDP, quoteAll(p.idps))
	})
	if !ok {
		return refuse(ForeignIDP, "tokenx.idps")
	}
	return allowed("")
}

func (p *Policy) admitIDPorten(c *oidc.Caller, t *trace) Decision {
	switch {
	case p.idporten == nil:
		return p.unspoken("idporten", c, t)
	case c.Session:
		t.note(true, "idporten", "", func() string { return "A session of ID-porten is admitted." })
		return allowed("idporten")
	}
	return p.checkRelyingParty(c, p.idporten.Clients, t)
}

// checkRelyingParty wants a token that our own login, or a client that the policy lists, obtained. Its audience binds it to nobody: ID-porten
// writes there what any client asks for (S-02).
func (p *Policy) checkRelyingParty(c *oidc.Caller, clients []string, t *trace) Decision {
	ok := c.ClientID != "" && (slices.Contains(p.idportenClients, c.ClientID) || slices.Contains(clients, c.ClientID))
	t.note(ok, "idporten.clients", "client_id", func() string {
		return fmt.Sprintf("client_id is %q; allowed is the app's own (%s), and beside it %s.", c.ClientID, quoteAll(p.idportenClients), quoteAll(clients))
	})
	if !ok {
		return refuse(ForeignClient, "idporten.clients")
	}
	return allowed("idporten")
}

// unspoken refuses a kind of caller that the policy has no part for.
func (p *Policy) unspoken(part string, c *oidc.Caller, t *trace) Decision {
	t.note(false, part, "", func() string {
		how := "a token"
		if c.Session {
			how = "a session"
		}
		return strings.TrimSpace(fmt.Sprintf("The policy says nothing that admits %s of %s for %s. %s", how, c.Provider, describeKind(c.Kind), missingPart(part)))
	})
	return refuse(NotInPolicy, part)
}

func missingPart(part string) string {
	if part == "" {
		return ""
	}
	return fmt.Sprintf("What decides about it is %s.", part)
}

func describeKind(k oidc.Kind) string {
	switch k {
	case oidc.User:
		return "a person"
	case oidc.App:
		return "an application"
	}
	return "a caller of unknown kind"
}

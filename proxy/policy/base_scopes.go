package policy

import (
	"fmt"
	"slices"
	"strings"

	"postern/oidc"
)

// maskinporten is the compiled [Maskinporten].
type maskinporten struct {
	audience string
	byName   map[string][]*offer
	offered  string // all names, for ScopeNotOffered
}

// offer is one scope that the app offers to organisations.
type offer struct {
	where     string
	forAll    bool
	consumers map[string]struct{}
	source    string // of delegation
}

// admitMaskinporten wants one entry that has the scope, the consumer and the delegation: they must belong together (S-46). Neither
// client_id, client_orgno nor supplier decides.
func (p *Policy) admitMaskinporten(c *oidc.Caller, t *trace) Decision {
	m := p.maskinporten
	if m == nil || len(m.byName) == 0 || c.Session {
		return p.unspoken("maskinporten.scopes", c, t)
	}
	if m.audience != "" {
		ok := slices.Contains(c.Audience, m.audience)
		t.note(ok, "maskinporten.audience", "aud", func() string {
			return fmt.Sprintf("aud has %s; %q is needed.", quoteAll(c.Audience), m.audience)
		})
		if !ok {
			return refuse(WrongAudience, "maskinporten.audience")
		}
	}
	best := Decision{Reason: ScopeNotOffered, Rule: "maskinporten.scopes", Scope: m.offered}
	for _, scope := range c.Scopes {
		for _, o := range m.byName[scope] {
			reason := o.admits(c)
			t.note(reason == Allowed, o.where, reason.claim(), func() string { return o.describe(c, reason) })
			switch {
			case reason == Allowed:
				return allowed(o.where)
			case best.Reason == ScopeNotOffered || reason == DelegationRefused && best.Reason != DelegationRefused:
				best = refuse(reason, o.where) // the one that came furthest
			}
		}
	}
	if best.Reason == ScopeNotOffered {
		t.note(false, best.Rule, "scope", func() string {
			return fmt.Sprintf("scope has %s; one of %s is needed, as a whole word.", quoteAll(c.Scopes), quoteAll(strings.Fields(m.offered)))
		})
	}
	return best
}

// grants says whether some entry offers the scope to this caller.
func (m *maskinporten) grants(c *oidc.Caller, scope string) bool {
	if m == nil {
		return false
	}
	for _, o := range m.byName[scope] {
		if o.admits(c) == Allowed {
			return true
		}
	}
	return false
}

// admits looks at consumer and delegation. An organisation that was not recognised (another authority, another ICD) is none, even where all
// are let in.
func (o *offer) admits(c *oidc.Caller) Reason {
	if _, listed := o.consumers[c.Organization]; c.Organization == "" || !listed && !o.forAll {
		return ConsumerNotListed
	}
	if (c.Supplier || c.DelegationSource != "") && !meetsSource(c.DelegationSource, o.source) {
		return DelegationRefused
	}
	return Allowed
}

func (o *offer) describe(c *oidc.Caller, reason Reason) string {
	switch {
	case reason == DelegationRefused:
		return fmt.Sprintf("A supplier acts for %q by delegation_source %q; this scope allows %q.", c.Organization, c.DelegationSource, o.source)
	case c.Organization == "":
		return "consumer is no organisation number of iso6523-actorid-upis with 0192."
	case reason == ConsumerNotListed:
		return fmt.Sprintf("consumer is %q, which this scope does not list.", c.Organization)
	}
	return fmt.Sprintf("The token has this scope, and consumer is %q, which it lets in.", c.Organization)
}

// meetsSource compares the delegation_source of a token. Manifests of Nais say "altinn", tokens the address of the Altinn that it was
// delegated in.
func meetsSource(source, needed string) bool {
	if needed == "" || source == "" {
		return false
	}
	if source == needed || needed != "altinn" {
		return source == needed
	}
	host, https := strings.CutPrefix(strings.TrimSuffix(source, "/"), "https://")
	return https && !strings.ContainsAny(host, "/@:?#") && (host == "altinn.no" || strings.HasSuffix(host, ".altinn.no"))
}

// admitProvider admits sessions of the generic provider and tokens of further issuers, by the entries with their name. One entry that holds
// is enough.
func (p *Policy) admitProvider(c *oidc.Caller, t *trace) Decision {
	var first Decision
	for _, entry := range p.providers[c.Provider] {
		d := entry.admits(c, t)
		if d.Reason == Allowed {
			return d
		}
		if first.Reason == Allowed {
			first = d
		}
	}
	if first.Reason == Allowed {
		return p.unspoken("providers", c, t)
	}
	return first
}

// provider is the compiled [ProviderRule].
type provider struct {
	where    string
	allowAll bool
	groups   groups
	clients  names
	scopes   names
	joined   string // of scopes
}

// empty says that the entry names nothing by which anybody could be admitted.
func (e *provider) empty() bool {
	return !e.allowAll && len(e.groups.names) == 0 && len(e.clients) == 0 && len(e.scopes) == 0
}

// admits wants all that the entry gives.
func (e *provider) admits(c *oidc.Caller, t *trace) Decision {
	if e.empty() {
		t.note(false, e.where, "", func() string {
			return "The entry gives neither allowAll, groups, clients nor scopes, which admits nobody."
		})
		return refuse(NotInPolicy, e.where)
	}
	if len(e.clients) > 0 {
		ok := c.ClientID != "" && e.clients.has(c.ClientID)
		t.note(ok, e.where, "azp", func() string {
			return fmt.Sprintf("The client is %q; one of %s is needed.", c.ClientID, quoteAll(e.clients))
		})
		if !ok {
			return refuse(ClientNotListed, e.where)
		}
	}
	if len(e.groups.names) > 0 {
		if d := checkGroups(&e.groups, false, c, e.where, t); d.Reason != Allowed {
			return d
		}
	}
	if len(e.scopes) > 0 {
		ok := slices.ContainsFunc(c.Scopes, e.scopes.has)
		t.note(ok, e.where, "scope", func() string {
			return fmt.Sprintf("scope has %s; one of %s is needed.", quoteAll(c.Scopes), quoteAll(e.scopes))
		})
		if !ok {
			return Decision{Reason: ScopeMissing, Rule: e.where, Scope: e.joined}
		}
	}
	t.note(true, e.where, "", func() string { return "The entry holds." })
	return allowed(e.where)
}

// providerGrants says whether an entry that admits this caller lets the scope count: by naming it, or by naming none.
func (p *Policy) providerGrants(c *oidc.Caller, scope string) bool {
	for _, entry := range p.providers[c.Provider] {
		if (len(entry.scopes) == 0 || entry.scopes.has(scope)) && entry.admits(c, nil).Reason == Allowed {
			return true
		}
	}
	return false
}

package policy

import (
	"fmt"
	"slices"

	"postern/oidc"
)

// doubts are warnings about what can be read, but never applies: those that take a look at the whole policy or at the configuration. What is
// odd by itself [Parse] has noticed.
func (doc *Document) doubts(s Settings, p *Policy) []string {
	var all []string
	doubt := func(format string, args ...any) {
		if line := fmt.Sprintf(format, args...); !slices.Contains(all, line) {
			all = append(all, line)
		}
	}
	enabled := func(name string) bool { return len(s.Providers) == 0 || slices.Contains(s.Providers, name) }
	if doc.admitsNobody() {
		doubt("the policy admits no caller at all: it has none of inbound.rules, users, maskinporten, idporten and providers, " +
			"and paths only narrow what these admit")
	}
	for part, provider := range map[string]string{"users": oidc.EntraID, "maskinporten": oidc.Maskinporten, "idporten": oidc.IDPorten} {
		given := part == "users" && doc.Users != nil || part == "maskinporten" && doc.Maskinporten != nil || part == "idporten" && doc.IDPorten != nil
		if given && !enabled(provider) && !(part == "idporten" && enabled(oidc.TokenX)) {
			doubt("%s: %s is not enabled here, so that it admits nobody", part, provider)
		}
	}
	doubtLevel := func(where, level string) {
		if level != "" && levelRank(level) == 0 {
			doubt("%s: %q is no level of ID-porten, so that only an equal acr meets it", where, level)
		}
	}
	if doc.IDPorten != nil {
		doubtLevel("idporten.level", doc.IDPorten.Level)
	}
	for _, r := range doc.Providers {
		if !enabled(r.Name) {
			doubt("%s: no provider of that name is configured, so that it admits nobody", r.Where)
		}
	}
	for _, r := range doc.Paths {
		if r.Require == nil {
			continue
		}
		doubtLevel(r.Where, r.Require.Level)
		for _, name := range r.Require.Providers {
			if !enabled(name) {
				doubt("%s: require.providers: no provider %q is configured", r.Where, name)
			}
		}
		doc.doubtUnmet(r, doubt)
	}
	doubtPaths(&p.narrow, doubt)
	slices.Sort(all)
	return all
}

func (doc *Document) admitsNobody() bool {
	return len(doc.Rules) == 0 && doc.Users == nil && doc.Maskinporten == nil && doc.IDPorten == nil && len(doc.Providers) == 0
}

// doubtUnmet finds requirements that nobody can meet whom the base policy admits.
func (doc *Document) doubtUnmet(r PathRule, doubt func(string, ...any)) {
	q := r.Require
	if len(q.Organizations) > 0 && doc.Maskinporten == nil {
		doubt("%s: require.organizations is met by Maskinporten alone, which the policy does not speak of", r.Where)
	}
	if len(q.Groups) > 0 && doc.Users == nil && len(doc.Providers) == 0 {
		doubt("%s: require.groups is met by users and providers alone, which the policy does not speak of", r.Where)
	}
	if len(q.Roles) > 0 && len(q.Scopes) == 0 && (doc.EntraOff || len(doc.Rules) == 0) {
		doubt("%s: require.roles is met by applications of inbound.rules alone, and there are none", r.Where)
	}
	if len(q.Roles) > 0 && q.Kind == string(oidc.User) && len(q.Scopes) == 0 {
		doubt("%s: require.roles speaks of applications, and kind of users: nobody meets both", r.Where)
	}
}

// doubtPaths finds rules of equal rank that match one path: of these the narrower decides, or all must hold.
func doubtPaths(t *tree, doubt func(string, ...any)) {
	if t.root == nil {
		return
	}
	t.root.each(func(ends []*pattern) {
		for i, p := range ends {
			for _, rule := range p.rules {
				for _, other := range p.rules {
					if rule.public() && !other.public() && overlap(rule, other) {
						doubt("%s: it is public and required by %s for the same path and method, and what requires wins", rule.where, other.where)
					}
				}
			}
			for _, q := range ends[:i] {
				doubt("%s and %s differ in case, or in dots and spaces at the end, alone: both must hold wherever either matches", q.rules[0].where, p.rules[0].where)
			}
		}
	})
}

func overlap(a, b *pathRule) bool {
	return len(a.methods) == 0 || len(b.methods) == 0 || slices.ContainsFunc(a.methods, func(m string) bool { return slices.Contains(b.methods, m) })
}

// each visits all places where patterns end.
func (n *node) each(visit func([]*pattern)) {
	if len(n.ends) > 0 {
		visit(n.ends)
	}
	for _, child := range n.literal {
		child.each(visit)
	}
	for i := range n.wild {
		n.wild[i].next.each(visit)
	}
	if n.deep != nil {
		n.deep.each(visit)
	}
}

package policy

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"postern/oidc"
)

// compile prepares a document for decisions. The warnings are about rules that never apply. The error lists all problems.
func compile(doc *Document, s Settings) (p *Policy, warnings []string, err error) {
	if doc == nil {
		return nil, nil, errors.New("compile policy: there is no document")
	}
	p = &Policy{
		app:      doc.App,
		entraOff: doc.EntraOff, tokenXOff: doc.TokenXOff,
		ownApp:       cmp.Or(doc.App.String(), s.TokenXClientID),
		entraClients: slices.Clone(s.EntraClientIDs),
		tenants:      slices.Clone(doc.Entra.Tenants),
		defaultScope: cmp.Or(doc.Entra.DefaultScope, defaultScope),
		defaultRole:  cmp.Or(doc.Entra.DefaultRole, defaultRole),
		idps:         slices.Clone(doc.TokenX.IDPs),
		// Who lists origins means them, also where ID-porten is not enabled here.
		checkIDP:        s.IDPortenEnabled || len(doc.TokenX.IDPs) > 0,
		idportenClients: slices.Clone(s.IDPortenClients),
		maskinporten:    compileMaskinporten(doc.Maskinporten),
	}
	if doc.Users != nil {
		p.users = &users{allowAll: doc.Users.AllowAll, groups: newGroups(slices.Clone(doc.Users.Groups))}
	}
	if doc.IDPorten != nil {
		p.idporten, p.level = &IDPorten{Clients: slices.Clone(doc.IDPorten.Clients)}, doc.IDPorten.Level
	}
	problems := []error{p.compileInbound(doc.Rules), p.compileProviders(doc.Providers), p.compilePaths(doc.Paths)}
	if err := errors.Join(problems...); err != nil {
		return nil, nil, fmt.Errorf("compile policy: %w", err)
	}
	p.scopes = p.collectScopes(doc)
	return p, doc.doubts(s, p), nil
}

func (p *Policy) compileInbound(rules []InboundRule) error {
	var problems []error
	p.inbound = map[string]*inboundRule{}
	for _, r := range rules {
		if r.App.Cluster == "" || r.App.Namespace == "" || r.App.Name == "" {
			problems = append(problems, fmt.Errorf("%s: the application's name is not complete", r.Where))
			continue
		}
		if isWildcard(r.App) {
			continue // means something in the network; no token has it (tokens.md 6.1)
		}
		rule := p.inbound[r.App.String()]
		if rule == nil {
			rule = &inboundRule{where: r.Where}
			p.inbound[r.App.String()] = rule
		}
		rule.scopes, rule.roles = append(rule.scopes, r.Scopes...), append(rule.roles, r.Roles...)
	}
	return errors.Join(problems...)
}

func isWildcard(a App) bool { return a.Cluster == "*" || a.Namespace == "*" || a.Name == "*" }

func compileMaskinporten(doc *Maskinporten) *maskinporten {
	if doc == nil {
		return nil
	}
	m := &maskinporten{audience: doc.Audience, byName: map[string][]*offer{}}
	var offered []string
	for _, s := range doc.Scopes {
		o := &offer{where: s.Where, forAll: s.AccessibleForAll, consumers: map[string]struct{}{}, source: s.DelegationSource}
		for _, consumer := range s.Consumers {
			o.consumers[consumer] = struct{}{}
		}
		if !slices.Contains(offered, s.Name) {
			offered = append(offered, s.Name)
		}
		m.byName[s.Name] = append(m.byName[s.Name], o)
	}
	m.offered = strings.Join(offered, " ")
	return m
}

func (p *Policy) compileProviders(rules []ProviderRule) error {
	var problems []error
	p.providers = map[string][]*provider{}
	for _, r := range rules {
		if r.Name == "" {
			problems = append(problems, fmt.Errorf("%s: it has no name", r.Where))
			continue
		}
		p.providers[r.Name] = append(p.providers[r.Name], &provider{
			where: r.Where, allowAll: r.AllowAll, groups: newGroups(slices.Clone(r.Groups)),
			clients: slices.Clone(r.Clients), scopes: slices.Clone(r.Scopes), joined: strings.Join(r.Scopes, " "),
		})
	}
	return errors.Join(problems...)
}

func compileRequire(r *Require) (*requirement, error) {
	q := &requirement{
		groups: newGroups(slices.Clone(r.Groups)), scopes: slices.Clone(r.Scopes), roles: slices.Clone(r.Roles),
		joined: strings.Join(r.Scopes, " "), providers: slices.Clone(r.Providers), organizations: slices.Clone(r.Organizations),
		kind: oidc.Kind(r.Kind), level: r.Level,
	}
	if q.kind != "" && q.kind != oidc.User && q.kind != oidc.App {
		return nil, fmt.Errorf("kind %q is neither user nor app", r.Kind)
	}
	return q, nil
}

// compilePaths collects the rules of each pattern, ranks the patterns and puts them into the trees.
func (p *Policy) compilePaths(rules []PathRule) error {
	type entry struct {
		*pattern
		public, narrow bool
	}
	byText := map[string]*entry{}
	var entries []*entry
	var problems []error
	for _, r := range rules {
		rule, parsed, err := compilePath(r)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		if rule.public() {
			p.publics = append(p.publics, r.Match)
		}
		for _, segments := range parsed {
			text := spell(segments)
			e := byText[text]
			if e == nil {
				e = &entry{pattern: &pattern{text: text, segments: segments, ranks: rankOf(segments)}}
				byText[text], entries = e, append(entries, e)
			}
			if !slices.Contains(e.rules, rule) {
				e.rules = append(e.rules, rule)
			}
			e.public, e.narrow = e.public || rule.public(), e.narrow || !rule.public()
		}
	}
	if err := errors.Join(problems...); err != nil {
		return err
	}
	var ranks []string
	for _, e := range entries {
		ranks = append(ranks, e.ranks)
	}
	slices.Sort(ranks)
	ranks = slices.Compact(ranks)
	p.narrow.folded, p.paths = true, len(entries) > 0
	for _, e := range entries {
		e.rank, _ = slices.BinarySearch(ranks, e.ranks)
		e.allow = allowOf(e.rules)
		if e.public {
			p.open.add(e.pattern)
		}
		if e.narrow {
			p.narrow.add(e.pattern)
		}
	}
	return nil
}

func compilePath(r PathRule) (rule *pathRule, patterns [][]segment, err error) {
	rule = &pathRule{where: cmp.Or(r.Where, fmt.Sprintf("paths %q", r.Match)), methods: slices.Clone(r.Methods)}
	if r.Public != (r.Require == nil) {
		return nil, nil, fmt.Errorf("%s: it has neither public nor require, or both", rule.where)
	}
	if r.Require != nil {
		if rule.require, err = compileRequire(r.Require); err != nil {
			return nil, nil, fmt.Errorf("%s: %w", rule.where, err)
		}
	}
	texts, err := expand(r.Match)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: read pattern: %w", rule.where, err)
	}
	for _, text := range texts {
		segments, err := parsePattern(text)
		if err != nil {
			return nil, nil, fmt.Errorf("%s: read pattern: %w", rule.where, err)
		}
		patterns = append(patterns, segments)
	}
	return rule, patterns, nil
}

// allowOf is the value of Allow for a pattern: GET and HEAD, which pass by the base policy if by nothing else, and what its rules name.
func allowOf(rules []*pathRule) string {
	order := []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions}
	methods := []string{http.MethodGet, http.MethodHead}
	for _, rule := range rules {
		methods = append(methods, rule.methods...)
	}
	slices.SortFunc(methods, func(a, b string) int {
		i, j := slices.Index(order, a), slices.Index(order, b)
		if i < 0 || j < 0 {
			return cmp.Or(cmp.Compare(j, i), cmp.Compare(a, b))
		}
		return cmp.Compare(i, j)
	})
	return strings.Join(slices.Compact(methods), ", ")
}

// collectScopes lists what a caller may usefully ask for.
func (p *Policy) collectScopes(doc *Document) []string {
	var all []string
	if p.users != nil && !p.entraOff {
		all = append(all, p.defaultScope)
	}
	for _, r := range doc.Rules {
		if !p.entraOff {
			all = append(all, r.Scopes...)
		}
	}
	if doc.Maskinporten != nil {
		for _, s := range doc.Maskinporten.Scopes {
			all = append(all, s.Name)
		}
	}
	for _, r := range doc.Providers {
		all = append(all, r.Scopes...)
	}
	for _, r := range doc.Paths {
		if r.Require != nil {
			all = append(all, r.Require.Scopes...)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

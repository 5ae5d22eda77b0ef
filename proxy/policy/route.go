package policy

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// pattern is one path pattern without braces, with all rules that have it.
type pattern struct {
	text     string
	segments []segment
	rank     int    // greater is more specific; comparable over all patterns of a policy
	ranks    string // the same, spelled out
	rules    []*pathRule
	allow    string // methods, for 405
}

// pathRule is a compiled [PathRule].
type pathRule struct {
	where   string
	methods []string // none: every method
	require *requirement
}

func (r *pathRule) public() bool { return r.require == nil }

// names says whether the rule speaks of a method, compared exactly. GET covers HEAD, which runs the same handlers (S-10).
func (r *pathRule) names(method string) bool {
	return len(r.methods) == 0 || slices.Contains(r.methods, method) || method == http.MethodHead && slices.Contains(r.methods, http.MethodGet)
}

// Route is the path rules that apply to one request. The zero value belongs to no policy and is refused by every one.
type Route struct {
	policy  *Policy
	few     [6]*pathRule // that must hold
	count   int
	more    []*pathRule
	public  *pathRule // of a path whose every reading is public
	refused *pattern  // that does not name the method
	pattern *pattern  // most specific one of the first reading that has any
}

// Public says whether nobody may pass: every reading of the path is public.
func (r *Route) Public() bool { return r != nil && r.public != nil && r.refused == nil }

// Pattern is the path pattern that the request was judged by, as the policy has it; empty if no rule speaks of the path.
func (r *Route) Pattern() string {
	if r.pattern == nil {
		return ""
	}
	return r.pattern.text
}

// Ranging over the rules in this way makes no copy and allocates nothing.
func (r *Route) rule(i int) *pathRule {
	if i < len(r.few) {
		return r.few[i]
	}
	return r.more[i-len(r.few)]
}

func (r *Route) hold(rule *pathRule) {
	for i := range r.count {
		if r.rule(i) == rule {
			return
		}
	}
	if r.count < len(r.few) {
		r.few[r.count] = rule
	} else {
		r.more = append(r.more, rule)
	}
	r.count++
}

// where names the path rule of the request in a word: the first of those that must hold.
func (r *Route) where() string {
	switch {
	case r.refused != nil:
		return r.refused.rules[0].where
	case r.public != nil:
		return r.public.where
	case r.count > 0:
		return r.few[0].where
	}
	return ""
}

// Route finds the path rules of a request. It does not allocate for a path with one reading.
func (p *Policy) Route(r Request) Route { return p.route(&r, nil) }

func (p *Policy) route(q *Request, t *trace) (r Route) {
	if p == nil {
		return r
	}
	r.policy = p
	open := true
	for i := range q.Path.Len() {
		reading := trimSlash(q.Path.At(i))
		open = p.pick(&r, reading, q.Method, t) && open
		if shorter := trimHollow(reading); shorter != reading {
			open = p.pick(&r, shorter, q.Method, t) && open
		}
	}
	if !open {
		r.public = nil
	}
	return r
}

// trimHollow drops last segments that have nothing but dots and spaces: an app that does not see these sees the path without (S-11).
func trimHollow(path string) string {
	for end := len(path); end > 1; end-- {
		switch path[end-1] {
		case '/':
			path = path[:end-1]
		case '.', ' ':
		default:
			return path
		}
	}
	if strings.HasPrefix(path, "/") {
		return "/"
	}
	return path
}

// pick adds the rules of one reading and says whether it is public.
func (p *Policy) pick(r *Route, reading, method string, t *trace) (public bool) {
	var few [4]hit
	found := p.narrow.match(reading, p.open.match(reading, few[:0]))
	public = len(found) > 0
	if public && r.pattern == nil {
		r.pattern = found[0].pattern
	}
	for _, h := range found {
		named := false
		for _, rule := range h.pattern.rules {
			if rule.public() && !h.exact || !rule.names(method) {
				continue
			}
			named = true
			switch {
			case !rule.public():
				r.hold(rule)
				public = false
			case r.public == nil:
				r.public = rule
			}
		}
		if named {
			continue
		}
		public = false
		if method != http.MethodGet && method != http.MethodHead && r.refused == nil {
			r.refused = h.pattern // S-10: no fall-through to a wider pattern
		}
	}
	t.picked(reading, method, found)
	return public
}

// picked records what [Policy.pick] found.
func (t *trace) picked(reading, method string, found []hit) {
	if t == nil {
		return
	}
	if len(found) == 0 {
		t.note(true, "", "path", func() string {
			return fmt.Sprintf("No path rule matches %q: the base policy decides.", reading)
		})
	}
	for _, h := range found {
		var applied, others []string
		for _, rule := range h.pattern.rules {
			switch {
			case rule.public() && !h.exact:
				others = append(others, rule.where+" (public matches exactly)")
			case !rule.names(method):
				others = append(others, fmt.Sprintf("%s (for %s)", rule.where, strings.Join(rule.methods, ", ")))
			case rule.public():
				applied = append(applied, rule.where+" (public)")
			default:
				applied = append(applied, rule.where)
			}
		}
		why := fmt.Sprintf("%q is matched most specifically by %s (%s)", reading, h.pattern.text, describeRank(h.pattern.ranks))
		if exactly := (&tree{}).with(h.pattern); len(exactly.match(reading, nil)) == 0 {
			why += ", without regard to case and to dots and spaces at the end of segments"
		}
		switch {
		case len(applied) > 0:
			t.note(true, h.pattern.rules[0].where, "path", func() string { return why + "; it applies: " + strings.Join(applied, "; ") + "." })
		case method == http.MethodGet || method == http.MethodHead:
			t.note(true, h.pattern.rules[0].where, "method", func() string {
				return fmt.Sprintf("%s; no rule of it names %s, which passes with the base policy alone: %s.", why, method, strings.Join(others, "; "))
			})
		default:
			t.note(false, h.pattern.rules[0].where, "method", func() string {
				return fmt.Sprintf("%s; no rule of it names %s: %s. It allows %s.", why, method, strings.Join(others, "; "), h.pattern.allow)
			})
		}
	}
}

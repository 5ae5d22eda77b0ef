package policy

import (
	"slices"
	"strings"
	"testing"

	"github.com/bmatcuk/doublestar/v4"
	"pgregory.net/rapid"
)

// reference routes as slowly and plainly as the rules can be said: every pattern against every reading, sorted, with doublestar.
type reference struct{ rules []PathRule }

// refHit is one pattern without braces that matches, with the rules that have it.
type refHit struct {
	segments []string
	exact    bool
	rules    []int
}

type refRoute struct {
	public, refused bool
	held            []int
}

func (f reference) route(t testing.TB, raw, method string) refRoute {
	readings, err := Readings(raw)
	if err != nil {
		t.Fatal(err)
	}
	for _, reading := range readings[:len(readings):len(readings)] {
		if !strings.HasPrefix(reading, "/") {
			continue
		}
		segments := strings.Split(reading, "/")[1:]
		for len(segments) > 0 && strings.Trim(segments[len(segments)-1], ". ") == "" {
			segments = segments[:len(segments)-1]
		}
		readings = append(readings, "/"+strings.Join(segments, "/")) // S-11: as an app reads it that does not see these
	}
	out := refRoute{public: true}
	for _, reading := range readings {
		public, refused, held := f.reading(trimSlash(reading), method)
		out.public, out.refused = out.public && public, out.refused || refused
		out.held = append(out.held, held...)
	}
	slices.Sort(out.held)
	out.held = slices.Compact(out.held)
	return out
}

func (f reference) reading(path, method string) (public, refused bool, held []int) {
	var hits []*refHit
	for i, rule := range f.rules {
		for _, p := range refExpand(rule.Match) {
			segments := strings.Split(trimSlash(p), "/")[1:]
			segments = slices.CompactFunc(segments, func(a, b string) bool { return a == "**" && b == "**" })
			exact := refMatches(segments, path, refEqual)
			if !exact && (rule.Public || !refMatches(segments, path, refFolded)) {
				continue
			}
			at := slices.IndexFunc(hits, func(h *refHit) bool { return slices.Equal(h.segments, segments) })
			if at < 0 {
				at = len(hits)
				hits = append(hits, &refHit{segments: segments})
			}
			hits[at].exact = hits[at].exact || exact
			if !slices.Contains(hits[at].rules, i) {
				hits[at].rules = append(hits[at].rules, i)
			}
		}
	}
	if len(hits) == 0 {
		return false, false, nil
	}
	slices.SortStableFunc(hits, func(a, b *refHit) int { return refSpecific(b.segments, a.segments) })
	public = true
	for _, h := range hits {
		if refSpecific(h.segments, hits[0].segments) != 0 {
			break
		}
		named := false
		for _, i := range h.rules {
			rule := f.rules[i]
			if len(rule.Methods) > 0 && !slices.Contains(rule.Methods, method) && (method != "HEAD" || !slices.Contains(rule.Methods, "GET")) {
				continue
			}
			named = true
			if !rule.Public {
				held, public = append(held, i), false
			}
		}
		if !named {
			public = false
			refused = refused || method != "GET" && method != "HEAD"
		}
	}
	return public, refused, held
}

// refExpand replaces innermost braces until there are none. The patterns of these tests have none in classes, and no escapes.
func refExpand(pattern string) []string {
	end := strings.IndexByte(pattern, '}')
	if end < 0 {
		return []string{pattern}
	}
	begin := strings.LastIndexByte(pattern[:end], '{')
	var all []string
	for _, alternative := range strings.Split(pattern[begin+1:end], ",") {
		all = append(all, refExpand(pattern[:begin]+alternative+pattern[end+1:])...)
	}
	return all
}

func refMatches(pattern []string, path string, equal func(pattern, segment string) bool) bool {
	if !strings.HasPrefix(path, "/") {
		return false
	}
	var from func(p, s []string) bool
	from = func(p, s []string) bool {
		switch {
		case len(p) == 0:
			return len(s) == 0
		case p[0] == "**":
			return from(p[1:], s) || len(s) > 0 && from(p, s[1:])
		}
		return len(s) > 0 && equal(p[0], s[0]) && from(p[1:], s[1:])
	}
	return from(pattern, strings.Split(path, "/")[1:])
}

func refEqual(pattern, segment string) bool { return doublestar.MatchUnvalidated(pattern, segment) }

// refFolded tries every spelling of a segment that an app might take for the same: the cases of its letters, with and without what trails.
func refFolded(pattern, segment string) bool {
	if refEqual(strings.ToLower(pattern), strings.ToLower(segment)) {
		return true
	}
	pattern, trimmed := strings.TrimRight(pattern, ". "), strings.TrimRight(segment, ". ")
	if refEqual(strings.ToLower(pattern), strings.ToLower(trimmed)) {
		return true
	}
	return len(segment) < 6 && slices.ContainsFunc(append(refCases(segment), refCases(trimmed)...), func(s string) bool { return refEqual(pattern, s) })
}

func refCases(s string) []string {
	if s == "" {
		return []string{""}
	}
	var all []string
	for _, rest := range refCases(s[1:]) {
		all = append(all, strings.ToLower(s[:1])+rest, strings.ToUpper(s[:1])+rest)
	}
	return all
}

// refSpecific compares segment by segment: literal, wildcard, end, "**".
func refSpecific(a, b []string) int {
	weight := func(p []string, i int) int {
		switch {
		case i == len(p):
			return 2
		case p[i] == "**":
			return 1
		case strings.ContainsAny(p[i], "*?["):
			return 3
		}
		return 4
	}
	for i := 0; i <= len(a) && i <= len(b); i++ {
		if d := weight(a, i) - weight(b, i); d != 0 {
			return d
		}
	}
	return 0
}

var (
	patternPieces = []string{"a", "b", "A", "ab", "a*", "*b", "*", "?", "[ab]", "[!a]", "**", "a.", "a?", "{a,b}", "x{,y}", "{a/b,c}", "{**,a}", "*.*", "", "a b"}
	pathPieces    = []string{"a", "b", "A", "ab", "aB", "a.", "a. ", "a%20", "..", ".", "", "c", "x", "xy", "X.", "a%2Fb", "a;v", "...", "%20", "abb"}
	someMethods   = []string{"GET", "POST", "HEAD", "DELETE"}
)

func drawPath(t *rapid.T) string {
	return "/" + strings.Join(rapid.SliceOfN(rapid.SampledFrom(pathPieces), 0, 5).Draw(t, "path"), "/")
}

func drawPathRule(t *rapid.T) PathRule {
	match := "/" + strings.Join(rapid.SliceOfN(rapid.SampledFrom(patternPieces), 1, 4).Draw(t, "pattern"), "/")
	methods := rapid.SliceOfNDistinct(rapid.SampledFrom(someMethods), 0, 2, rapid.ID[string]).Draw(t, "methods")
	if rapid.Bool().Draw(t, "public") {
		return public(match, methods...)
	}
	return narrowed(match, Require{}, methods...)
}

// The trees agree with the reference in what is public, what is refused for its method, and which rules must hold.
func TestRouteIsThatOfTheReference(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		rules := rapid.SliceOfN(rapid.Custom(drawPathRule), 1, 8).Draw(rt, "rules")
		p, _, err := compile(&Document{Paths: rules}, Settings{})
		if err != nil {
			rt.Fatal(err)
		}
		raw, method := drawPath(rt), rapid.SampledFrom(someMethods).Draw(rt, "method")
		want := reference{rules}.route(t, raw, method)
		route := p.Route(Request{Path: mustRead(t, raw), Method: method})
		var held []int
		for i := range route.count {
			held = append(held, slices.IndexFunc(rules, func(r PathRule) bool {
				return r.Where == route.rule(i).where && slices.Equal(r.Methods, route.rule(i).methods) && !r.Public
			}))
		}
		slices.Sort(held)
		wantHeld := []int{} // rules that are written twice are one
		for _, i := range want.held {
			wantHeld = append(wantHeld, slices.IndexFunc(rules, func(r PathRule) bool {
				return r.Where == rules[i].Where && slices.Equal(r.Methods, rules[i].Methods) && !r.Public
			}))
		}
		slices.Sort(wantHeld)
		if !slices.Equal(slices.Compact(held), slices.Compact(wantHeld)) || (route.refused != nil) != want.refused ||
			route.Public() != (want.public && !want.refused) {
			rt.Fatalf("%s %s: public %v, refused %v, held %v; want %+v", method, raw, route.Public(), route.refused != nil, held, want)
		}
	})
}

// A pattern means what doublestar takes it for, as long as no segment of the path is empty.
func TestPatternsAreThoseOfDoublestar(t *testing.T) {
	t.Parallel()
	pieces := slices.DeleteFunc(slices.Clone(patternPieces), func(s string) bool { return s == "" || strings.Contains(s, "**") || s == "[!a]" })
	pieces = append(pieces, `\*`, `a\?`, "[a-c]b", "[!x-z]", "**", "*b*", "a*b*b")
	rapid.Check(t, func(t *rapid.T) {
		drawn := rapid.SliceOfN(rapid.SampledFrom(pieces), 1, 5).Draw(t, "pattern")
		pattern := "/" + strings.Join(slices.CompactFunc(drawn, func(a, b string) bool { return a == "**" && b == "**" }), "/")
		path := "/" + strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "c", "ab", "abb", "*", "a?", "a.", "x", "xy"}), 1, 6).Draw(t, "path"), "/")
		p, _, err := compile(&Document{Paths: []PathRule{public(pattern)}}, Settings{})
		if err != nil {
			t.Fatal(err)
		}
		want := doublestar.MatchUnvalidated(pattern, path)
		if short, ok := strings.CutSuffix(pattern, "/**"); ok {
			want = want || doublestar.MatchUnvalidated(short, path) // which doublestar forgets after a star: "/a*/**" and "/a"
		}
		if got := len(p.open.match(path, nil)) > 0; got != want {
			t.Fatalf("%q matches %q: %v; doublestar says %v", pattern, path, got, want)
		}
	})
}

// What a pattern matches exactly it matches without regard to case too: a narrowing rule never loses a path (S-11).
func TestS11FoldedMatchesAllThatExactDoes(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		glob := "/" + strings.Join(rapid.SliceOfN(rapid.SampledFrom(append(patternPieces, "[!A]", "[A-Z]*", "*[.]")), 1, 4).Draw(t, "pattern"), "/")
		path := trimSlash(drawPath(t))
		texts, err := expand(glob)
		if err != nil {
			t.Fatal(err)
		}
		exact, folded := tree{}, tree{folded: true}
		for _, text := range texts {
			parsed, err := parsePattern(text)
			if err != nil {
				t.Fatal(err)
			}
			exact.add(&pattern{segments: parsed})
			folded.add(&pattern{segments: parsed})
		}
		if len(exact.match(path, nil)) > 0 && len(folded.match(path, nil)) == 0 {
			t.Fatalf("%q matches %q, but not if folded", glob, path)
		}
	})
}

// FuzzRoute: the bytes that are authorised are those that are sent. A path is public only if all its readings are, by the reference.
func FuzzRoute(f *testing.F) {
	for _, raw := range append(traversals("/admin/x"), "/public", "/PUBLIC/a", "/public./x", "/a/b/public", "/x.js", "/static/a/b.js", "/open/a", "/open/a/..") {
		f.Add(raw, "GET")
	}
	f.Add("/open/a", "POST")
	rules := []PathRule{
		public("/public/**"), public("/static/**/*.js"), public("/open/{a,b}", "GET"), public("/{health,ready}"), public("/[xy].js"),
		narrowed("/admin/**", Require{}), narrowed("/public/secret/**", Require{}), narrowed("/open/*", Require{}, "POST"), narrowed("/**/private", Require{}),
	}
	p, _, err := compile(&Document{Paths: rules}, Settings{})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, raw, method string) {
		path, err := Read(raw)
		if err != nil {
			return
		}
		route := p.Route(Request{Path: path, Method: method})
		want := reference{rules}.route(t, raw, method)
		if route.Public() != (want.public && !want.refused) || route.count != len(want.held) || (route.refused != nil) != want.refused {
			t.Fatalf("%s %q: public %v with %d rules, refused %v; want %+v", method, raw, route.Public(), route.count, route.refused != nil, want)
		}
	})
}

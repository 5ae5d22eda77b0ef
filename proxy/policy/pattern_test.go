package policy

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/bmatcuk/doublestar/v4"
	gocmp "github.com/google/go-cmp/cmp"
)

func TestExpand(t *testing.T) {
	t.Parallel()
	for pattern, want := range map[string][]string{
		"/":                 {"/"},
		"/a/":               {"/a"},
		"/a":                {"/a"},
		"/{a,b}/c":          {"/a/c", "/b/c"},
		"/{a,b/c}":          {"/a", "/b/c"},
		"/a{,/}":            {"/a", "/a"},
		"/a{/b,{c,d}}":      {"/a/b", "/ac", "/ad"},
		"{/a,/b}":           {"/a", "/b"},
		"/{a,b}{c,d}":       {"/ac", "/ad", "/bc", "/bd"},
		`/\{a,b\}`:          {`/\{a,b\}`},
		"/[{,}]x{a,b}":      {"/[{,}]xa", "/[{,}]xb"},
		"**/a":              {"/**/a"},
		"**":                {"/**"},
		"/{a}":              {"/a"},
		`/{a\,b,c}`:         {`/a\,b`, "/c"},
		"/static/*.{js,md}": {"/static/*.js", "/static/*.md"},
	} {
		got, err := expand(pattern)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: %q, %v; want %q", pattern, got, err, want)
		}
	}
}

func TestCompileRefusesABadPattern(t *testing.T) {
	t.Parallel()
	for pattern, want := range map[string]error{
		"/a[":                             doublestar.ErrBadPattern,
		"/{a":                             doublestar.ErrBadPattern,
		`/a\`:                             doublestar.ErrBadPattern,
		"/[]x":                            doublestar.ErrBadPattern,
		"":                                errNoLeadingSlash,
		"a":                               errNoLeadingSlash,
		"*":                               errNoLeadingSlash,
		"{/a,b}":                          errNoLeadingSlash,
		"/a[/]b":                          errSlashInClass,
		"/a[a-/]b":                        errSlashInClass,
		`/a\/b`:                           errEscapedSlash,
		"/" + strings.Repeat("{a,b}", 9):  errTooManyAlternatives,
		"/" + strings.Repeat("{a,b}", 8):  nil,
		"/" + strings.Repeat("{a,b}", 60): errTooManyAlternatives,
	} {
		_, _, err := compile(&Document{Paths: []PathRule{public("/fine"), public(pattern)}}, Settings{})
		if !errors.Is(err, want) || want != nil && !strings.Contains(err.Error(), "paths ") {
			t.Errorf("%q: %v; want %v", pattern, err, want)
		}
	}
}

// The order of §5: segment by segment, literal before wildcard before the end before "**".
func TestRanks(t *testing.T) {
	t.Parallel()
	descending := [][]string{
		{"/a/b/c", "/x/y/z", `/\*/b/c`},
		{"/a/b/*", "/a/b/?x", "/a/b/[xy]"},
		{"/a/b", "/x/y"},
		{"/a/b/**/c"},
		{"/a/b/**"},
		{"/a/*/c"},
		{"/a/*"},
		{"/a/*/**"},
		{"/a", "/"},
		{"/a/**/b/c"},
		{"/a/**/b"},
		{"/a/**/*"},
		{"/a/**", "/a/**/**"},
		{"/*/a"},
		{"/*"},
		{"/**/a", "**/a"},
		{"/**/*"},
		{"/**", "**"},
	}
	rank := func(pattern string) string {
		texts, err := expand(pattern)
		if err != nil {
			t.Fatal(err)
		}
		segments, err := parsePattern(texts[0])
		if err != nil {
			t.Fatal(err)
		}
		return rankOf(segments)
	}
	for i, equals := range descending {
		for _, a := range equals {
			for j, others := range descending {
				for _, b := range others {
					if got, want := cmp.Compare(rank(a), rank(b)), cmp.Compare(j, i); got != want {
						t.Errorf("%q against %q: %d; want %d", a, b, got, want)
					}
				}
			}
		}
	}
}

func TestMostSpecificPatternDecides(t *testing.T) {
	t.Parallel()
	rules := []PathRule{}
	for _, match := range []string{
		"/**", "/*", "/", "/a", "/a/**", "/a/*", "/a/*/c", "/a/b", "/a/**/z", "/a/b/**", "/*/b", "/x*", "/*x", "/l/{m,n}", "/l/m", "/q/**/r/**/s", "/esc/\\*", "/esc/*",
	} {
		rules = append(rules, narrowed(match, Require{}))
	}
	p := mustCompile(t, &Document{Paths: rules}, Settings{})
	for path, want := range map[string][]string{
		"/":              {"/"},
		"/a":             {"/a"},
		"/a/":            {"/a"},
		"/a/b":           {"/a/b"},
		"/a/q":           {"/a/*"},
		"/a/q/c":         {"/a/*/c"},
		"/a/q/d":         {"/a/**"},
		"/a/q/r/z":       {"/a/**/z"},
		"/a/z":           {"/a/*"},
		"/a/b/c":         {"/a/b/**"},
		"/a/b/z":         {"/a/b/**"},
		"/c/b":           {"/*/b"},
		"/c":             {"/*"},
		"/c/d":           {"/**"},
		"/xyx":           {"/x*", "/*x", "/*"},
		"/l/m":           {"/l/{m,n}", "/l/m"},
		"/l/n":           {"/l/{m,n}"},
		"/q/r/s":         {"/q/**/r/**/s"},
		"/q/1/r/2/r/3/s": {"/q/**/r/**/s"},
		"/q/r/s/t":       {"/**"},
		"/esc/*":         {`/esc/\*`},
		"/esc/x":         {"/esc/*"},
	} {
		route := p.Route(Request{Path: mustRead(t, path), Method: "GET"})
		var got []string
		for i := range route.count {
			got = append(got, route.rule(i).where)
		}
		for i := range want {
			want[i] = narrowed(want[i], Require{}).Where
		}
		slices.Sort(got)
		slices.Sort(want)
		if diff := gocmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", path, diff)
		}
	}
}

// A route holds more rules than fit into its arrays, and a path more nodes.
func TestManyRulesOfEqualRankAllHold(t *testing.T) {
	t.Parallel()
	var rules []PathRule
	for _, letter := range strings.Split("abcdefghijklmnopqrstuvwxyz", "") {
		rules = append(rules, narrowed("/*"+letter+"*", Require{}))
	}
	p := mustCompile(t, &Document{Paths: rules}, Settings{})
	route := p.Route(Request{Path: mustRead(t, "/the-quick-brown-fox-jumps-over-a-lazy-dog"), Method: "GET"})
	if route.count != len(rules) || route.rule(25) == route.rule(24) {
		t.Errorf("%d rules hold of %d", route.count, len(rules))
	}
}

// A path that fits again and again costs no more than its segments times the patterns that still fit.
func TestMatchIsNotExponential(t *testing.T) {
	t.Parallel()
	p := mustCompile(t, &Document{Paths: []PathRule{
		public("/" + strings.Repeat("**/a/", 12) + "z"), public("/" + strings.Repeat("*a", 12) + "z"), narrowed("/**/a/**/*a*/**/z", Require{}),
	}}, Settings{})
	for _, path := range []string{strings.Repeat("/a", 900), "/" + strings.Repeat("a", 20000)} {
		if route := p.Route(Request{Path: mustRead(t, path), Method: "GET"}); route.Public() || route.count > 0 {
			t.Errorf("%.10s… is matched", path)
		}
	}
}

func TestSegmentMatches(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ pattern, exactly, folded, not string }{
		{"a*", "a,ab,a.", "A,AB.", "b,ba"},
		{"*.js", "x.js,.js", "X.JS,x.js.,x.Js ", "xjs,x.jsx"},
		{"a?", "aø,ab", "AB,ab..,Aø", "a,abc"},
		{"[a-c]x", "ax,cx", "BX,bx.", "dx,x"},
		{"[!a]x", "bx,Ax,-x", "ax,BX", "x,bbx"},
		{"[^0-9]", "a,-,A", "a.", "1,12"},
		{`[\]\-x]y`, "]y,-y,xy", "Xy", "ay"},
		{"[a-]x", "ax,-x", "AX", "bx"},
		{`\*?`, "*x,*X", "*x.", "xx"},
		{"a**b", "ab,axxb", "AB", "a"},
		{"*a*b*", "ab,xaxbx", "XAXB", "ba"},
		{"v?.", "v1.", "v1,V1", "v.x,w1"},
		{"*ab*ab", "abab,abxxab,abaabab", "ABab", "ab,aba"},
	} {
		s, err := parseSegment(test.pattern)
		if err != nil {
			t.Fatalf("%q: %v", test.pattern, err)
		}
		check := func(list string, exactly, folded bool) {
			for _, name := range strings.Split(list, ",") {
				if s.matches(name) != exactly || s.matchesFolded(name, trimTail(name)) != folded {
					t.Errorf("%q, %q: exactly %v, folded %v", test.pattern, name, s.matches(name), s.matchesFolded(name, trimTail(name)))
				}
			}
		}
		check(test.exactly, true, true)
		check(test.folded, false, true)
		check(test.not, false, false)
	}
}

// Many patterns that all still fit are looked at once a segment each, and not once for each other one.
func TestMatchOfManyDeepPatternsFindsThemAll(t *testing.T) {
	t.Parallel()
	var rules []PathRule
	for n := range 300 {
		rules = append(rules, narrowed(fmt.Sprintf("/**/%d/**/z", n), Require{}))
	}
	p := mustCompile(t, &Document{Paths: rules}, Settings{})
	path := ""
	for n := range 300 {
		path += fmt.Sprintf("/%d", n)
	}
	if route := p.Route(Request{Path: mustRead(t, path+path+"/z"), Method: "GET"}); route.count != len(rules) {
		t.Errorf("%d rules of %d", route.count, len(rules))
	}
}

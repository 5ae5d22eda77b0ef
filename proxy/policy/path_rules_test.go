package policy

import (
	"fmt"
	"strings"
	"testing"

	"postern/oidc"
)

// outsider and insider are people whom the base policy admits; the latter is in the group that /admin wants.
func outsider() *oidc.Caller {
	return &oidc.Caller{Provider: oidc.EntraID, Kind: oidc.User, Session: true, Groups: []string{staffGroup}}
}

func insider() *oidc.Caller {
	c := outsider()
	c.Groups = append(c.Groups, adminGroup)
	return c
}

func withPaths(tb testing.TB, paths ...PathRule) *Policy {
	return mustCompile(tb, &Document{Users: &Users{AllowAll: true}, Paths: paths}, Settings{})
}

// status is a decision as an app's client sees it.
func status(d Decision) int {
	switch {
	case d.Outcome != Refused:
		return 200
	case d.Reason.Class() == Method:
		return 405
	case d.Reason.Class() == InsufficientScope:
		return 403
	}
	return 401
}

func TestS10MethodsThatNoRuleNames(t *testing.T) {
	t.Parallel()
	admin := narrowed("/admin/**", Require{Groups: []string{adminGroup}}, "GET", "POST")
	orders := narrowed("/orders/**", Require{Groups: []string{adminGroup}}, "POST")
	wide := narrowed("/**", Require{Groups: []string{adminGroup}})
	p, wider := withPaths(t, admin, orders), withPaths(t, admin, orders, wide)
	for _, test := range []struct {
		method, path string
		outside, in  int
	}{
		{"GET", "/admin/x", 403, 200},
		{"HEAD", "/admin/x", 403, 200}, // runs the handlers of GET
		{"POST", "/admin/x", 403, 200},
		{"PUT", "/admin/x", 405, 405},
		{"PATCH", "/admin/x", 405, 405},
		{"DELETE", "/admin/x", 405, 405},
		{"FOO", "/admin/x", 405, 405},
		{"get", "/admin/x", 405, 405},
		{"OPTIONS", "/admin/x", 405, 405},
		{"", "/admin/x", 405, 405},
		{"GET", "/orders/1", 200, 200},
		{"HEAD", "/orders/1", 200, 200},
		{"POST", "/orders/1", 403, 200},
		{"DELETE", "/orders/1", 405, 405},
	} {
		for _, policy := range []*Policy{p, wider} {
			if got := status(ask(t, policy, test.method, test.path, outsider())); got != test.outside {
				t.Errorf("%s %s from outside: %d; want %d", test.method, test.path, got, test.outside)
			}
			if got := status(ask(t, policy, test.method, test.path, insider())); got != test.in {
				t.Errorf("%s %s from inside: %d; want %d", test.method, test.path, got, test.in)
			}
		}
		if got := status(ask(t, p, test.method, test.path, nil)); got == 200 || (got == 405) != (test.in == 405) {
			t.Errorf("%s %s by nobody: %d", test.method, test.path, got)
		}
	}
	if d := ask(t, p, "DELETE", "/orders/1", nil); d.Allow != "GET, HEAD, POST" || d.Rule != `paths "/orders/**"` || d.Reason != MethodNotNamed {
		t.Errorf("%+v", d)
	}
}

func TestS10AllowListsTheMethodsOfThePattern(t *testing.T) {
	t.Parallel()
	p := withPaths(t, public("/a", "PURGE", "GET"), narrowed("/{a,b}", Require{}, "DELETE", "POST"), narrowed("/a", Require{}, "ACL", "POST", "OPTIONS"))
	for path, want := range map[string]string{"/a": "GET, HEAD, POST, DELETE, OPTIONS, ACL, PURGE", "/b": "GET, HEAD, POST, DELETE"} {
		if d := ask(t, p, "PUT", path, insider()); d.Allow != want {
			t.Errorf("%s: %q; want %q", path, d.Allow, want)
		}
	}
}

// Rules of one pattern are one table of methods, whether they open or narrow.
func TestS10PublicAndNarrowingRulesOfOnePattern(t *testing.T) {
	t.Parallel()
	p := withPaths(t, public("/a", "GET"), narrowed("/a", Require{Groups: []string{adminGroup}}, "POST"))
	for _, test := range []struct {
		method, path string
		nobody, in   int
	}{
		{"GET", "/a", 200, 200},
		{"HEAD", "/a", 200, 200},
		{"POST", "/a", 401, 200},
		{"PUT", "/a", 405, 405},
		{"GET", "/A", 401, 200},
		{"POST", "/A", 401, 200}, // public matches exactly
	} {
		if got := status(ask(t, p, test.method, test.path, nil)); got != test.nobody {
			t.Errorf("%s %s by nobody: %d; want %d", test.method, test.path, got, test.nobody)
		}
		if got := status(ask(t, p, test.method, test.path, insider())); got != test.in {
			t.Errorf("%s %s: %d; want %d", test.method, test.path, got, test.in)
		}
	}
}

func TestS11SpellingsThatAnAppMayNotTellApart(t *testing.T) {
	t.Parallel()
	p := withPaths(t, narrowed("/admin/**", Require{Groups: []string{adminGroup}}), public("/public/**"), public("/public"))
	for _, path := range []string{
		"/ADMIN/x", "/admin%2fx", "/%2561dmin/x", "/admin./x", "/admin%20/x", "/admin;a=b/x", "/x/../Admin/x",
		"/admin", "/Admin", "/admin.", "/admin%20", "/admin/", "/admin//", "/admin/.", "/ADMIN./..;/admin/x", "/admin%20./x", "/aDMIN%2Fx.", "/admin/%20",
		"/%41dmin/x", "/admin%2e/x", "//admin/x", `/\admin\x`, "/admin%5cx", "/public/..%2Fadmin/x", "/%C1%A1dmin/x",
	} {
		if got := status(ask(t, p, "GET", path, outsider())); got != 403 {
			t.Errorf("%s from outside: %d", path, got)
		}
		if got := status(ask(t, p, "GET", path, nil)); got != 401 {
			t.Errorf("%s by nobody: %d", path, got)
		}
	}
	if _, err := Read("/admin%00/x"); err == nil {
		t.Error("a NUL in the path is no error")
	}
	for _, path := range []string{"/PUBLIC/a", "/Public", "/public./a", "/public%20/a", "/publicx"} {
		if got := status(ask(t, p, "GET", path, nil)); got != 401 {
			t.Errorf("%s by nobody: %d, so it is public", path, got)
		}
	}
	for _, path := range []string{"/public", "/public/", "/public/A", "/public/a.", "/public/a%20b", "/public/a/%20"} {
		if got := status(ask(t, p, "GET", path, nil)); got != 200 {
			t.Errorf("%s by nobody: %d", path, got)
		}
	}
}

// A narrowing rule written with capitals, dots or spaces is found by the same paths.
func TestS11PatternsAreFoldedAsPathsAre(t *testing.T) {
	t.Parallel()
	p := withPaths(t, narrowed("/Admin./V1.*", Require{Groups: []string{adminGroup}}), public("/**"))
	for path, want := range map[string]int{"/Admin./V1.0": 403, "/admin/v1.0": 403, "/ADMIN/V1.x": 403, "/Admin/V1.": 403, "/admin/w1.0": 200} {
		if got := status(ask(t, p, "GET", path, outsider())); got != want {
			t.Errorf("%s: %d; want %d", path, got, want)
		}
	}
}

// A path whose last segments an app may not see must meet the rules of the shorter one too.
func TestS11HollowEndIsNoWayAround(t *testing.T) {
	t.Parallel()
	p := withPaths(t, narrowed("/a", Require{Groups: []string{adminGroup}}), public("/a/*"), public("/b/**"))
	for path, want := range map[string]int{"/a": 401, "/a/": 401, "/a/%20": 401, "/a/...": 401, "/a/%20./": 401, "/a/x": 200, "/b/%20": 200, "/b/x/...": 200} {
		if got := status(ask(t, p, "GET", path, nil)); got != want {
			t.Errorf("%s: %d; want %d", path, got, want)
		}
	}
}

func TestAdvisoryCVE2025_54576RulesSeeThePathOnly(t *testing.T) {
	t.Parallel() // peers.md row 23: what looks like a query is never part of a pattern's match
	p := withPaths(t, public("/public"), public("/static/*.js"))
	for _, path := range []string{"/secret%3Fx=/public", "/secret%3F/public", "/secret%3Fx=/static/a.js", "/secret%23/public"} {
		if got := status(ask(t, p, "GET", path, nil)); got != 401 {
			t.Errorf("%s: %d", path, got)
		}
	}
}

// peers.md row 25, with the policy in place of bare globs: neither is a traversal public, nor does it lose the rules of where it leads.
func TestAdvisoryCVE2026_33494TraversalMeetsTheRulesOfItsTarget(t *testing.T) {
	t.Parallel()
	p := withPaths(t, public("/public/**"), narrowed("/admin/**", Require{Groups: []string{adminGroup}}))
	corpus := traversals("/admin/x")
	if len(corpus) < 60 {
		t.Fatalf("only %d encodings", len(corpus))
	}
	for _, path := range corpus {
		if got := status(ask(t, p, "GET", path, nil)); got != 401 {
			t.Errorf("%s by nobody: %d", path, got)
		}
		if got := status(ask(t, p, "GET", path, outsider())); got != 403 {
			t.Errorf("%s from outside: %d", path, got)
		}
		if got := status(ask(t, p, "GET", path, insider())); got != 200 {
			t.Errorf("%s from inside: %d", path, got)
		}
	}
}

func TestAdvisoryGO2026_5108CaseOfEscapesAndPaths(t *testing.T) {
	t.Parallel() // peers.md row 28
	p := withPaths(t, narrowed("/admin/x", Require{Groups: []string{adminGroup}}), public("/open%x"))
	for _, path := range []string{"/admin%2fx", "/admin%2Fx", "/%61%64min/X", "/%41DMIN/x"} {
		if got := status(ask(t, p, "GET", path, outsider())); got != 403 {
			t.Errorf("%s: %d", path, got)
		}
	}
}

// peers.md row 32: no order of the rules matters, explain tells the rule, and what no rule speaks of is denied to strangers.
func TestAdvisoryCVE2026_48794OrderOfRulesDoesNotMatter(t *testing.T) {
	t.Parallel()
	rules := []PathRule{
		public("/**"), narrowed("/api/**", Require{Groups: []string{adminGroup}}), public("/api/health"), narrowed("/api/*", Require{Kind: "user"}),
		narrowed("/api/health/**", Require{Groups: []string{adminGroup}}),
	}
	for rotation := range rules {
		p := withPaths(t, append(append([]PathRule{}, rules[rotation:]...), rules[:rotation]...)...)
		for path, want := range map[string]string{
			"/x": "/**", "/api": "/api/**", "/api/health": "/api/health", "/api/x": "/api/*", "/api/x/y": "/api/**", "/api/health/x": "/api/health/**",
		} {
			e := p.Explain(Request{Path: mustRead(t, path), Method: "GET"}, nil)
			if wanted := fmt.Sprintf("paths %q", want); e.Decision.Rule != wanted || !strings.Contains(e.Steps[0].Detail, want) {
				t.Errorf("%s: %+v; want %s", path, e, wanted)
			}
		}
	}
	strangers := mustCompile(t, &Document{Paths: []PathRule{narrowed("/a", Require{})}}, Settings{})
	for _, path := range []string{"/", "/a", "/b"} {
		if d := ask(t, strangers, "GET", path, insider()); d.Outcome != Refused || d.Reason != NotInPolicy {
			t.Errorf("%s: %+v", path, d)
		}
	}
}

// The odd targets of OPTIONS and of a path that is none match no pattern.
func TestWhatIsNoPathMatchesNoPattern(t *testing.T) {
	t.Parallel()
	p := withPaths(t, public("/**"), narrowed("/a", Require{}))
	for _, raw := range []string{"*", ""} {
		route := p.Route(Request{Path: mustRead(t, raw), Method: "OPTIONS"})
		if route.Public() || p.Decide(&route, nil).Reason != NoCaller {
			t.Errorf("%q is public", raw)
		}
	}
}

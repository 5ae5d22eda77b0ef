package policy

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// traversals are paths that some app takes for target although they stand below /public.
func traversals(target string) []string {
	rest := target[1:]
	ups := []string{
		"..", "%2e%2e", "%2E%2e", ".%2e", "%2e.", "%252e%252e", "%252e.", "..;", "..;a=b", "%2e%2e;", "..%3b", "..%3Bx", "..%253b",
		"%c0%ae%c0%ae", "%e0%80%ae%e0%80%ae", "./..", "%2e/..", "x/../..", "x/%2e%2e/..", "..;/.", ".;/..",
	}
	slashes := []string{"/", "//", "%2f", "%2F", "%252f", `\`, "%5c", "%5C", "%255c", "%c0%af", "%e0%80%af", "/./", ";/", "/;x/"}
	var all []string
	for _, up := range ups {
		for _, slash := range slashes {
			all = append(all, "/public"+slash+up+slash+rest)
		}
	}
	return all
}

// TestAdvisoryCVE2026_33494PathConfusion: peers.md row 25. No encoding of a way out of a public tree is public.
func TestAdvisoryCVE2026_33494PathConfusion(t *testing.T) {
	t.Parallel()
	g, err := CompileGlobs([]string{"/public/**"})
	if err != nil {
		t.Fatal(err)
	}
	corpus := append(traversals("/admin/x"),
		"/./admin/x", "//public/admin/x", "//host/admin/x", `/\host/admin/x`, "/public;/../admin/x", "/PUBLIC/a", "/public%2Fx/../../admin",
		"/public/%2e%2e%2f%2e%2e%2fadmin", "/public/..%5c..%5cadmin", "/public/%2e%2e%5cadmin", "/public/a/..;b/..;c/admin", "/publicx/a")
	if len(corpus) < 60 {
		t.Fatalf("only %d encodings", len(corpus))
	}
	for _, raw := range corpus {
		readings, err := Readings(raw)
		if err != nil {
			t.Errorf("%q: %v", raw, err)
			continue
		}
		if g.matchEvery(readings) {
			t.Errorf("%q is public; readings %q", raw, readings)
		}
		if strings.Contains(raw, "/admin/x") && strings.HasPrefix(raw, "/public/..") && !contains(readings, "/admin/x") {
			t.Errorf("%q: no reading is /admin/x in %q", raw, readings)
		}
	}
}

func contains(readings []string, want string) bool {
	for _, reading := range readings {
		if reading == want {
			return true
		}
	}
	return false
}

func TestMatchEvery(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		pattern string
		matches []string
		not     []string
	}{
		{"/allowed", []string{"/allowed", "/allowed/", "/%61llowed"}, []string{"/allowed/no", "/Allowed", "/allow", "/", "/allowed//x"}},
		{"/allowed/", []string{"/allowed", "/allowed/"}, []string{"/allowed/no"}},
		{"/public/*", []string{"/public/a", "/public/a/", "/public/a%20b"}, []string{"/public", "/public/a/b", "/public/a%2Fb", "/public/a/../b"}},
		{"/public/**", []string{"/public", "/public/", "/public/a/b", "/public/./a", "/public/a%2Fb"}, []string{"/publicity", "/x/public/a", "/public/%2e%2e/a"}},
		{"/any*", []string{"/any", "/anything"}, []string{"/any/thing", "/an"}},
		{"/static/**/*.js", []string{"/static/a.js", "/static/x/y/a.js"}, []string{"/static/a.css", "/a.js", "/static/..;/a.js"}},
		{"/a?c", []string{"/abc", "/a%C3%B8c"}, []string{"/ac", "/a/c"}},
		{"/[ab]x", []string{"/ax", "/bx"}, []string{"/cx"}},
		{"/{a,b}/c", []string{"/a/c", "/b/c"}, []string{"/c/c"}},
		{"/", []string{"/"}, []string{"/a"}},
	} {
		g, err := CompileGlobs([]string{"/never", test.pattern, "/nor/*/this"})
		if err != nil {
			t.Fatal(err)
		}
		for want, paths := range map[bool][]string{true: test.matches, false: test.not} {
			for _, raw := range paths {
				readings, err := Readings(raw)
				if err != nil {
					t.Fatalf("%q: %v", raw, err)
				}
				p, _ := Read(raw)
				if got := g.matchEvery(readings); got != want || g.MatchPath(p) != want {
					t.Errorf("%q matches %q (%q): %v; want %v", test.pattern, raw, readings, got, want)
				}
			}
		}
	}
}

func TestCompileGlobsRefusesABadPattern(t *testing.T) {
	t.Parallel()
	for _, pattern := range []string{"/a[", "/{a", `/a\`, "/[]x", "/a/[b-"} {
		if _, err := CompileGlobs([]string{"/fine", pattern}); err == nil || !strings.Contains(err.Error(), pattern[:2]) {
			t.Errorf("%q: %v", pattern, err)
		}
	}
}

func TestNoGlobsMatchNothing(t *testing.T) {
	t.Parallel()
	var none *Globs
	if empty, err := CompileGlobs(nil); err != nil || empty.matchEvery([]string{"/"}) || none.matchEvery([]string{"/"}) || empty.MatchPath(Path{}) {
		t.Error("a missing list matched")
	}
	if g, _ := CompileGlobs([]string{"/**"}); g.matchEvery(nil) {
		t.Error("no reading at all was matched")
	}
}

// Whatever way an app reads a path, it is ignored only if the result of that way is: property over random sequences of steps.
func TestIgnoredMeansEveryWayIsIgnored(t *testing.T) {
	t.Parallel()
	g, err := CompileGlobs([]string{"/public/**", "/favicon.ico"})
	if err != nil {
		t.Fatal(err)
	}
	piece := rapid.SampledFrom([]string{
		"/", "/public", "/admin", "..", ".", "%2e", "%2F", "%5c", `\`, ";", "%3B", "%25", "2e", "2f", "a", "%c0%af", "//", "favicon.ico", "%20",
	})
	rapid.Check(t, func(t *rapid.T) {
		raw := "/public/" + strings.Join(rapid.SliceOfN(piece, 0, 8).Draw(t, "pieces"), "")
		p, err := Read(raw)
		if err != nil || !g.MatchPath(p) {
			return
		}
		path := decode(raw, rapid.Bool().Draw(t, "keepSlash"))
		for _, i := range rapid.SliceOfN(rapid.IntRange(0, len(steps)-1), 0, 8).Draw(t, "steps") {
			path = steps[i].take(path)
		}
		if !g.match(path) {
			t.Fatalf("%q is ignored, but an app may read %q", raw, path)
		}
	})
}

func BenchmarkMatchPath(b *testing.B) {
	g, err := CompileGlobs([]string{"/favicon.ico", "/robots.txt", "/public/**", "/static/**/*.js", "/internal/*"})
	if err != nil {
		b.Fatal(err)
	}
	p, _ := Read("/api/v1/orders/12345/lines")
	b.ReportAllocs()
	for b.Loop() {
		if g.MatchPath(p) {
			b.Fatal("matched")
		}
	}
}

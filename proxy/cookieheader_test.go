package proxy

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestS23OwnCookiesDoNotReachTheApp(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ lines, want []string }{
		"nothing to do":         {[]string{"a=1; b=2"}, []string{"a=1; b=2"}},
		"nothing, odd spelling": {[]string{"a=1;;b = 2 ;\tc;=d; "}, []string{"a=1;;b = 2 ;\tc;=d; "}},
		"first":                 {[]string{"own.s=x; a=1; b=2"}, []string{"a=1; b=2"}},
		"middle":                {[]string{"a=1; own.s=x; b=2"}, []string{"a=1; b=2"}},
		"last":                  {[]string{"a=1; own.s=x"}, []string{"a=1"}},
		"alone":                 {[]string{"own.s=x"}, nil},
		"alone, semicolon":      {[]string{" own.s=x ; "}, nil},
		"several":               {[]string{"own.s=x; a=1; own.l=y; own.s=z; b=2"}, []string{"a=1; b=2"}},
		"several lines":         {[]string{"own.s=x", "a=1", "b=2; own.l=y"}, []string{"a=1", "b=2"}},
		"no space":              {[]string{"a=1;own.s=x;b=2"}, []string{"a=1;b=2"}},
		"tabs and spaces":       {[]string{"a=1;\t own.s\t= x;b=2"}, []string{"a=1;b=2"}},
		"quoted value":          {[]string{`own.s="x y"; a="1"`}, []string{`a="1"`}},
		"quoted name":           {[]string{`"own.s"=x; a=1`}, []string{"a=1"}},
		"behind an open quote":  {[]string{`a="; own.s=x; b="`}, []string{`a="; b="`}},
		"no equals sign":        {[]string{"own.s; a=1"}, []string{"a=1"}},
		"empty value":           {[]string{"own.s=; a=1"}, []string{"a=1"}},
		"equals in the value":   {[]string{"a=own.s=x; b==; own.s=a=b"}, []string{"a=own.s=x; b=="}},
		"rest is byte for byte": {[]string{"a=\x80%;  b= c ;;own.s=x;;d"}, []string{"a=\x80%;  b= c ;;;d"}},
		"empty pieces":          {[]string{";;own.s=x;;"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := http.Header{"Cookie": slices.Clone(test.lines)}
			stripOwnCookies(h, ownForTest)
			if diff := cmp.Diff(test.want, h["Cookie"]); diff != "" {
				t.Error(diff)
			}
			if _, there := h["Cookie"]; there != (test.want != nil) {
				t.Errorf("header is there: %v", there)
			}
		})
	}
}

func TestS23FindCookie(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		lines    []string
		value    string
		conflict bool
	}{
		"none":                    {nil, "", false},
		"other names":             {[]string{"own.ss=1; xown.s=2; OWN.S=3; a=own.s=4"}, "", false},
		"one":                     {[]string{"a=1; own.s=v; b=2"}, "v", false},
		"with space":              {[]string{" own.s = v "}, "v", false},
		"equals in the value":     {[]string{"own.s=a=b"}, "a=b", false},
		"the same twice":          {[]string{"own.s=v; own.s=v", "own.s=v"}, "v", false},
		"two values":              {[]string{"own.s=v; own.s=w"}, "", true},
		"two lines":               {[]string{"own.s=v", "own.s=w"}, "", true},
		"empty first":             {[]string{"own.s=; own.s=w"}, "", true},
		"no equals sign is none":  {[]string{"own.s; own.s=w"}, "w", false},
		"a tossed one goes first": {[]string{"own.s=evil; a=1; own.s=mine"}, "", true},
	} {
		if value, conflict := findCookie(http.Header{"Cookie": test.lines}, "own.s"); value != test.value || conflict != test.conflict {
			t.Errorf("%s: %q, %v", name, value, conflict)
		}
	}
}

func TestCountCookies(t *testing.T) {
	t.Parallel()
	for want, lines := range map[int][]string{0: {"", " ; ;"}, 3: {"a=1; b", "c=2;"}, 200: {strings.Repeat("a=1;", 150), strings.Repeat("b;", 50)}} {
		if got := countCookies(http.Header{"Cookie": lines}); got != want {
			t.Errorf("%d; want %d", got, want)
		}
	}
}

func TestS23TheAppCannotSetOwnCookies(t *testing.T) {
	t.Parallel()
	h := http.Header{"Set-Cookie": {
		"own.s=evil; Path=/", "a=1; Path=/; HttpOnly", " own.s =x", "own.s", "=own.s=x", "own.l=; Max-Age=0", `"own.s"=x`, "b=own.s=x", "\town.s=1", "=c",
	}}
	dropOwnSetCookies(h, ownForTest)
	if diff := cmp.Diff([]string{"a=1; Path=/; HttpOnly", "b=own.s=x", "=c"}, h["Set-Cookie"]); diff != "" {
		t.Error(diff)
	}
	h = http.Header{"Set-Cookie": {"own.s=1"}}
	if dropOwnSetCookies(h, ownForTest); len(h) != 0 {
		t.Error(h)
	}
}

// FuzzStripOwnCookies holds the result against two lenient parsers and the foreign pieces against the original.
func FuzzStripOwnCookies(f *testing.F) {
	for _, seed := range []string{
		"a=1; own.s=x; b=2", `a="; own.s=x"`, "own.s", ";;own.s=;\t", ` "own.s" = 1`, "own.s\t=1;a", "=own.s", "a=\x00; own.s=\xff",
	} {
		f.Add(seed, seed)
	}
	f.Fuzz(func(t *testing.T, one, two string) {
		foreign := func(lines []string) (pieces []string) {
			for _, line := range lines {
				for piece := range strings.SplitSeq(line, ";") {
					if !ownForTest(cookieName(piece)) && strings.Trim(piece, cookieSpace) != "" {
						pieces = append(pieces, strings.Trim(piece, cookieSpace))
					}
				}
			}
			return pieces
		}
		h := http.Header{"Cookie": {one, two}}
		before := foreign(h["Cookie"])
		untouched := !hasOwn(one, ownForTest)
		stripOwnCookies(h, ownForTest)
		if untouched && one != "" && h["Cookie"][0] != one {
			t.Fatalf("%q became %q", one, h["Cookie"][0])
		}
		if diff := cmp.Diff(before, foreign(h["Cookie"])); diff != "" {
			t.Fatal(diff)
		}
		for _, line := range h["Cookie"] {
			for piece := range strings.SplitSeq(line, ";") {
				name, _, _ := strings.Cut(piece, "=")
				if ownForTest(strings.TrimSpace(name)) || ownForTest(strings.Trim(strings.TrimSpace(name), `"`)) {
					t.Fatalf("%q still holds an own name", line)
				}
			}
		}
		for _, cookie := range (&http.Request{Header: h}).Cookies() {
			if ownForTest(cookie.Name) {
				t.Fatalf("net/http reads %q", cookie.Name)
			}
		}
		if value, conflict := findCookie(h, "own.s"); value != "" || conflict {
			t.Fatalf("found %q, %v", value, conflict)
		}
	})
}

func TestCookieWorkWithoutOwnAllocatesNothing(t *testing.T) {
	h := http.Header{"Cookie": {"a=1; b=2; theme=dark", "c=3"}}
	if n := testing.AllocsPerRun(100, func() {
		stripOwnCookies(h, ownForTest)
		findCookie(h, "own.s")
		countCookies(h)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkStripOwnCookies(b *testing.B) {
	lines := []string{"a=1; own.session=" + strings.Repeat("x", 180) + "; theme=dark; consent=yes"}
	b.ReportAllocs()
	for b.Loop() {
		h := http.Header{"Cookie": {lines[0]}}
		stripOwnCookies(h, ownForTest)
	}
}

func ownForTest(name string) bool { return strings.HasPrefix(name, "own.") }

func TestS55OnlyTheAppMayLetCachesKeepItsAnswer(t *testing.T) {
	t.Parallel()
	for want, said := range map[string]http.Header{"private": {}, "max-age=60": {"Cache-Control": {"max-age=60"}}} {
		if keepPrivate(said); said.Get("Cache-Control") != want {
			t.Errorf("%q; want %q", said.Get("Cache-Control"), want)
		}
	}
}

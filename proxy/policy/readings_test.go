package policy

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestOneReading(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		"/":                               "/",
		"*":                               "*",
		"/a/b/c.js":                       "/a/b/c.js",
		"/a/":                             "/a/",
		"/.well-known/x":                  "/.well-known/x",
		"/a/..b/.c/d..":                   "/a/..b/.c/d..",
		"/a%20b":                          "/a b",
		"/%C3%B8re":                       "/øre",
		"/ø":                              "/ø",
		"/100%25":                         "/100%",
		"/p%75blic":                       "/public",
		"/%E0%A4%85":                      "/अ",
		"/" + strings.Repeat("a", 60000):  "/" + strings.Repeat("a", 60000),
		"/" + strings.Repeat("%20", 9999): "/" + strings.Repeat(" ", 9999),
	} {
		got, err := Readings(raw)
		if err != nil || !slices.Equal(got, []string{want}) {
			t.Errorf("%.40q: %.80q, %v; want only %.40q", raw, got, err, want)
		}
	}
}

func TestReadingsThatDiffer(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string][]string{
		"/a%23b":      {"/a#b", "/a"},
		"/a%3Fb":      {"/a?b", "/a"},
		"/a/..%20/b":  {"/a/.. /b", "/a/../b", "/b"},
		"/a/.%20%20":  {"/a/.  ", "/a/.", "/a/"},
		"/a%2Fb":      {"/a/b", "/a%2Fb"},
		"/a%2fb":      {"/a/b", "/a%2Fb"},
		"/a/../b":     {"/a/../b", "/b"},
		"/a/./b":      {"/a/./b", "/a/b"},
		"/a//b":       {"/a//b", "/a/b"},
		"/a%5Cb":      {`/a\b`, "/a/b"},
		"/a;v=1/b":    {"/a;v=1/b", "/a/b"},
		"/a%3Bv/b":    {"/a;v/b", "/a/b"},
		"/%2561":      {"/%61", "/a"},
		"/..;/admin":  {"/..;/admin", "/../admin", "/admin"},
		"//x/admin":   {"//x/admin", "/x/admin", "/admin"},
		`/\x/admin`:   {`/\x/admin`, "//x/admin", "/x/admin", "/admin"},
		"/a/..":       {"/a/..", "/"},
		"/%C0%AFx":    {"/\xC0\xAFx", "//x", "/x", "/"},
		"/a%25%2e/b":  {"/a%./b"},
		"/x/%2e%2e/b": {"/x/../b", "/b"},
	} {
		got, err := Readings(raw)
		if err != nil {
			t.Errorf("%q: %v", raw, err)
			continue
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%q: %q; want %q", raw, got, want)
		}
		if (len(got) > 1) != (len(want) > 1) {
			t.Errorf("%q: %d readings", raw, len(got))
		}
	}
}

// TestS11UnreadablePath… and contract 4.1, step 1.
func TestS11UnreadablePathIsAnError(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]error{
		"/a%":                                   ErrEscape,
		"/a%2":                                  ErrEscape,
		"/a%zz":                                 ErrEscape,
		"/a%u002e":                              ErrEscape,
		"/a%00":                                 ErrControl,
		"/a\x00":                                ErrControl,
		"/a%0a":                                 ErrControl,
		"/a%7f":                                 ErrControl,
		"/a%2500":                               ErrControl,
		"/a%25250a":                             ErrControl,
		"/a%C0%80":                              ErrControl,
		"/%25252561":                            ErrUnstable,
		"/" + strings.Repeat("a//", 20000):      ErrTooOdd,
		"/" + strings.Repeat(`%2f..;x\./`, 400): ErrTooOdd,
	} {
		if _, err := Readings(raw); !errors.Is(err, want) {
			t.Errorf("%.30q: %v; want %v", raw, err, want)
		}
	}
	if got, err := Readings("/" + strings.Repeat("a//", 400)); err != nil || len(got) != 2 {
		t.Errorf("a long path with few peculiarities: %d readings, %v", len(got), err)
	}
	if _, err := Readings("/%252561"); err != nil {
		t.Errorf("three decodings are allowed: %v", err)
	}
}

func TestReadAgreesWithReadings(t *testing.T) {
	t.Parallel()
	for _, raw := range append(traversals("/admin/x"), "/", "/a b", "/a%20b") {
		p, err := Read(raw)
		if err != nil {
			t.Fatalf("%q: %v", raw, err)
		}
		all, _ := Readings(raw)
		for i, want := range all {
			if p.At(i) != want {
				t.Errorf("%q: At(%d) is %q; want %q", raw, i, p.At(i), want)
			}
		}
		if p.Len() != len(all) || p.Ambiguous() != (len(all) > 1) {
			t.Errorf("%q: Len %d, Ambiguous %v; want %d", raw, p.Len(), p.Ambiguous(), len(all))
		}
	}
}

func FuzzRead(f *testing.F) {
	for _, raw := range append(traversals("/admin/x"), "/a%2Fb;c\\..//d%252e", "/%C0%AF%E0%80%AE", "/a%25zz%", "/%2525252e") {
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		p, err := Read(raw)
		if err != nil {
			return
		}
		if p.Len() > maxReadings {
			t.Fatalf("%d readings", p.Len())
		}
		all := map[string]bool{}
		for i := range p.Len() {
			reading := p.At(i)
			if hasControl(reading) {
				t.Fatalf("reading %q has a control character", reading)
			}
			if all[reading] {
				t.Fatalf("reading %q twice", reading)
			}
			all[reading] = true
		}
		if decoded := decode(raw, false); p.At(0) != decoded {
			t.Fatalf("the first reading is %q; want %q", p.At(0), decoded)
		}
		// Closed: whatever an app does to one of the readings is a reading again.
		for reading := range all {
			for i, step := range steps {
				if to := step.take(reading); !all[to] && p.Ambiguous() {
					t.Fatalf("step %d makes %q of %q, which is no reading", i, to, reading)
				}
			}
		}
	})
}

func BenchmarkRead(b *testing.B) {
	for name, raw := range map[string]string{
		"hostile": "/" + strings.Repeat(`%2f..;x\./`, 400), "plain": "/api/v1/orders/12345/lines", "escaped": "/api/v1/s%C3%B8k/12345", "traversal": "/public/..%2Fadmin;v=1",
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Read(raw); err != nil && name != "hostile" {
					b.Fatal(err)
				}
			}
		})
	}
}

package policy

import (
	"strings"
	"testing"
)

// Short lists are scanned and long ones looked up: they must agree.
func TestGroupsOverlap(t *testing.T) {
	t.Parallel()
	long := append(manyGroups(50), adminGroup, "Staff")
	for name, list := range map[string][]string{"short": {adminGroup, "Staff"}, "long": long} {
		g := newGroups(list)
		for _, test := range []struct {
			caller        string
			exact, folded bool
		}{
			{adminGroup, true, true},
			{strings.ToUpper(adminGroup), false, true},
			{"Staff", true, true},
			{"staff", false, true},
			{"", false, false},
			{staffGroup, false, false},
			{strings.Repeat("X", 100), false, false},
			{adminGroup[:35], false, false},
		} {
			callers := append(manyGroups(60)[50:], test.caller)
			if g.overlap(callers, false) != test.exact || g.overlap(callers, true) != test.folded {
				t.Errorf("%s list, %q: exactly %v, folded %v", name, test.caller, g.overlap(callers, false), g.overlap(callers, true))
			}
		}
		if g.overlap(nil, true) {
			t.Errorf("%s list: no groups are in it", name)
		}
	}
	if none := newGroups(nil); none.overlap([]string{""}, true) {
		t.Error("nothing is in no list")
	}
}

func TestQuoteAllIsBounded(t *testing.T) {
	t.Parallel()
	if got := quoteAll(manyGroups(200)); len(got) > 1000 || !strings.HasSuffix(got, ", 180 more") {
		t.Errorf("%q", got)
	}
}

func TestTrimHollow(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{
		"/": "/", "/a": "/a", "/a.": "/a.", "/a/.": "/a", "/a/ ": "/a", "/a/. ./": "/a", "/a.b/...": "/a.b", "/a. /": "/a. ", "/ ": "/", "/./": "/", "*": "*", "": "", "//": "/", ".": ".",
	} {
		if got := trimHollow(path); got != want {
			t.Errorf("%q: %q; want %q", path, got, want)
		}
	}
}

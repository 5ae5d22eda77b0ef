package oidc

import (
	"strings"
	"testing"
)

// A set finds the twins that a comparison of every two names finds.
func FuzzTwins(f *testing.F) {
	sets := []*nameSet{decidedNames, headerNames, newNameSet("groups", "Groups", "grp"), newNameSet("\u212aey", "gruppe\u00e5"), newNameSet()}
	for _, seed := range []string{"sub", "SUB", "\u017fub", "ki\u0064", "\u212aid", "\u212aEY", "key", "Groups", "GROUPS", "GRUPPE\u00c5", "", "navIdent", "\xff"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		for _, set := range sets {
			want := false
			for _, one := range set.names {
				want = want || name != one && strings.EqualFold(name, one)
			}
			if got := set.twinOf(name); want != (got != "") || want && !strings.EqualFold(got, name) {
				t.Errorf("%q in %q: %q", name, set.names, got)
			}
		}
	})
}

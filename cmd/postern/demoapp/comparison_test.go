package demoapp

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestClaimsAreComparedWithThoseThatTheAppReceived(t *testing.T) {
	t.Parallel()
	received := []claim{{Name: "aud", Value: "web"}, {Name: "oid", Value: "o"}, {Name: "only-here", Value: "1"}, {Name: "sub", Value: "s-1"}}
	exchanged := []claim{{Name: "aud", Value: "api"}, {Name: "oid", Value: "o"}, {Name: "only-there", Value: ""}, {Name: "sub", Value: "s-2"}}
	other := []claim{{Name: "aud", Value: "api"}, {Name: "oid", Value: "somebody else"}, {Name: "only-there", Value: ""}, {Name: "sub", Value: "s-1"}}
	for name, c := range map[string]struct {
		egress     []claim
		same, seen bool
		want       map[string]string // c changed, = not, of each token after the first
	}{
		"the same token twice": {exchanged, true, true, map[string]string{"aud": "cc", "oid": "==", "sub": "cc", "only-here": "cc", "only-there": "cc"}},
		"two tokens":           {other, false, true, map[string]string{"aud": "cc", "oid": "=c", "sub": "c=", "only-here": "cc", "only-there": "cc"}},
		"one was not seen":     {nil, false, false, map[string]string{"aud": "c=", "oid": "==", "sub": "c=", "only-here": "c=", "only-there": "c="}},
	} {
		got := compare(received, exchanged, c.egress)
		if got.Same != c.same || got.Seen != c.seen || len(got.Main) != 3 || len(got.Others) != 2 {
			t.Errorf("%s: %+v", name, got)
		}
		marks := map[string]string{}
		for _, line := range append(got.Main, got.Others...) {
			for _, cell := range line.Cells[1:] {
				marks[line.Name] += map[bool]string{true: "c", false: "="}[cell.Changed]
			}
			if line.Changed != (marks[line.Name] != "==") || line.Cells[0].Changed {
				t.Errorf("%s: %s: %+v", name, line.Name, line)
			}
		}
		if diff := cmp.Diff(c.want, marks); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// A sentence about a claim is only there if it is true of these tokens.
func TestChangesInWords(t *testing.T) {
	t.Parallel()
	for name, changes := range map[string]bool{"aud": true, "scp": true, "sub": true, "azp": false, "oid": false} {
		if changeInWords(name, changes) == changeInWords(name, !changes) {
			t.Errorf("%s: the same is said whether it changed or not", name)
		}
	}
	if changeInWords("tid", true) != claimInWords("tid") {
		t.Error("tid has no story of its own")
	}
}

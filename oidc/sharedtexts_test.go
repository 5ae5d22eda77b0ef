package oidc

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What callers have in common is there once, whoever has it.
func TestCallersShareTheirTexts(t *testing.T) {
	t.Parallel()
	i := newIssuance(t, "entra user")
	one := i.wantRemembered(i.mint(map[string]any{"roles": []string{"a", "b"}, "scp": "defaultaccess", "NAVident": "Z990001"})).Caller()
	two := i.wantRemembered(i.mint(map[string]any{"roles": []string{"a", "b"}, "scp": "defaultaccess", "NAVident": "Z990002"})).Caller()
	if &one.Roles[0] != &two.Roles[0] || &one.Scopes[0] != &two.Scopes[0] || &one.Audience[0] != &two.Audience[0] {
		t.Error("they have texts of their own")
	}
	if one.User == two.User {
		t.Error("they are one person")
	}
}

// Sharing changes nothing: a list is another's only if it is the same, in the same order.
func TestSharingKeepsEveryText(t *testing.T) {
	t.Parallel()
	var shared sharedTexts
	lists := [][]string{nil, {}, {"a"}, {"a", "b"}, {"b", "a"}, {"a"}, {"ab"}, {"a", "b"}, {"a", "b", ""}, nil, {"A"}}
	for round := range 2 {
		for n, list := range lists {
			want := Caller{ClientID: strings.Join(list, " "), Client: "c", Roles: list, Scopes: lists[len(lists)-1-n], Audience: list, Groups: list, User: "u"}
			got := want
			shared.share(&got)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("round %d, list %d (-want +got):\n%s", round, n, diff)
			}
		}
	}
}

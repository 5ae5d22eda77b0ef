package policy

import (
	"slices"
	"strconv"
	"strings"
)

// names is a list of names that the policy gives. Lists are short where callers have many, so that a scan costs less than an index.
type names []string

func (n names) has(name string) bool { return slices.Contains(n, name) }

// hasFolded compares without regard to ASCII case.
func (n names) hasFolded(name string) bool {
	for _, have := range n {
		if equalFolded(have, name) {
			return true
		}
	}
	return false
}

// groups is a list of groups. Callers may have 200 of them: a short list is scanned for each, a long one has an index.
type groups struct {
	names
	exact, folded map[string]struct{} // nil for a short list
}

const shortList = 8

func newGroups(list []string) groups {
	g := groups{names: list}
	if len(list) <= shortList {
		return g
	}
	g.exact, g.folded = map[string]struct{}{}, map[string]struct{}{}
	for _, name := range list {
		g.exact[name], g.folded[lower(name)] = struct{}{}, struct{}{}
	}
	return g
}

// overlap says whether the caller is in one of the groups. GUIDs of Entra ID are compared without regard to case, so folded.
func (g *groups) overlap(callers []string, folded bool) bool {
	if g.exact != nil {
		return slices.ContainsFunc(callers, func(name string) bool { return g.indexed(name, folded) })
	}
	for _, name := range g.names {
		for _, is := range callers {
			if !folded && is == name || folded && equalFolded(is, name) {
				return true
			}
		}
	}
	return false
}

func (g *groups) indexed(name string, folded bool) bool {
	var ok bool
	switch {
	case folded && hasUpper(name):
		var buffer [64]byte
		_, ok = g.folded[string(appendLower(buffer[:0], name))]
	case folded:
		_, ok = g.folded[name]
	default:
		_, ok = g.exact[name]
	}
	return ok
}

// equalFolded looks at the last byte first, in which ids differ also if they were made one after the other.
func equalFolded(a, b string) bool {
	n := len(a)
	if n != len(b) || n > 0 && (a[n-1]^b[n-1])&^0x20 != 0 {
		return false
	}
	return equalLetters(a, b)
}

func equalLetters(a, b string) bool {
	for i := range len(a) {
		if lowerByte(a[i]) != lowerByte(b[i]) {
			return false
		}
	}
	return true
}

// quoteAll is a list for people: `"a", "b"`, or "nothing".
func quoteAll[L ~[]string](list L) string {
	if len(list) == 0 {
		return "nothing"
	}
	quoted := make([]string, 0, len(list))
	for i, s := range list {
		if i == 20 {
			quoted = append(quoted, strconv.Itoa(len(list)-i)+" more")
			break
		}
		quoted = append(quoted, strconv.Quote(s))
	}
	return strings.Join(quoted, ", ")
}

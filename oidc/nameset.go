package oidc

import (
	"slices"
	"strings"
)

// nameSet is a set of names of which none may have a twin: the same name but for upper and lower case. It is made once and only read.
type nameSet struct {
	names []string
	lower map[string][]string // names by their lower case; nil if one is not ASCII
}

func newNameSet(names ...string) *nameSet {
	s := &nameSet{names: names}
	if slices.ContainsFunc(names, func(name string) bool { return !isASCII(name) }) {
		return s
	}
	s.lower = make(map[string][]string, len(names))
	for _, name := range names {
		folded := strings.ToLower(name)
		s.lower[folded] = append(s.lower[folded], name)
	}
	return s
}

// twinOf is a name of the set that is name in other letters, or "". It folds as encoding/json does, which takes U+017F for s.
func (s *nameSet) twinOf(name string) string {
	candidates := s.names
	if s.lower != nil && isASCII(name) {
		candidates = s.lower[strings.ToLower(name)]
	}
	for _, one := range candidates {
		if name != one && strings.EqualFold(name, one) {
			return one
		}
	}
	return ""
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

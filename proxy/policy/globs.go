package policy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/bmatcuk/doublestar/v4"
)

// Globs are path patterns with the meaning that they have in wonderwall: "*" within a segment, "**" over any depth including none, "?",
// "[class]" and "{a,b}", case-sensitive, one trailing slash trimmed from pattern and path alike. The nil *Globs matches nothing.
type Globs struct {
	literals map[string]struct{}
	patterns []string
}

// CompileGlobs checks and prepares patterns. A pattern that does not parse is an error that names it.
func CompileGlobs(patterns []string) (*Globs, error) {
	g := &Globs{literals: map[string]struct{}{}}
	for _, pattern := range patterns {
		if !doublestar.ValidatePattern(pattern) {
			return nil, fmt.Errorf("read glob %q: %w", pattern, doublestar.ErrBadPattern)
		}
		pattern = trimSlash(pattern)
		if strings.ContainsAny(pattern, `*?[{\`) {
			g.patterns = append(g.patterns, pattern)
		} else {
			g.literals[pattern] = struct{}{}
		}
	}
	return g, nil
}

// matchEvery says whether each of the readings is matched by some pattern. It is false for no readings at all.
func (g *Globs) matchEvery(readings []string) bool {
	for _, reading := range readings {
		if !g.match(reading) {
			return false
		}
	}
	return len(readings) > 0
}

// MatchPath is [Globs.matchEvery] for the readings of p.
func (g *Globs) MatchPath(p Path) bool {
	return g.match(p.first) && (len(p.rest) == 0 || g.matchEvery(p.rest))
}

// MatchAnyReading is for what must not be missed: one reading suffices.
func (g *Globs) MatchAnyReading(p Path) bool {
	return g.match(p.first) || slices.ContainsFunc(p.rest, g.match)
}

func (g *Globs) match(path string) bool {
	if g == nil {
		return false
	}
	path = trimSlash(path)
	if _, ok := g.literals[path]; ok {
		return true
	}
	for _, pattern := range g.patterns {
		if doublestar.MatchUnvalidated(pattern, path) {
			return true
		}
	}
	return false
}

// trimSlash trims one trailing slash; the root stays.
func trimSlash(path string) string {
	if len(path) > 1 && path[len(path)-1] == '/' {
		return path[:len(path)-1]
	}
	return path
}

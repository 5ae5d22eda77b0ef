package policy

import (
	"errors"
	"strings"

	"github.com/bmatcuk/doublestar/v4"
)

// maxAlternatives bounds what the braces of one pattern may expand to.
const maxAlternatives = 256

var (
	errTooManyAlternatives = errors.New("its braces stand for more than 256 patterns")
	errNoLeadingSlash      = errors.New("it does not begin with a slash, so that no path matches it")
	errSlashInClass        = errors.New("it has a slash within brackets, but a class stands for one character of a segment")
)

// expand reads one pattern as the list of those without braces that it stands for, each with at most one trailing slash trimmed.
func expand(pattern string) ([]string, error) {
	if !doublestar.ValidatePattern(pattern) {
		return nil, doublestar.ErrBadPattern
	}
	done, err := expandBraces(nil, "", pattern)
	if err != nil {
		return nil, err
	}
	for i, p := range done {
		if p == "**" || strings.HasPrefix(p, "**/") {
			p = "/" + p // any depth, which includes the empty text before the first slash
		}
		if !strings.HasPrefix(p, "/") {
			return nil, errNoLeadingSlash
		}
		done[i] = trimSlash(p)
	}
	return done, nil
}

// expandBraces appends what before+rest stands for. The text before has no braces left.
func expandBraces(done []string, before, rest string) ([]string, error) {
	open := indexSyntax(rest, "{")
	if open < 0 {
		if len(done) == maxAlternatives {
			return nil, errTooManyAlternatives
		}
		return append(done, before+rest), nil
	}
	before, rest = before+rest[:open], rest[open+1:]
	var alternatives []string
	for depth, from, i := 1, 0, 0; depth > 0; i++ {
		at := indexSyntax(rest[i:], "{},")
		if at < 0 {
			return nil, doublestar.ErrBadPattern
		}
		i += at
		switch {
		case rest[i] == '{':
			depth++
		case rest[i] == '}':
			depth--
		}
		if depth == 0 || depth == 1 && rest[i] == ',' {
			alternatives = append(alternatives, rest[from:i])
			from = i + 1
		}
		if depth == 0 {
			rest = rest[from:]
		}
	}
	for _, alternative := range alternatives {
		var err error
		if done, err = expandBraces(done, before, alternative+rest); err != nil {
			return nil, err
		}
	}
	return done, nil
}

// indexSyntax is where the first of chars stands that is neither escaped nor in a class, or -1.
func indexSyntax(pattern, chars string) int {
	inClass := false
	for i := 0; i < len(pattern); i++ {
		switch c := pattern[i]; {
		case c == '\\':
			i++
		case inClass:
			inClass = c != ']'
		case c == '[':
			inClass = true
		case strings.IndexByte(chars, c) >= 0:
			return i
		}
	}
	return -1
}

// The ranks of what a segment of a pattern can be, in the order of the alphabet so that texts of them compare as patterns do.
const (
	rankDeep    = 'a' // "**"
	rankEnd     = 'b' // the pattern has ended
	rankWild    = 'c'
	rankLiteral = 'd'
)

// parsePattern reads a pattern without braces.
func parsePattern(p string) (segments []segment, err error) {
	for rest, more := p[1:], true; more; {
		text := rest
		slash := indexSyntax(rest, "/")
		if more = slash >= 0; more {
			text, rest = rest[:slash], rest[slash+1:]
		}
		s, err := parseSegment(text)
		if err != nil {
			return nil, err
		}
		if n := len(segments); s.rank == rankDeep && n > 0 && segments[n-1].rank == rankDeep {
			continue // "**/**" is "**"
		}
		segments = append(segments, s)
	}
	return segments, nil
}

// rankOf says how specific a pattern is: of two that match one path, the one with the greater text decides.
func rankOf(segments []segment) string {
	var ranks []byte
	for _, s := range segments {
		ranks = append(ranks, s.rank)
	}
	return string(append(ranks, rankEnd))
}

// literally escapes what would mean something in a pattern.
var literally = strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`, "{", `\{`, "}", `\}`)

// spell writes a pattern in one way, so that equal ones are recognised.
func spell(segments []segment) string {
	var b strings.Builder
	for _, s := range segments {
		b.WriteByte('/')
		if s.rank == rankLiteral {
			b.WriteString(literally.Replace(s.text))
		} else {
			b.WriteString(s.text)
		}
	}
	return b.String()
}

// describeRank is a rank for people: "literal, **".
func describeRank(rank string) string {
	var words []string
	for _, r := range rank {
		switch r {
		case rankLiteral:
			words = append(words, "literal")
		case rankWild:
			words = append(words, "wildcard")
		case rankDeep:
			words = append(words, "**")
		}
	}
	return strings.Join(words, ", ")
}

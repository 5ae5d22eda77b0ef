package policy

import (
	"errors"
	"strings"
	"unicode/utf8"
)

var errEscapedSlash = errors.New("it has an escaped slash, but a slash always ends a segment")

// segment is what a pattern says about one segment of a path.
type segment struct {
	rank byte   // rankLiteral, rankWild or rankDeep
	text string // literal: without escapes; else as in the pattern, in one spelling
	glob []token

	// What is compared with paths that are folded (S-11): ASCII in lower case, and trailing dots and spaces dropped.
	foldedText string
	foldedGlob []token // against the segment as it is
	shortGlob  []token // against the segment without its trailing dots and spaces
}

// token is a piece of a wildcard segment.
type token struct {
	kind  tokenKind
	text  string // of tokenText
	class class  // of tokenClass
}

type tokenKind uint8

const (
	tokenText  tokenKind = iota // these characters
	tokenStar                   // any characters
	tokenOne                    // any one character
	tokenClass                  // one character of a class
)

// class is "[a-z]" or "[!a-z]".
type class struct {
	negated bool
	ranges  []runes
}

type runes struct{ from, to rune }

func parseSegment(pattern string) (segment, error) {
	if pattern == "**" {
		return segment{rank: rankDeep, text: "**"}, nil
	}
	var glob []token
	var spelled strings.Builder
	literal := func(s string) {
		if n := len(glob); n > 0 && glob[n-1].kind == tokenText {
			glob[n-1].text += s
		} else {
			glob = append(glob, token{kind: tokenText, text: s})
		}
		spelled.WriteString(literally.Replace(s))
	}
	for i := 0; i < len(pattern); {
		from := i
		switch i++; pattern[from] {
		case '*':
			if n := len(glob); n > 0 && glob[n-1].kind == tokenStar {
				continue // "a**" is "a*"
			}
			glob = append(glob, token{kind: tokenStar})
			spelled.WriteByte('*')
		case '?':
			glob = append(glob, token{kind: tokenOne})
			spelled.WriteByte('?')
		case '[':
			c, rest, err := parseClass(pattern[i:])
			if err != nil {
				return segment{}, err
			}
			i = len(pattern) - len(rest)
			glob = append(glob, token{kind: tokenClass, class: c})
			spelled.WriteString(pattern[from:i])
		case '\\':
			_, n := utf8.DecodeRuneInString(pattern[i:])
			if i += n; pattern[i-n:i] == "/" {
				return segment{}, errEscapedSlash
			}
			literal(pattern[i-n : i])
		default:
			literal(pattern[from:i])
		}
	}
	return newSegment(glob, spelled.String()), nil
}

func newSegment(glob []token, spelled string) segment {
	if len(glob) == 0 || len(glob) == 1 && glob[0].kind == tokenText {
		s := segment{rank: rankLiteral}
		if len(glob) == 1 {
			s.text = glob[0].text
		}
		s.foldedText = lower(trimTail(s.text))
		return s
	}
	s := segment{rank: rankWild, text: spelled, glob: glob}
	for _, t := range glob {
		t.text = lower(t.text)
		s.foldedGlob = append(s.foldedGlob, t)
	}
	s.shortGlob = append(s.shortGlob, s.foldedGlob...)
	for n := len(s.shortGlob); n > 0 && s.shortGlob[n-1].kind == tokenText; n-- {
		if s.shortGlob[n-1].text = trimTail(s.shortGlob[n-1].text); s.shortGlob[n-1].text != "" {
			break
		}
		s.shortGlob = s.shortGlob[:n-1]
	}
	return s
}

// parseClass reads what stands after the opening bracket. That it is closed has been validated.
func parseClass(pattern string) (c class, rest string, err error) {
	if c.negated = pattern[0] == '!' || pattern[0] == '^'; c.negated {
		pattern = pattern[1:]
	}
	next := func() rune {
		pattern = strings.TrimPrefix(pattern, `\`)
		r, n := utf8.DecodeRuneInString(pattern)
		pattern = pattern[n:]
		if r == '/' {
			err = errSlashInClass
		}
		return r
	}
	for pattern != "" && pattern[0] != ']' {
		span := runes{from: next()}
		if span.to = span.from; len(pattern) > 1 && pattern[0] == '-' && pattern[1] != ']' {
			pattern = pattern[1:]
			span.to = next()
		}
		c.ranges = append(c.ranges, span)
	}
	return c, strings.TrimPrefix(pattern, "]"), err
}

func (c class) has(r rune) bool {
	for _, span := range c.ranges {
		if span.from <= r && r <= span.to {
			return !c.negated
		}
	}
	return c.negated
}

// hasFolded says whether the class has the character in some case.
func (c class) hasFolded(r rune) bool {
	switch {
	case 'a' <= r && r <= 'z':
		return c.has(r) || c.has(r-'a'+'A')
	case 'A' <= r && r <= 'Z':
		return c.has(r) || c.has(r-'A'+'a')
	}
	return c.has(r)
}

// matches says whether a wildcard segment matches a segment of a path exactly.
func (s *segment) matches(name string) bool { return match(s.glob, name, false) }

// matchesFolded says whether it matches without regard to case and to dots and spaces at the end (S-11). All that it matches exactly is
// matched.
func (s *segment) matchesFolded(name, trimmed string) bool {
	return match(s.shortGlob, trimmed, true) || len(name) > len(trimmed) && match(s.foldedGlob, name, true)
}

// match goes back to the last star only: of two stars the first may always take as little as it can. So it takes at most
// len(glob)*len(name) steps.
func match(glob []token, name string, folded bool) bool {
	at, i := 0, 0
	starAt, starI := -1, 0
	for {
		if at == len(glob) {
			if i == len(name) {
				return true
			}
		} else if t := &glob[at]; t.kind == tokenStar {
			at++
			if at == len(glob) {
				return true
			}
			starAt, starI = at, i
			continue
		} else if n := t.take(name[i:], folded); n >= 0 {
			at, i = at+1, i+n
			continue
		}
		if starAt < 0 || starI == len(name) {
			return false
		}
		_, n := utf8.DecodeRuneInString(name[starI:])
		starI += n
		at, i = starAt, starI
	}
}

// take is how many bytes of s the token matches, or -1.
func (t *token) take(s string, folded bool) int {
	if t.kind == tokenText {
		if len(s) < len(t.text) {
			return -1
		}
		for i := range len(t.text) {
			if c := s[i]; c != t.text[i] && (!folded || lowerByte(c) != t.text[i]) {
				return -1
			}
		}
		return len(t.text)
	}
	if s == "" {
		return -1
	}
	r, n := utf8.DecodeRuneInString(s)
	if t.kind == tokenClass && !t.class.has(r) && (!folded || !t.class.hasFolded(r)) {
		return -1
	}
	return n
}

// trimTail drops the trailing dots and spaces that some file systems and servers do not see.
func trimTail(segment string) string {
	for n := len(segment); n > 0; n-- {
		if c := segment[n-1]; c != '.' && c != ' ' {
			return segment[:n]
		}
	}
	return ""
}

func lowerByte(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// lower is ASCII only: other letters have cases that apps do not agree about.
func lower(s string) string {
	if !hasUpper(s) {
		return s
	}
	return string(appendLower(nil, s))
}

func hasUpper(s string) bool {
	for i := range len(s) {
		if 'A' <= s[i] && s[i] <= 'Z' {
			return true
		}
	}
	return false
}

func appendLower(to []byte, s string) []byte {
	for i := range len(s) {
		to = append(to, lowerByte(s[i]))
	}
	return to
}

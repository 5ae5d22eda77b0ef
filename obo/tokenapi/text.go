package tokenapi

import (
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// str reads a string; the scanner is at its opening quote. Nearly all have no escape and are parts of the text, uncopied.
func (s *scanner) str() (string, *flaw) {
	rest := s.text[s.at+1:]
	if end := strings.IndexByte(rest, '"'); end >= 0 && isPlain(rest[:end]) {
		s.at += end + 2
		return rest[:end], nil
	}
	return s.longStr()
}

func (s *scanner) longStr() (string, *flaw) {
	var out []byte
	for s.at++; ; {
		switch c := s.peek(); {
		case s.at >= len(s.text):
			return "", s.malformed("EOF while parsing a string")
		case c == '"':
			s.at++
			if !utf8.Valid(out) {
				return "", &flaw{text: "invalid unicode code point", at: s.at}
			}
			return string(out), nil
		case c < 0x20:
			return "", s.malformed(`control character (\u0000-\u001F) found while parsing a string`)
		case c == '\\':
			s.at++
			r, problem := s.escape()
			if problem != nil {
				return "", problem
			}
			out = utf8.AppendRune(out, r)
		default:
			out = append(out, c)
			s.at++
		}
	}
}

// escape reads what follows a backslash. Halves of surrogate pairs are no text (RFC 8259 §8.2).
func (s *scanner) escape() (rune, *flaw) {
	c := s.peek()
	if at := strings.IndexByte(`"\/bfnrt`, c); at >= 0 && c != 0 {
		s.at++
		return rune("\"\\/\b\f\n\r\t"[at]), nil
	}
	if c != 'u' {
		return 0, s.ends("a string", "invalid escape")
	}
	r, problem := s.hex()
	if problem != nil || !utf16.IsSurrogate(r) {
		return r, problem
	}
	if !strings.HasPrefix(s.text[s.at:], `\u`) {
		return 0, s.ends("a string", "lone leading surrogate in hex escape")
	}
	s.at++
	low, problem := s.hex()
	if r = utf16.DecodeRune(r, low); problem == nil && r == utf8.RuneError { // no pair makes U+FFFD
		problem = s.malformed("lone leading surrogate in hex escape")
	}
	return r, problem
}

// hex reads "u" and four digits.
func (s *scanner) hex() (rune, *flaw) {
	var r rune
	s.at++
	for range 4 {
		digit := unhex(s.peek())
		if digit > 15 {
			return 0, s.ends("a string", "invalid escape")
		}
		r = r<<4 | rune(digit)
		s.at++
	}
	return r, nil
}

// isPlain says whether a text is printable ASCII without quotes and backslashes, and so stands for itself in JSON.
func isPlain(s string) bool {
	return strings.IndexByte(s, '"') < 0 && strings.IndexByte(s, '\\') < 0 && isPrintable(s)
}

// isPrintable looks at sixteen bytes at a time: tokens are some thousand long, and are all looked at.
func isPrintable(s string) bool {
	const (
		spaces = 0x2020202020202020
		highs  = 0x8080808080808080
	)
	for ; len(s) >= 16; s = s[16:] {
		x, y := word(s), word(s[8:])
		if (x|(x-spaces)|y|(y-spaces))&highs != 0 { // a byte below a space borrows from its high bit
			return false
		}
	}
	for i := range len(s) {
		if s[i] < ' ' || s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// word is the first eight bytes, of which the compiler makes one load.
func word(s string) uint64 {
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 | uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}

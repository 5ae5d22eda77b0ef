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

// isPlain says whether a text is printable ASCII without quotes and backslashes, and so stands for itself in JSON. It looks at eight bytes at
// a time: tokens are some thousand long.
func isPlain(s string) bool {
	const (
		ones  = 0x0101010101010101
		highs = 0x80 * ones
	)
	for ; len(s) >= 8; s = s[8:] {
		x := uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 | uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
		quote, slash := x^'"'*ones, x^'\\'*ones
		// A byte below n borrows from its high bit in x-n*ones; a byte that is zero after the xor does so for n = 1.
		if (x|(x-0x20*ones)|(quote-ones)&^quote|(slash-ones)&^slash)&highs != 0 {
			return false
		}
	}
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c >= 0x80 || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

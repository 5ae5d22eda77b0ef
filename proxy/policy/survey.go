package policy

import "strings"

// peculiarity is a set of reasons why a path may have more than one reading.
type peculiarity uint8

const (
	escapes  peculiarity = 1 << iota // of ordinary bytes
	slashes                          // "//", "\", or an escaped "/"
	dots                             // a segment "." or ".."
	params                           // ";"
	marks                            // "?" or "#", which only an escape can bring in
	overlong                         // what a lenient UTF-8 decoder takes for ASCII
)

// survey looks once at every byte. The path of nearly every request comes out with nothing.
func survey(path string) (peculiarity, error) {
	var found peculiarity
	for i := 0; i < len(path); i++ {
		switch c := path[i]; {
		case c == '/':
			found |= surveySegment(path[i+1:])
		case c == '%':
			if i+2 >= len(path) || !isHex(path[i+1]) || !isHex(path[i+2]) {
				return 0, ErrEscape
			}
			b := unhex(path[i+1])<<4 | unhex(path[i+2])
			if isControl(b) {
				return 0, ErrControl
			}
			if b == '/' {
				found |= slashes
			}
			found |= escapes
		case c == '\\':
			found |= slashes
		case c == ';':
			found |= params
		case c == '?' || c == '#':
			found |= marks
		case c >= 0xC0 && overlongLen(path[i:]) > 0:
			found |= overlong
		case isControl(c):
			return 0, ErrControl
		}
	}
	return found, nil
}

// surveySegment looks at what follows a slash.
func surveySegment(rest string) peculiarity {
	if rest == "" {
		return 0
	}
	if rest[0] == '/' {
		return slashes
	}
	if rest[0] != '.' {
		return 0
	}
	rest = rest[1:]
	if rest != "" && rest[0] == '.' {
		rest = rest[1:]
	}
	rest = strings.TrimLeft(rest, " ")
	if rest == "" || rest[0] == '/' {
		return dots
	}
	return 0
}

// overlongLen is how many bytes of an overlong UTF-8 sequence for an ASCII character the text begins with, or 0.
func overlongLen(s string) int {
	switch {
	case len(s) >= 2 && (s[0] == 0xC0 || s[0] == 0xC1) && s[1]&0xC0 == 0x80:
		return 2
	case len(s) >= 3 && s[0] == 0xE0 && (s[1] == 0x80 || s[1] == 0x81) && s[2]&0xC0 == 0x80:
		return 3
	}
	return 0
}

func hasControl(path string) bool {
	for i := range len(path) {
		if isControl(path[i]) {
			return true
		}
	}
	return false
}

func isControl(c byte) bool { return c < 0x20 || c == 0x7f }

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'f'
}

func unhex(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c | 0x20 - 'a' + 10
}

package oidc

import (
	"encoding/json"
	"errors"
	"strings"
	"unicode/utf8"
)

// This file walks over JSON text (RFC 8259) and takes exactly what encoding/json takes: a fuzz test holds the two together. Every new token
// and every session from the store is read by it, in one go. Functions named endOf return the index after what begins at an index, or -1 if
// that is not well-formed.

// maxNesting is that of encoding/json.
const maxNesting = 10000

// byteAt is 0 after the end of the text. No well-formed one has such a byte.
func byteAt(text string, at int) byte {
	if at < len(text) {
		return text[at]
	}
	return 0
}

func skipSpace(text string, at int) int {
	for at < len(text) && (text[at] == ' ' || text[at] == '\t' || text[at] == '\n' || text[at] == '\r') {
		at++
	}
	return at
}

// endOfValue is for a value inside of so many objects and lists.
func endOfValue(text string, at, depth int) int {
	switch c := byteAt(text, at); c {
	case '"':
		return endOfString(text, at)
	case '{', '[':
		return endOfCompound(text, at, depth+1, nil)
	case 't':
		return endOfWord(text, at, "true")
	case 'f':
		return endOfWord(text, at, "false")
	case 'n':
		return endOfWord(text, at, "null")
	default:
		return endOfNumber(text, at)
	}
}

// endOfCompound is for an object or a list, which is itself inside of depth-1 others. Unless it is nil, see gets each member, its name
// quoted, or each element, without a name; the value is text[from:to].
func endOfCompound(text string, at, depth int, see func(name string, from, to int)) int {
	if depth > maxNesting {
		return -1
	}
	isObject, closing := text[at] == '{', byte(']')
	if isObject {
		closing = '}'
	}
	if at = skipSpace(text, at+1); byteAt(text, at) == closing {
		return at + 1
	}
	for {
		name := ""
		if isObject {
			if byteAt(text, at) != '"' {
				return -1
			}
			end := endOfString(text, at)
			if end < 0 {
				return -1
			}
			name = text[at:end]
			if at = skipSpace(text, end); byteAt(text, at) != ':' {
				return -1
			}
			at = skipSpace(text, at+1)
		}
		end := endOfValue(text, at, depth)
		if end < 0 {
			return -1
		}
		if see != nil {
			see(name, at, end)
		}
		switch at = skipSpace(text, end); byteAt(text, at) {
		case closing:
			return at + 1
		case ',':
			at = skipSpace(text, at+1)
		default:
			return -1
		}
	}
}

// endOfString is for a text with a quote at at.
func endOfString(text string, at int) int {
	for at++; at < len(text); at++ {
		switch c := text[at]; {
		case c == '"':
			return at + 1
		case c < ' ':
			return -1
		case c == '\\':
			end := endOfEscape(text, at+1)
			if end < 0 {
				return -1
			}
			at = end - 1
		}
	}
	return -1
}

// endOfEscape begins after the backslash.
func endOfEscape(text string, at int) int {
	switch byteAt(text, at) {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return at + 1
	case 'u':
		for n := range 4 {
			if c := byteAt(text, at+1+n); !isDigit(c) && (c|0x20 < 'a' || 'f' < c|0x20) {
				return -1
			}
		}
		return at + 5
	}
	return -1
}

func endOfWord(text string, at int, word string) int {
	if strings.HasPrefix(text[at:], word) {
		return at + len(word)
	}
	return -1
}

// endOfNumber is RFC 8259 §6.
func endOfNumber(text string, at int) int {
	if byteAt(text, at) == '-' {
		at++
	}
	if byteAt(text, at) == '0' {
		at++
	} else if at = endOfDigits(text, at); at < 0 {
		return -1
	}
	if byteAt(text, at) == '.' {
		if at = endOfDigits(text, at+1); at < 0 {
			return -1
		}
	}
	if byteAt(text, at)|0x20 == 'e' {
		at++
		if c := byteAt(text, at); c == '+' || c == '-' {
			at++
		}
		return endOfDigits(text, at)
	}
	return at
}

// endOfDigits wants one digit at least.
func endOfDigits(text string, at int) int {
	start := at
	for isDigit(byteAt(text, at)) {
		at++
	}
	if at == start {
		return -1
	}
	return at
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// unquote decodes a well-formed JSON string, without ceremony where nothing is escaped.
func unquote(quoted string) (string, error) {
	if strings.IndexByte(quoted, '\\') < 0 && utf8.ValidString(quoted) {
		return quoted[1 : len(quoted)-1], nil
	}
	var text string
	err := json.Unmarshal([]byte(quoted), &text)
	return text, err
}

var errNoTexts = errors.New("is not a list of texts")

// listOfTexts decodes a well-formed JSON list. null is a text without letters, as with encoding/json.
func listOfTexts(list string) ([]string, error) {
	texts := make([]string, 0, strings.Count(list, ",")+1)
	var problem error
	endOfCompound(list, 0, 1, func(_ string, from, to int) {
		text := ""
		switch element := list[from:to]; {
		case element == "null":
		case element[0] != '"':
			problem = errNoTexts
		default:
			var err error
			if text, err = unquote(element); err != nil {
				problem = err
			}
		}
		texts = append(texts, text)
	})
	return texts, problem
}

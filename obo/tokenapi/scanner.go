package tokenapi

import (
	"fmt"
	"strconv"
	"strings"
)

const maxDepth = 128 // of values in values, as Texas' parser allows

// scanner reads JSON (RFC 8259) from a text. Nothing that it returns is checked but for what its name says.
type scanner struct {
	text string
	at   int
}

// flaw is a place where the text is not what it should be.
type flaw struct {
	wrong bool // it is JSON, and not what was asked for
	text  string
	at    int // bytes read by then
}

// wrong is about the value that was just read.
func (s *scanner) wrong(text string) *flaw { return &flaw{wrong: true, text: text, at: s.at} }

// malformed is about the byte that would be read next.
func (s *scanner) malformed(text string) *flaw {
	return &flaw{text: text, at: min(s.at+1, len(s.text))}
}

// tell is the flaw in Texas' form: lines and bytes of a line are counted from 1, and the last one read is named.
func (f *flaw) tell(text string) string {
	prefix := "Failed to parse the request body as JSON: "
	if f.wrong {
		prefix = "Failed to deserialize the JSON body into the target type: "
	}
	read := text[:f.at]
	return fmt.Sprintf("%s%s at line %d column %d", prefix, f.text, 1+strings.Count(read, "\n"), f.at-1-strings.LastIndexByte(read, '\n'))
}

// peek is the next byte; 0 at the end, and JSON has no such byte outside of strings.
func (s *scanner) peek() byte {
	if s.at < len(s.text) {
		return s.text[s.at]
	}
	return 0
}

func (s *scanner) skipSpace() {
	for s.at < len(s.text) {
		switch s.text[s.at] {
		case ' ', '\t', '\n', '\r':
			s.at++
		default:
			return
		}
	}
}

// ends is the flaw of a text that ends early, or else of its next byte.
func (s *scanner) ends(inside, otherwise string) *flaw {
	if s.at >= len(s.text) {
		return s.malformed("EOF while parsing " + inside)
	}
	return s.malformed(otherwise)
}

// nextMember goes on to the name of an object's next member, if there is one. begun says whether there were some before.
func (s *scanner) nextMember(begun bool) (more bool, problem *flaw) {
	s.skipSpace()
	if s.peek() == '}' {
		s.at++
		return false, nil
	}
	if begun {
		if s.peek() != ',' {
			return false, s.ends("an object", "expected `,` or `}`")
		}
		s.at++
		s.skipSpace()
	}
	switch s.peek() {
	case '"':
		return true, nil
	case '}':
		return false, s.malformed("trailing comma")
	}
	return false, s.ends("an object", "key must be a string")
}

func (s *scanner) colon() *flaw {
	s.skipSpace()
	if s.peek() != ':' {
		return s.ends("an object", "expected `:`")
	}
	s.at++
	s.skipSpace()
	return nil
}

// nextItem goes on to a list's next item, if there is one.
func (s *scanner) nextItem(begun bool) (more bool, problem *flaw) {
	s.skipSpace()
	if s.peek() == ']' {
		s.at++
		return false, nil
	}
	if begun {
		if s.peek() != ',' {
			return false, s.ends("a list", "expected `,` or `]`")
		}
		s.at++
		s.skipSpace()
		if s.peek() == ']' {
			return false, s.malformed("trailing comma")
		}
	}
	return true, nil
}

// skip reads one value and forgets it.
func (s *scanner) skip(depth int) *flaw {
	switch s.peek() {
	case '{', '[':
		return s.skipInside(depth)
	case '"':
		_, problem := s.str()
		return problem
	}
	return s.scalar()
}

func (s *scanner) skipInside(depth int) *flaw {
	if depth >= maxDepth {
		return s.malformed("recursion limit exceeded")
	}
	isList := s.peek() == '['
	s.at++
	next := s.nextMember
	if isList {
		next = s.nextItem
	}
	for begun := false; ; begun = true {
		more, problem := next(begun)
		if more && !isList {
			if _, problem = s.str(); problem == nil {
				problem = s.colon()
			}
		}
		if more && problem == nil {
			problem = s.skip(depth + 1)
		}
		if !more || problem != nil {
			return problem
		}
	}
}

// scalar reads a number or a literal.
func (s *scanner) scalar() *flaw {
	switch c := s.peek(); {
	case c == 't':
		return s.literal("true")
	case c == 'f':
		return s.literal("false")
	case c == 'n':
		return s.literal("null")
	case c == '-', '0' <= c && c <= '9':
		return s.number()
	}
	return s.ends("a value", "expected value")
}

func (s *scanner) literal(word string) *flaw {
	for i := range len(word) {
		if s.peek() != word[i] {
			return s.ends("a value", "expected ident")
		}
		s.at++
	}
	return nil
}

// number holds to the grammar of RFC 8259 §6.
func (s *scanner) number() *flaw {
	if s.peek() == '-' {
		s.at++
	}
	if s.peek() == '0' {
		s.at++
	} else if !s.digits() {
		return s.ends("a value", "invalid number")
	}
	if c := s.peek(); '0' <= c && c <= '9' {
		return s.malformed("invalid number")
	}
	if s.peek() == '.' {
		s.at++
		if !s.digits() {
			return s.ends("a value", "invalid number")
		}
	}
	if c := s.peek(); c == 'e' || c == 'E' {
		s.at++
		if c := s.peek(); c == '+' || c == '-' {
			s.at++
		}
		if !s.digits() {
			return s.ends("a value", "invalid number")
		}
	}
	return nil
}

func (s *scanner) digits() bool {
	from := s.at
	for c := s.peek(); '0' <= c && c <= '9'; c = s.peek() {
		s.at++
	}
	return s.at > from
}

// mismatch reads a value of another type than the expected one, as far as Texas' parser does, and says what it is.
func (s *scanner) mismatch(expected string) *flaw {
	from, is := s.at, ""
	var problem *flaw
	switch c := s.peek(); c {
	case '{':
		is = "map"
	case '[':
		is = "sequence"
	case '"':
		var text string
		text, problem = s.str()
		is = "string " + strconv.Quote(text)
	default:
		problem = s.scalar()
		switch is = s.text[from:s.at]; {
		case c == 't' || c == 'f':
			is = "boolean `" + is + "`"
		case c != 'n' && strings.ContainsAny(is, ".eE"):
			is = "floating point `" + is + "`"
		case c != 'n':
			is = "integer `" + is + "`"
		}
	}
	if problem != nil {
		return problem
	}
	return s.wrong("invalid type: " + is + ", expected " + expected)
}

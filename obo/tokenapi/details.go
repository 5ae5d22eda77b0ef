package tokenapi

import (
	"cmp"
	"encoding/json"
	"slices"
)

const noDetails = "expected a JSON array of objects"

// detailsIn reads authorization_details (RFC 9396 §2) from a text.
func detailsIn(text string) (canonical []byte, ok bool) {
	s := scanner{text: text}
	s.skipSpace()
	if s.peek() != '[' {
		return nil, false
	}
	canonical, problem := s.canonicalList(nil)
	s.skipSpace()
	return canonical, problem == nil && s.at == len(text)
}

// canonicalList reads a list of objects and writes it in its one spelling: no space, members sorted by name, strings escaped in one way. What
// means the same is one token in the cache then.
func (s *scanner) canonicalList(b []byte) ([]byte, *flaw) {
	b = append(b, '[')
	s.at++
	for begun := false; ; begun = true {
		more, problem := s.nextItem(begun)
		switch {
		case problem != nil:
			return nil, problem
		case !more:
			return append(b, ']'), nil
		case s.peek() != '{':
			return nil, s.mismatch("a JSON object")
		case begun:
			b = append(b, ',')
		}
		if b, problem = s.canonical(b, 1); problem != nil {
			return nil, problem
		}
	}
}

func (s *scanner) canonical(b []byte, depth int) ([]byte, *flaw) {
	if depth >= maxDepth {
		return nil, s.malformed("recursion limit exceeded")
	}
	switch s.peek() {
	case '{':
		return s.canonicalObject(b, depth)
	case '[':
		b = append(b, '[')
		s.at++
		for begun := false; ; begun = true {
			more, problem := s.nextItem(begun)
			if problem != nil {
				return nil, problem
			}
			if !more {
				return append(b, ']'), nil
			}
			if begun {
				b = append(b, ',')
			}
			if b, problem = s.canonical(b, depth+1); problem != nil {
				return nil, problem
			}
		}
	case '"':
		text, problem := s.str()
		return appendString(b, text), problem
	}
	from := s.at
	problem := s.scalar()
	return append(b, s.text[from:s.at]...), problem
}

type member struct {
	name  string
	value []byte
}

// canonicalObject refuses two members of one name: who knows which one the provider would take.
func (s *scanner) canonicalObject(b []byte, depth int) ([]byte, *flaw) {
	var all []member
	s.at++
	for begun := false; ; begun = true {
		more, problem := s.nextMember(begun)
		if problem != nil {
			return nil, problem
		}
		if !more {
			break
		}
		name, problem := s.str()
		if problem == nil {
			problem = s.colon()
		}
		if problem != nil {
			return nil, problem
		}
		value, problem := s.canonical(nil, depth+1)
		if problem != nil {
			return nil, problem
		}
		all = append(all, member{name, value})
	}
	slices.SortFunc(all, func(x, y member) int { return cmp.Compare(x.name, y.name) })
	b = append(b, '{')
	for i, m := range all {
		if i > 0 {
			if m.name == all[i-1].name {
				return nil, s.wrong("duplicate field `" + m.name + "`")
			}
			b = append(b, ',')
		}
		b = append(appendString(b, m.name), ':')
		b = append(b, m.value...)
	}
	return append(b, '}'), nil
}

func appendString(b []byte, text string) []byte {
	if isPlain(text) {
		return append(append(append(b, '"'), text...), '"')
	}
	quoted, err := json.Marshal(text)
	if err != nil {
		panic(err) // texts always encode
	}
	return append(b, quoted...)
}

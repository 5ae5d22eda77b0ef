package tokenapi

// readJSON reads a request body, in one pass. It tells what is wrong as the parser behind Texas does, with the place, since
// clients and tests know these texts (tokens.md 1.5); where it is uncertain what that one says, the words are our own.
func (h *Handler) readJSON(e *endpoint, text string, in *input) *fault {
	s := scanner{text: text}
	problem := h.readObject(&s, e, in)
	if problem == nil {
		if name := in.missing(e); name != "" {
			problem = s.wrong("missing field `" + name + "`")
		} else if s.skipSpace(); s.at < len(s.text) {
			problem = s.malformed("trailing characters")
		}
	}
	if problem == nil {
		return nil
	}
	return contentFault(problem.tell(text))
}

func (h *Handler) readObject(s *scanner, e *endpoint, in *input) *flaw {
	s.skipSpace()
	if s.peek() != '{' {
		return s.mismatch("a JSON object")
	}
	s.at++
	for begun := false; ; begun = true {
		more, problem := s.nextMember(begun)
		if !more {
			return problem
		}
		name, problem := s.str()
		if problem != nil {
			return problem
		}
		f := fieldOf(name) & e.fields
		if in.seen&f != 0 {
			return s.wrong("duplicate field `" + name + "`")
		}
		in.seen |= f
		if problem = s.colon(); problem != nil {
			return problem
		}
		if problem = h.setFromJSON(s, in, f); problem != nil {
			if f != none && problem.wrong {
				problem.text = name + ": " + problem.text
			}
			return problem
		}
	}
}

func (h *Handler) setFromJSON(s *scanner, in *input, f field) *flaw {
	c := s.peek()
	switch {
	case f == none:
		return s.skip(0)
	case c == 'n' && f&required == 0: // null is absent
		return s.literal("null")
	case f == fieldDetails:
		return s.details(in)
	case f == fieldSkipCache:
		if c != 't' && c != 'f' {
			return s.mismatch("a boolean")
		}
		if in.skipCache = c == 't'; in.skipCache {
			return s.literal("true")
		}
		return s.literal("false")
	case c != '"':
		return s.mismatch("a string")
	}
	value, problem := s.str()
	switch {
	case problem != nil:
		return problem
	case f == fieldProvider:
		if in.provider = h.find(value); in.provider == nil {
			return s.wrong(h.unknownProvider(value))
		}
	default:
		in.set(f, value)
	}
	return nil
}

// details takes a list, or a text that holds one.
func (s *scanner) details(in *input) *flaw {
	switch s.peek() {
	case '[':
		canonical, problem := s.canonicalList(nil)
		in.details = canonical
		return problem
	case '"':
		text, problem := s.str()
		if problem != nil {
			return problem
		}
		var ok bool
		if in.details, ok = detailsIn(text); !ok {
			return s.wrong(noDetails)
		}
		return nil
	}
	return s.mismatch("a JSON array of objects, or a string that holds one")
}

package tokenapi

import (
	"strings"
	"unicode/utf8"
)

func formFault(text string) *fault { return contentFault("Failed to deserialize form body: " + text) }

// readForm reads application/x-www-form-urlencoded (WHATWG URL §5.1). What Texas would pass on half-read, a broken escape or bytes that are no
// UTF-8, is refused.
func (h *Handler) readForm(e *endpoint, text string, in *input) *fault {
	for pair := range strings.SplitSeq(text, "&") {
		if pair == "" {
			continue
		}
		rawName, rawValue, _ := strings.Cut(pair, "=")
		name, ok := unescape(rawName)
		if !ok {
			return formFault("a name is malformed")
		}
		f := fieldOf(name) & e.fields
		switch {
		case f == none:
			continue
		case in.seen&f != 0:
			return formFault("duplicate field `" + name + "`")
		}
		in.seen |= f
		value, ok := unescape(rawValue)
		if !ok {
			return formFault(name + ": the value is malformed")
		}
		if problem := h.setFromForm(in, f, value); problem != "" {
			return formFault(name + ": " + problem)
		}
	}
	if name := in.missing(e); name != "" {
		return formFault("missing field `" + name + "`")
	}
	return nil
}

func (h *Handler) setFromForm(in *input, f field, value string) (problem string) {
	switch f {
	case fieldProvider:
		if in.provider = h.find(value); in.provider == nil {
			return h.unknownProvider(value)
		}
	case fieldDetails:
		var ok bool
		if in.details, ok = detailsIn(value); !ok {
			return noDetails
		}
	case fieldSkipCache:
		if value != "true" && value != "false" {
			return "provided string was not `true` or `false`"
		}
		in.skipCache = value == "true"
	default:
		in.set(f, value)
	}
	return ""
}

// set takes a field that is just a text.
func (in *input) set(f field, value string) {
	switch f {
	case fieldTarget:
		in.target = value
	case fieldUserToken:
		in.userToken = value
	case fieldToken:
		in.token = value
	default: // fieldResource
		in.resource = &value
	}
}

func (h *Handler) unknownProvider(name string) string {
	return "unknown variant `" + name + "`, expected one of " + h.expected
}

// unescape undoes "+" and percent-encoding. Most values have neither and are taken as they are.
func unescape(s string) (string, bool) {
	if strings.IndexByte(s, '%') >= 0 || strings.IndexByte(s, '+') >= 0 {
		out := make([]byte, 0, len(s))
		for i := 0; i < len(s); i++ {
			c := s[i]
			switch c {
			case '+':
				c = ' '
			case '%':
				if i+2 >= len(s) || unhex(s[i+1]) > 15 || unhex(s[i+2]) > 15 {
					return "", false
				}
				c = unhex(s[i+1])<<4 | unhex(s[i+2])
				i += 2
			}
			out = append(out, c)
		}
		s = string(out)
	}
	return s, isPlain(s) || utf8.ValidString(s)
}

// unhex is more than 15 for what is no digit.
func unhex(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10
	}
	return 255
}

package forward

import "strings"

// Quoted is a quoted-string (RFC 9110 §5.6.4) of the printable ASCII in text: error_description may hold nothing else (RFC 6750 §3).
func Quoted(text string) string {
	var b strings.Builder
	b.WriteByte('"')
	for i := range len(text) {
		switch c := text[i]; {
		case c < 0x20 || c > 0x7e:
		case c == '"' || c == '\\':
			b.WriteByte('\'')
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}

package proxy

import "strings"

const upperhex = "0123456789ABCDEF"

// percentEncode makes a header value of UTF-8 text: bytes outside printable ASCII and "%" become %XX (contract 4.3). So does a space at
// either end, which HTTP would drop: " admin" must not arrive as "admin".
func percentEncode(s string) string { return encode(s, false) }

// percentEncodeList joins values by commas; a comma within a value is encoded.
func percentEncodeList(values []string) string {
	switch len(values) {
	case 0:
		return ""
	case 1:
		return encode(values[0], true)
	}
	var b strings.Builder
	for _, value := range values {
		if value == "" {
			continue
		}
		if b.Len() > 0 {
			b.WriteByte(',')
		}
		b.WriteString(encode(value, true))
	}
	return b.String()
}

func encode(s string, inList bool) string {
	plain := true
	for i := 0; i < len(s) && plain; i++ {
		plain = !mustEncode(s, i, inList)
	}
	if plain {
		return s
	}
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; mustEncode(s, i, inList) {
			b.Write([]byte{'%', upperhex[c>>4], upperhex[c&15]})
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

func mustEncode(s string, i int, inList bool) bool {
	c := s[i]
	return c < 0x20 || c >= 0x7f || c == '%' || c == ',' && inList || c == ' ' && (i == 0 || i == len(s)-1)
}

// carriable says that HTTP carries a raw value as it is: there is one, without control characters and without space around it.
func carriable(s string) bool {
	for i := range len(s) {
		if s[i] < 0x20 || s[i] == 0x7f {
			return false
		}
	}
	return s != "" && s[0] != ' ' && s[len(s)-1] != ' '
}

package oidc

import "strings"

// HideTokens takes JWS and JWE in compact form out of a text, such as a path in which somebody has put one: the header of each is a JSON object, so
// that it begins with "eyJ" in base64url (RFC 7515 §3.1). What looks like one is no loss.
func HideTokens(text string) string {
	const begin, shortest = "eyJ", 20
	var out strings.Builder
	for {
		at := strings.Index(text, begin)
		if at < 0 {
			break
		}
		end := at
		for end < len(text) && isCompact(text[end]) {
			end++
		}
		out.WriteString(text[:at])
		if token := text[at:end]; len(token) >= shortest {
			out.WriteString("[token]")
		} else {
			out.WriteString(token)
		}
		text = text[end:]
	}
	if out.Len() == 0 {
		return text
	}
	out.WriteString(text)
	return out.String()
}

func isCompact(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_' || c == '.'
}

package trace

import "strings"

const (
	longestText = 256
	personal    = 11 // digits of a Norwegian national identity number (S-37)
)

// clean cuts a text, and hides what could be a personal number or would not be valid UTF-8, which OTLP does not take.
func clean(text string) string {
	text = strings.ToValidUTF8(text, "\uFFFD")
	for i := 0; i < len(text); {
		end := i
		for end < len(text) && '0' <= text[end] && text[end] <= '9' {
			end++
		}
		if end-i >= personal {
			text = text[:i] + strings.Repeat("*", end-i) + text[end:]
		}
		i = max(end, i+1)
	}
	if len(text) > longestText { // not before: a cut number is still a person's
		text = strings.ToValidUTF8(text[:longestText], "") + "…"
	}
	return text
}

package forward

import "strings"

// WithoutQuotes is an error or log text of net/http up to where it begins to repeat what came in: `malformed HTTP response "…"`, or a header line as
// it stands (CVE-2026-42507). Whatever the other side wrote, a token or a forged line, does not belong into a log (S-37).
func WithoutQuotes(text string) string {
	text, _, quoted := strings.Cut(text, `"`)
	for _, before := range [...]string{"header line: ", "initial line: ", "header: ", "debug="} {
		if head, _, found := strings.Cut(text, before); found {
			text, quoted = head+strings.TrimRight(before, " :="), true
		}
	}
	if quoted {
		text = strings.TrimRight(text, " :=[{") + " (…)"
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, text)
}

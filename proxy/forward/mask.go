package forward

import "postern/oidc"

// MaskDigits hides every run of eleven digits or more, the length of a Norwegian national identity number (S-37), hides tokens, and cuts long texts. The
// control characters U+0080 to U+009F, which terminals obey and loggers let pass, are hidden too.
func MaskDigits(text string) string {
	const run, longest = 11, 512
	var masked []byte
	text = oidc.HideTokens(text)
	for i := 0; i < len(text); {
		end := i
		for end < len(text) && '0' <= text[end] && text[end] <= '9' {
			end++
		}
		if end-i >= run {
			if masked == nil {
				masked = []byte(text)
			}
			for j := i; j < end; j++ {
				masked[j] = '*'
			}
		}
		if text[i] == 0xc2 && i+1 < len(text) && 0x80 <= text[i+1] && text[i+1] < 0xa0 {
			if masked == nil {
				masked = []byte(text)
			}
			masked[i], masked[i+1] = '*', '*'
		}
		i = max(end, i+1)
	}
	if masked != nil {
		text = string(masked)
	}
	if len(text) > longest { // not before: a cut number is still a person's
		text = text[:longest] + "…"
	}
	return text
}

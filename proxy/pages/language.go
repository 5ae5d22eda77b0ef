package pages

import "strings"

// language is one that the texts are written in; its value is the BCP 47 tag.
type language string

const (
	english language = "en"
	bokmål  language = "nb"
	nynorsk language = "nn"
)

// maxAcceptLanguage bounds the work that a hostile header can ask for; browsers send less than 100 bytes.
const maxAcceptLanguage = 512

// negotiate picks the language that the header lines ask for most (RFC 9110 §12.5.4): the highest weight, of equal ones the first.
// What is malformed is passed over; with nothing left it is English.
func negotiate(lines []string) language {
	best, bestWeight := english, 0
	budget := maxAcceptLanguage
	for _, line := range lines {
		line = line[:min(len(line), budget)]
		budget -= len(line)
		for line != "" {
			var item string
			item, line, _ = strings.Cut(line, ",")
			tag, params, _ := strings.Cut(item, ";")
			lang, known := speak(strings.Trim(tag, " \t"))
			if !known {
				continue
			}
			if weight := quality(params); weight > bestWeight {
				best, bestWeight = lang, weight
			}
		}
	}
	return best
}

// speak maps a language range to what we have: by its primary subtag, and "no" (Norwegian, whichever) to bokmål. "*" leaves it to us.
func speak(tag string) (language, bool) {
	primary, _, _ := strings.Cut(tag, "-")
	switch strings.ToLower(primary) {
	case "en", "*":
		return english, true
	case "nb", "no":
		return bokmål, true
	case "nn":
		return nynorsk, true
	}
	return english, false
}

// quality reads the weight of RFC 9110 §12.4.2 in thousandths: 1000 where it is left out, 0 ("not acceptable") where it is malformed.
func quality(params string) int {
	params = strings.Trim(params, " \t")
	if params == "" {
		return 1000
	}
	digits, ok := strings.CutPrefix(strings.ToLower(params), "q=")
	if !ok || len(digits) == 0 || len(digits) > len("0.123") || len(digits) > 1 && digits[1] != '.' {
		return 0
	}
	weight, scale := 0, 1000
	for i := 0; i < len(digits); i++ {
		if i == 1 {
			continue // the point
		}
		if digits[i] < '0' || digits[i] > '9' {
			return 0
		}
		weight += int(digits[i]-'0') * scale
		scale /= 10
	}
	if weight > 1000 {
		return 0
	}
	return weight
}

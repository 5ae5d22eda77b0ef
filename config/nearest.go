package config

import "strings"

// Nearest finds the candidate that was probably meant, if one is near enough to be worth naming: at most a third of the letters differ,
// or the text is a candidate's last part ("client-id" for "openid.client-id"). Case and the choice of separator do not count.
func Nearest(text string, candidates []string) (string, bool) {
	best, distance := "", -1
	fold := strings.NewReplacer("_", "-").Replace
	text = fold(strings.ToLower(text))
	if text == "" || len(text) > 100 {
		return "", false
	}
	for _, c := range candidates {
		folded := fold(strings.ToLower(c))
		d := levenshtein(text, folded)
		if d > 1 && strings.HasSuffix(folded, "."+text) {
			d = 1
		}
		if d > max(2, len(folded)/3) || d >= len(folded) {
			continue
		}
		if distance < 0 || d < distance {
			best, distance = c, d
		}
	}
	return best, distance >= 0
}

// levenshtein counts the bytes to insert, remove or replace.
func levenshtein(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

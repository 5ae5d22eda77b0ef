package policy

import (
	"strconv"
	"strings"
)

// nearest finds the key that was probably meant, if one is near enough to be worth naming: case aside, at most a third of the letters differ.
func nearest(name string, table fields) (meant string, ok bool) {
	if len(name) > 50 {
		return "", false
	}
	best := 0
	for _, key := range sortedKeys(table) {
		d := distance(strings.ToLower(name), strings.ToLower(key))
		if d > max(1, len(key)/3) || ok && d >= best {
			continue
		}
		meant, best, ok = key, d, true
	}
	return meant, ok
}

// distance counts the letters to insert, remove, replace, or swap with their neighbour.
func distance(a, b string) int {
	before, row := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		next := make([]int, len(b)+1)
		next[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			next[j] = min(row[j]+1, next[j-1]+1, row[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				next[j] = min(next[j], before[j-2]+1)
			}
		}
		before, row = row, next
	}
	return row[len(b)]
}

var plainName = newForm(`^[A-Za-z0-9 ./_-]{0,60}$`)

// quoteOdd leaves names as they are and quotes everything else, shortened, so that each note stays one line.
func quoteOdd(name string) string {
	if plainName.MatchString(name) {
		return name
	}
	if len(name) > 60 {
		name = name[:60] + "…"
	}
	return strconv.Quote(name)
}

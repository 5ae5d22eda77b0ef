package series

import (
	"regexp"
	"slices"
	"strings"
)

// Use is one series that an expression asks for, with the labels that it selects or groups by.
type Use struct {
	Name   string
	Labels []string
}

var (
	literals  = regexp.MustCompile(`"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'`)
	grouping  = regexp.MustCompile(`\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)`)
	ranges    = regexp.MustCompile(`\[[^\]]*\]|\boffset\s+[0-9a-z]+|\$\{?[a-zA-Z_]+\}?`)
	numbers   = regexp.MustCompile(`\b[0-9][0-9a-zA-Z.]*`)
	selectors = regexp.MustCompile(`([a-zA-Z_:][a-zA-Z0-9_:]*)\s*(?:\{([^}]*)\})?`)
	matchers  = regexp.MustCompile(`([a-zA-Z_][a-zA-Z0-9_]*)\s*(?:=~|!~|!=|=)`)
	words     = regexp.MustCompile(`[a-zA-Z_][a-zA-Z0-9_]*`)

	// What the language itself has; label_values is Grafana's.
	language = strings.Fields(`and or unless bool sum min max avg count topk bottomk quantile rate irate increase delta deriv abs absent
		absent_over_time changes clamp clamp_max clamp_min histogram_quantile max_over_time min_over_time avg_over_time sum_over_time
		last_over_time time timestamp round scalar vector label_replace sort sort_desc label_values`)
)

// Uses are the series of an expression. Every word that the language does not have is taken for one, so that a misspelt name is seen.
func Uses(expression string) []Use {
	text := literals.ReplaceAllString(expression, `""`)
	var groups []string
	for _, m := range grouping.FindAllStringSubmatch(text, -1) {
		groups = append(groups, words.FindAllString(m[1], -1)...)
	}
	text = grouping.ReplaceAllString(text, " ")
	if rest, is := strings.CutPrefix(strings.TrimSpace(text), "label_values("); is { // its second argument is a label
		text, _, _ = cutLast(rest, ",")
	}
	text = numbers.ReplaceAllString(ranges.ReplaceAllString(text, " "), " ")
	var uses []Use
	for _, m := range selectors.FindAllStringSubmatch(text, -1) {
		if slices.Contains(language, m[1]) {
			continue
		}
		use := Use{Name: m[1], Labels: slices.Clone(groups)}
		for _, label := range matchers.FindAllStringSubmatch(m[2], -1) {
			use.Labels = append(use.Labels, label[1])
		}
		slices.Sort(use.Labels)
		use.Labels = slices.Compact(use.Labels)
		uses = append(uses, use)
	}
	return uses
}

func cutLast(text, separator string) (before, after string, found bool) {
	if i := strings.LastIndex(text, separator); i >= 0 {
		return text[:i], text[i+len(separator):], true
	}
	return text, "", false
}

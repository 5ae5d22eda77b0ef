package policy

import "fmt"

// levelRank orders the levels of ID-porten in both spellings (tokens.md 6.3). Any other is 0: it is below all of them, and meets only itself.
func levelRank(acr string) int {
	switch acr {
	case "idporten-loa-low":
		return 1
	case "idporten-loa-substantial", "Level3":
		return 2
	case "idporten-loa-high", "Level4":
		return 3
	}
	return 0
}

func meetsLevel(acr, needed string) bool {
	if rank := levelRank(needed); rank > 0 {
		return levelRank(acr) >= rank
	}
	return acr == needed
}

// nameLevel is a level as ID-porten takes it in acr_values: the older spelling is not taken any more.
func nameLevel(level string) string {
	switch level {
	case "Level3":
		return "idporten-loa-substantial"
	case "Level4":
		return "idporten-loa-high"
	}
	return level
}

func describeLevel(acr, needed string) string {
	have := fmt.Sprintf("acr is %q", acr)
	switch {
	case acr == "":
		have = "acr is absent"
	case levelRank(acr) == 0 && levelRank(needed) > 0:
		have += ", which is no level of ID-porten and ranks below all"
	}
	return fmt.Sprintf("%s; %q is needed.", have, needed)
}

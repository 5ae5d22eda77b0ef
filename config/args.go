package config

import (
	"slices"
	"strings"
)

// askedForHelp looks for -h and --help before the end of flags.
func askedForHelp(args []string) bool {
	for _, arg := range args {
		switch arg {
		case "-h", "-help", "--help":
			return true
		case "--":
			return false
		}
	}
	return false
}

// readArgs reads `--name value`, `--name=value` and, for options that are true or false, `--name`. A list that is given again grows, of
// anything else the last one counts. Problems name flags, never values: a value may stand where a name was meant.
func (l *loader) readArgs(args []string) {
	texts := map[*option][]string{}
	var order []*option
	for i := 0; i < len(args); i++ {
		name, value, inline := strings.Cut(strings.TrimPrefix(args[i], "-"), "=")
		name = strings.TrimPrefix(name, "-")
		if !strings.HasPrefix(args[i], "-") || name == "" {
			l.problem("flags", "argument %d is no flag; flags are --name=value or --name value", i+1)
			continue
		}
		o, ok := l.byName[name]
		if !ok || o.variable {
			l.unknownFlag(name)
			if !inline && i+1 < len(args) && !strings.HasPrefix(args[i+1], "-") {
				i++ // very likely its value
			}
			continue
		}
		switch {
		case inline:
		case o.boolean:
			value = "true"
		case i+1 < len(args):
			i++
			value = args[i]
		default:
			l.problem(name, "wants a value (flag)")
			continue
		}
		if !slices.Contains(order, o) {
			order = append(order, o)
		}
		texts[o] = append(texts[o], value)
	}
	for _, o := range order {
		text := texts[o][len(texts[o])-1]
		if o.list {
			text = strings.Join(texts[o], ",")
		}
		l.offerText(o, text, origin{rank: byFlag, label: "flag"})
	}
}

func (l *loader) unknownFlag(name string) {
	if !printable(name) {
		l.problem("flags", "unknown flag")
		return
	}
	if near, ok := Nearest(name, l.names()); ok {
		l.problem(name, "unknown flag; nearest: --%s", near)
		return
	}
	l.problem(name, "unknown flag; --help lists all")
}

// names are the options that have flags and keys.
func (t *table) names() []string {
	var out []string
	for _, o := range t.options {
		if !o.variable {
			out = append(out, o.name)
		}
	}
	return out
}

// printable says whether a name that is not known looks like a misspelt one, and not like a secret in the wrong place.
func printable(name string) bool {
	if name == "" || len(name) > 48 {
		return false
	}
	digits := 0
	for i := range len(name) {
		b := name[i]
		switch {
		case '0' <= b && b <= '9':
			digits++
		case 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z' || b == '.' || b == '-' || b == '_':
		default:
			return false
		}
	}
	return digits <= 4
}

func lower(text string) string { return strings.ToLower(strings.TrimSpace(text)) }

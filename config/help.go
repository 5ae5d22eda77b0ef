package config

import (
	"fmt"
	"io"
	"strings"
)

// helpWidth is where the help text breaks its lines.
const helpWidth = 100

// Help writes the help text of all options, by topic.
func Help(w io.Writer) {
	var b strings.Builder
	b.WriteString(`Usage: postern [serve] [--option value]...

An option can be given as a flag, as an environment variable (POSTERN_ and the option in capitals, with
_ for . and -), or in a YAML file as nested keys. Flags win over variables, variables over the file.
Commas separate the entries of lists. postern config shows what is in effect and where it came from.
`)
	t := newTable(&Config{})
	for _, group := range t.groups {
		if group == platformGroup {
			continue
		}
		fmt.Fprintf(&b, "\n%s\n", group)
		for _, o := range t.options {
			if o.group != group {
				continue
			}
			fmt.Fprintf(&b, "  --%s %s\n", o.name, strings.ToUpper(o.placeholder()))
			text := strings.ReplaceAll(o.doc, "`", "")
			if o.fallback != "" {
				text += " Default: " + strings.ReplaceAll(o.fallback, "`", "") + "."
			}
			wrap(&b, text, "      ", helpWidth)
		}
	}
	b.WriteString("\nThe variables of the platform, such as AZURE_APP_CLIENT_ID, are in config/README.md.\n")
	_, _ = io.WriteString(w, b.String())
}

// placeholder is the value's kind as one word, or the words of an enumeration.
func (o *option) placeholder() string {
	if len(o.values) > 0 && !o.list {
		return strings.Join(o.values, "|")
	}
	if o.boolean {
		return "true|false"
	}
	word, _, _ := strings.Cut(o.word, " ")
	return word
}

// wrap writes words into lines of at most width columns.
func wrap(b *strings.Builder, text, indent string, width int) {
	line := indent
	for _, word := range strings.Fields(text) {
		if len(line) > len(indent) && len(line)+1+len(word) > width {
			b.WriteString(line + "\n")
			line = indent
		}
		if len(line) > len(indent) {
			line += " "
		}
		line += word
	}
	b.WriteString(line + "\n")
}

package config

import (
	_ "embed"
	"fmt"
	"io"
	"slices"
	"strings"
)

//go:embed intro.md
var intro string

// Reference writes the option reference, which is the whole of config/README.md.
func Reference(w io.Writer) {
	var b strings.Builder
	b.WriteString(strings.TrimSpace(intro) + "\n\n## Options\n")
	t := newTable(&Config{})
	for _, group := range t.groups {
		if group == platformGroup {
			continue
		}
		fmt.Fprintf(&b, "\n### %s\n\n| Option | Kind | Default | Meaning |\n|---|---|---|---|\n", group)
		for _, o := range t.options {
			if o.group == group {
				mark := ""
				if o.wonderwall {
					mark = " ᵂ"
				}
				fmt.Fprintf(&b, "| `%s`%s | %s | %s | %s |\n", o.name, mark, cell(o.kindOfValue()), cell(o.shownDefault()), cell(o.doc))
			}
		}
	}
	t.platformReference(&b)
	_, _ = io.WriteString(w, b.String())
}

// platformReference also says which options a variable fills.
func (t *table) platformReference(b *strings.Builder) {
	b.WriteString("\n## Platform variables\n\n| Variable | Meaning |\n|---|---|\n")
	fills := map[string][]string{}
	var order []string
	note := func(variable, text string) {
		if !slices.Contains(order, variable) {
			order = append(order, variable)
		}
		fills[variable] = append(fills[variable], text)
	}
	for _, o := range t.options {
		if o.variable {
			note(o.name, o.doc)
			for _, also := range o.variables {
				note(also, "Another spelling of `"+o.name+"`.")
			}
		}
	}
	for _, o := range t.options {
		if o.variable {
			continue
		}
		for _, v := range o.variables {
			if o.while == nil {
				note(v, "Fills `"+o.name+"`.")
			} else {
				note(v, "Fills `"+o.name+"` while the token API is on.")
			}
		}
		for _, provider := range []string{"azure", "idporten"} {
			for _, v := range o.presets[provider].variables {
				note(v, "Fills `"+o.name+"` while `openid.provider` is `"+provider+"`.")
			}
		}
	}
	note("OTEL_*", "[Telemetry](../cmd/postern/README.md#traces-and-pushed-metrics), as its specification says; `OTEL_EXPORTER_OTLP_ENDPOINT` switches `otel.enabled` on.")
	for _, v := range order {
		fmt.Fprintf(b, "| `%s` | %s |\n", v, cell(strings.Join(fills[v], " ")))
	}
}

func (o *option) kindOfValue() string {
	if len(o.values) == 0 || o.list {
		return o.word
	}
	return "one of `" + strings.Join(o.values, "`, `") + "`"
}

// shownDefault marks a default as code unless it is prose, and adds those of providers.
func (o *option) shownDefault() string {
	text := o.fallback
	if text != "" && !strings.ContainsAny(text, "` ") {
		text = "`" + strings.ReplaceAll(text, ",", "`, `") + "`"
	}
	for _, provider := range []string{"azure", "idporten"} {
		if value := o.presets[provider].fallback; value != "" {
			text = strings.TrimSpace(text + " `" + value + "` for " + provider)
		}
	}
	return text
}

func cell(text string) string { return strings.ReplaceAll(text, "|", `\|`) }

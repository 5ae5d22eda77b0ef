package config

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// Value is one line of `postern config`.
type Value struct {
	Name   string // option, or variable of the platform
	Value  string // secrets redacted
	Source string // "flag", "environment variable POSTERN_X", "file PATH", "default", …
}

// values lists every option, and the platform's variables that are set.
func (t *table) values() []Value {
	var out []Value
	for _, o := range t.options {
		if o.variable && o.origin.rank == byDefault {
			continue
		}
		out = append(out, Value{Name: o.name, Value: o.shown(), Source: o.origin.label})
	}
	return out
}

func (o *option) shown() string {
	switch {
	case o.invalid:
		return "(invalid)"
	case o.secret:
		return o.show() // redacts by itself
	default:
		return hideUserinfo(o.show())
	}
}

// hideUserinfo removes whatever could be a user name and password: an address may have got into an option that takes none. It rather
// hides too much, from the first scheme to the last @; a path such as /@vite/** stays.
func hideUserinfo(text string) string {
	at := strings.LastIndex(text, "@")
	if at < 0 {
		return text
	}
	if scheme := strings.Index(text, "://"); scheme >= 0 && scheme < at {
		return text[:scheme+len("://")] + redacted + text[at:]
	}
	if strings.HasPrefix(text, "/") {
		return text
	}
	return redacted + text[at:]
}

// openTelemetry shows the OTEL_* variables. Only those that are known to be harmless
// are shown (S-54).
func openTelemetry(env environment) []Value {
	harmless := harmlessTelemetry()
	var out []Value
	for _, name := range env.names() {
		if !strings.HasPrefix(name, "OTEL_") {
			continue
		}
		value := redacted
		if harmless[name] {
			value = hideUserinfo(oneLine(env[name]))
		}
		out = append(out, Value{Name: name, Value: value, Source: "environment variable " + name})
	}
	return out
}

// harmlessTelemetry are the OTEL_* variables that can hold no secret.
func harmlessTelemetry() map[string]bool {
	out := map[string]bool{
		"OTEL_SERVICE_NAME": true, "OTEL_RESOURCE_ATTRIBUTES": true, "OTEL_SDK_DISABLED": true,
		"OTEL_TRACES_EXPORTER": true, "OTEL_METRICS_EXPORTER": true, "OTEL_TRACES_SAMPLER": true, "OTEL_TRACES_SAMPLER_ARG": true,
		"OTEL_PROPAGATORS": true, "OTEL_METRIC_EXPORT_INTERVAL": true,
		"OTEL_BSP_MAX_QUEUE_SIZE": true, "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": true, "OTEL_BSP_SCHEDULE_DELAY": true,
	}
	for _, signal := range []string{"", "TRACES_", "METRICS_"} {
		for _, name := range []string{"ENDPOINT", "PROTOCOL", "INSECURE", "COMPRESSION", "TIMEOUT", "CERTIFICATE", "CLIENT_CERTIFICATE", "CLIENT_KEY"} {
			out[otlpPrefix+signal+name] = true // of keys and certificates they are paths
		}
	}
	return out
}

func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x20 || r == 0x7f {
			return ' '
		}
		return r
	}, text)
}

// Print writes every value and its source in aligned columns, secrets redacted.
func (l *Loaded) Print(w io.Writer) error {
	columns := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, v := range l.Values {
		if _, err := fmt.Fprintf(columns, "%s\t%s\t%s\n", v.Name, v.Value, v.Source); err != nil {
			return fmt.Errorf("write configuration: %w", err)
		}
	}
	if err := columns.Flush(); err != nil {
		return fmt.Errorf("write configuration: %w", err)
	}
	return nil
}

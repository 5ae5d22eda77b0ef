package doctor

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode"
)

// Report is everything that was found.
type Report struct {
	Status   Status    `json:"status"` // the worst of the findings: "ok", "warning" or "problem"
	Problems int       `json:"problems"`
	Warnings int       `json:"warnings"`
	Findings []Finding `json:"findings"`
}

// report counts, and takes out of every text what must not be shown.
func report(found []Finding, secrets []string) Report {
	r := Report{Status: OK, Findings: []Finding{}}
	for _, f := range found {
		f.Text, f.Advice = oneLine(f.Text, secrets), oneLine(f.Advice, secrets)
		switch f.Status {
		case Problem:
			r.Problems++
			r.Status = Problem
		case Warning:
			r.Warnings++
			if r.Status == OK {
				r.Status = Warning
			}
		case OK, Unchecked:
		}
		r.Findings = append(r.Findings, f)
	}
	return r
}

// maxText bounds a text; providers and servers may say much.
const maxText = 600

// oneLine makes a text fit one line of a terminal, without secrets and without what moves the cursor.
func oneLine(text string, secrets []string) string {
	for _, secret := range secrets {
		text = strings.ReplaceAll(text, secret, "[redacted]")
	}
	text = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, text)
	if runes := []rune(text); len(runes) > maxText {
		text = string(runes[:maxText]) + "…"
	}
	return strings.TrimSpace(text)
}

// Write prints one line for each finding, and a last one with the sum.
func (r Report) Write(w io.Writer) error {
	width := 0
	for _, f := range r.Findings {
		width = max(width, len(f.Check))
	}
	var b strings.Builder
	for _, f := range r.Findings {
		fmt.Fprintf(&b, "%-11s  %-*s  %s", f.Status, width, f.Check, f.Text)
		if f.Advice != "" {
			b.WriteString(" → " + f.Advice)
		}
		b.WriteByte('\n')
	}
	fmt.Fprintf(&b, "%d checks: %s, %s\n", len(r.Findings), count(r.Problems, "problem"), count(r.Warnings, "warning"))
	_, err := io.WriteString(w, b.String())
	return err
}

// count says "1 problem" and "2 problems".
func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// WriteJSON prints the report as one object.
func (r Report) WriteJSON(w io.Writer) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(r)
}

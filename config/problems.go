package config

import (
	"fmt"
	"slices"
	"strings"
)

// Problem is one thing that is wrong with the configuration. It never holds a value.
type Problem struct {
	Option string // name of the option or variable
	Text   string
}

// String is one line.
func (p Problem) String() string { return p.Option + ": " + p.Text }

// ProblemsError is everything that is wrong with a configuration, at least one thing.
type ProblemsError struct {
	Problems []Problem
}

// Error lists the problems, one per line.
func (e *ProblemsError) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// report gathers problems and warnings, each once. It looks them up: a list of a hundred kilobytes can hold ten thousand mistakes, and the
// injector reads what strangers write.
type report struct {
	problems []Problem
	warnings []string
	said     map[Problem]bool
	troubled map[string]bool // those with a problem
}

func (r *report) problem(option, format string, args ...any) {
	p := Problem{Option: option, Text: fmt.Sprintf(format, args...)}
	if r.said[p] {
		return
	}
	if r.said == nil {
		r.said, r.troubled = map[Problem]bool{}, map[string]bool{}
	}
	r.problems, r.said[p], r.troubled[option] = append(r.problems, p), true, true
}

// missing is a problem unless the option has one already: what could not be read is not also reported as absent.
func (r *report) missing(option, format string, args ...any) {
	if !r.refused(option) && !r.refused(option+"-file") {
		r.problem(option, format, args...)
	}
}

// refused says whether an option has a problem already.
func (r *report) refused(option string) bool { return r.troubled[option] }

func (r *report) warn(option, format string, args ...any) {
	line := Problem{Option: option, Text: fmt.Sprintf(format, args...)}.String()
	if !slices.Contains(r.warnings, line) {
		r.warnings = append(r.warnings, line)
	}
}

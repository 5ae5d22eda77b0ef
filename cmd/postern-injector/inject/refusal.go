package inject

import (
	"fmt"
	"slices"
	"strings"
)

// Problem is one thing that is wrong, and what to do about it.
type Problem struct {
	Code    string // stable, for metrics: bounded
	Message string
}

// Refusal holds the reasons why a pod cannot be created as it is: all of them, up to a hundred.
type Refusal struct{ Problems []Problem }

const (
	maxShown    = 20  // in a message: a pod with a thousand bad keys is as wrong as one with twenty
	maxProblems = 100 // and maxProblems warnings: each is compared with those before it
)

// Error lists the problems in one line, as kubectl and the events of a ReplicaSet show it.
func (r *Refusal) Error() string {
	var b strings.Builder
	b.WriteString("the pod cannot get the sidecar postern: ")
	for i, p := range r.Problems {
		if i == maxShown {
			fmt.Fprintf(&b, "; and %d more", len(r.Problems)-i)
			if len(r.Problems) == maxProblems {
				b.WriteString(" at least")
			}
			break
		}
		if i > 0 {
			b.WriteString("; ")
		}
		b.WriteString(p.Message)
	}
	return b.String()
}

// Codes are those of the problems, each once, in their order.
func (r *Refusal) Codes() []string {
	var codes []string
	for _, p := range r.Problems {
		if !slices.Contains(codes, p.Code) {
			codes = append(codes, p.Code)
		}
	}
	return codes
}

// report gathers problems and warnings.
type report struct {
	problems []Problem
	warnings []string
}

// full says that there is no room for further problems, and that to look for them would be a waste of time.
func (r *report) full() bool { return len(r.problems) >= maxProblems }

func (r *report) problem(code, format string, args ...any) {
	if r.full() {
		return
	}
	p := Problem{Code: code, Message: fmt.Sprintf(format, args...)}
	if !slices.Contains(r.problems, p) {
		r.problems = append(r.problems, p)
	}
}

func (r *report) warn(format string, args ...any) {
	if len(r.warnings) >= maxProblems {
		return
	}
	line := fmt.Sprintf(format, args...)
	if !slices.Contains(r.warnings, line) {
		r.warnings = append(r.warnings, line)
	}
}

// refusal is nil if nothing is wrong.
func (r *report) refusal() error {
	if len(r.problems) == 0 {
		return nil
	}
	return &Refusal{Problems: r.problems}
}

// shown is a text of somebody else's, in quotes, without control characters and not too long.
func shown(text string) string {
	const most = 80
	if len(text) > most {
		return fmt.Sprintf("%.80q and more", text)
	}
	return fmt.Sprintf("%q", text)
}

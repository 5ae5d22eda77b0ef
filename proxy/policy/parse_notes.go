package policy

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// place is a line of a file; line 0 is the file as a whole.
type place struct {
	order int // of the file among all
	file  string
	line  int
}

func (p place) String() string {
	if p.line == 0 {
		return p.file
	}
	return fmt.Sprintf("%s:%d", p.file, p.line)
}

// note is something to say about a place.
type note struct {
	place
	text string
}

// notes gathers what is wrong, and what has no effect.
type notes struct {
	problems, warnings []note
}

func (n *notes) problem(at place, format string, args ...any) {
	n.problems = append(n.problems, note{at, fmt.Sprintf(format, args...)})
}

func (n *notes) warn(at place, format string, args ...any) {
	n.warnings = append(n.warnings, note{at, fmt.Sprintf(format, args...)})
}

// lines are in the order of the files, however late something was found, and not more than a person reads.
func (n *notes) lines(list []note) []string {
	list = slices.SortedStableFunc(slices.Values(list), func(a, b note) int {
		return cmp.Or(cmp.Compare(a.order, b.order), cmp.Compare(a.line, b.line))
	})
	var lines []string
	for i, note := range list {
		if i == maxProblems {
			return append(lines, fmt.Sprintf("and %d more", len(list)-i))
		}
		lines = append(lines, strings.TrimPrefix(note.place.String()+": "+note.text, ": "))
	}
	return lines
}

func (n *notes) err() error {
	if len(n.problems) == 0 {
		return nil
	}
	return errors.New(strings.Join(n.lines(n.problems), "\n"))
}

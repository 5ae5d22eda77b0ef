package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
)

// event is a line of `go test -json` (go doc test2json).
type event struct {
	Action     string
	Package    string
	ImportPath string // of build-output
	Test       string
	Output     string
}

// summary turns the events into what a reader of the log needs: a line for each package, everything about failures, and why tests were skipped.
func summary() ([]string, error) {
	s := &summarizer{out: os.Stdout, text: map[[2]string]*strings.Builder{}}
	if err := s.read(os.Stdin); err != nil {
		return nil, err
	}
	return s.close(), nil
}

type summarizer struct {
	out                     io.Writer
	text                    map[[2]string]*strings.Builder // by package and test
	passed, failed, skipped int
	broken                  int // packages that failed
	skips                   []string
}

func (s *summarizer) read(from io.Reader) error {
	in := bufio.NewScanner(from)
	in.Buffer(nil, 64<<20)
	for in.Scan() {
		var e event
		if json.Unmarshal(in.Bytes(), &e) != nil || e.Action == "" {
			fmt.Fprintln(s.out, in.Text()) // not an event: go itself has something to say
			continue
		}
		s.take(e)
	}
	return in.Err()
}

func (s *summarizer) take(e event) {
	key := [2]string{e.Package, e.Test}
	switch e.Action {
	case "output":
		if e.Test == "" && (strings.HasPrefix(e.Output, "ok ") || strings.HasPrefix(e.Output, "FAIL\t") || strings.HasPrefix(e.Output, "? ")) {
			fmt.Fprint(s.out, e.Output)
			return
		}
		if s.text[key] == nil {
			s.text[key] = &strings.Builder{}
		}
		s.text[key].WriteString(e.Output)
	case "build-output":
		fmt.Fprint(s.out, e.Output)
	case "pass", "fail", "skip":
		s.end(e, s.said(key))
	}
}

// said is what a test wrote; it is forgotten.
func (s *summarizer) said(key [2]string) string {
	b := s.text[key]
	delete(s.text, key)
	if b == nil {
		return ""
	}
	return b.String()
}

func (s *summarizer) end(e event, said string) {
	top := e.Test != "" && !strings.Contains(e.Test, "/")
	switch e.Action {
	case "fail":
		fmt.Fprint(s.out, said)
		if e.Test == "" {
			s.broken++
			// A test that was running when the process died has no end of its own.
			for key, b := range s.text {
				if key[0] == e.Package {
					fmt.Fprint(s.out, b.String())
				}
			}
		}
		if top {
			s.failed++
		}
	case "skip":
		if e.Test != "" {
			s.skips = append(s.skips, e.Package+" "+e.Test+": "+reason(said))
		}
		if top {
			s.skipped++
		}
	case "pass":
		if top {
			s.passed++
		}
	}
}

// reason is the last line that a skipped test wrote by itself.
func reason(said string) string {
	why := "no reason given"
	for line := range strings.Lines(said) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "=== ") && !strings.HasPrefix(line, "--- ") {
			why = line
		}
	}
	return why
}

// close prints the skipped tests and the counts, and says why the run as a whole is none.
func (s *summarizer) close() (complaints []string) {
	for _, line := range s.skips {
		fmt.Fprintln(s.out, "skipped: "+line)
	}
	switch {
	case s.broken > 0 || s.failed > 0:
		complaints = append(complaints, fmt.Sprintf("%d packages failed", s.broken))
	case s.passed == 0:
		complaints = append(complaints, "no test ran")
	}
	fmt.Fprintf(s.out, "%d passed, %d failed, %d skipped\n", s.passed, s.failed, s.skipped)
	return complaints
}

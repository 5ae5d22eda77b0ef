package docs

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// block is a fenced block of a page, or a list of steps in a browser.
type block struct {
	page, kind, text string
	line             int
	until            string // words to wait for, of one that goes on in a terminal of its own
	follows          bool   // the block before it, with at most a few words and a colon between them
}

func (b block) String() string { return fmt.Sprintf("%s:%d (%s)", b.page, b.line, b.kind) }

// document is a page with its blocks.
type document struct {
	name   string // from the top of the repository
	text   string
	with   string // the given that it names
	blocks []block
}

// parts of pages that are made of others, which are looked at instead.
var parts = map[string]bool{"config/intro.md": true, "cmd/postern-injector/inject/intro.md": true, "cmd/postern-injector/inject/outro.md": true}

// top is the directory of go.mod.
func top(t *testing.T) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "env", "GOMOD").Output()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Dir(strings.TrimSpace(string(out)))
}

// tracked is every file of the repository, those about to be added too.
func tracked(t *testing.T) []string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", "ls-files", "--cached", "--others", "--exclude-standard", "-z")
	cmd.Dir = top(t)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("list the files of the repository: %v", err)
	}
	var files []string
	for name := range strings.SplitSeq(strings.TrimRight(string(out), "\x00"), "\x00") {
		if info, err := os.Lstat(filepath.Join(cmd.Dir, name)); err == nil && info.Mode().IsRegular() {
			files = append(files, name)
		}
	}
	return files
}

func documents(t *testing.T) (all []document) {
	t.Helper()
	root := top(t)
	for _, name := range tracked(t) {
		if filepath.Ext(name) != ".md" || parts[name] || strings.Contains(name, "testdata/") {
			continue
		}
		text, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		d, err := parse(name, string(text))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, d)
	}
	if len(all) < 15 {
		t.Fatalf("only %d pages were found", len(all))
	}
	return all
}

var remark = regexp.MustCompile(`^<!-- (until|with|browser)(?:: (.*\S))? -->$`)

// parse reads the blocks of a page. A remark that is about nothing, and a fence that is not closed, are errors.
func parse(name, text string) (document, error) {
	d := document{name: name, text: text}
	var open *block
	until, browser, fence := "", false, ""
	var between []string // what stands between the last block and here
	number := 0
	for line := range strings.Lines(text) {
		number++
		bare := strings.TrimSpace(line)
		if open != nil {
			switch {
			case open.kind == "browser" && bare == "", open.kind != "browser" && bare == fence:
				d.blocks, open, between = append(d.blocks, *open), nil, nil
			default:
				open.text += line
			}
			continue
		}
		said := remark.FindStringSubmatch(bare)
		switch {
		case said != nil && said[1] == "until" && said[2] != "":
			until = said[2]
		case said != nil && said[1] == "with" && d.with == "":
			d.with = said[2]
		case said != nil && said[1] == "browser":
			browser = true
		case said != nil:
			return d, fmt.Errorf("%s:%d: this remark makes no sense here: %s", name, number, bare)
		case strings.HasPrefix(bare, "```") && !browser:
			fence = bare[:strings.LastIndex(bare, "`")+1]
			open = &block{page: name, kind: strings.TrimLeft(bare, "`"), line: number, until: until, follows: len(d.blocks) > 0 && leadsOn(between)}
			until = ""
		case bare != "" && browser:
			open, browser = &block{page: name, kind: "browser", line: number, text: line}, false
		case bare != "" && until != "":
			return d, fmt.Errorf("%s:%d: no block follows the remark", name, number)
		case bare != "":
			between = append(between, bare)
		}
	}
	switch {
	case open != nil && open.kind == "browser":
		d.blocks = append(d.blocks, *open)
	case open != nil:
		return d, fmt.Errorf("%s:%d: the block has no end", name, open.line)
	case until != "" || browser:
		return d, fmt.Errorf("%s: no block follows the last remark", name)
	}
	return d, nil
}

func leadsOn(words []string) bool {
	return len(words) == 0 || len(words) <= 3 && strings.HasSuffix(words[len(words)-1], ":")
}

func TestPagesAreReadAsTheyAreMeant(t *testing.T) {
	t.Parallel()
	d, err := parse("x.md", "a\n<!-- with: w -->\n```sh\nls\n```\n<!-- until: up and -->\n```sh\nserve\n```\n````text\n```\n````\nIt says:\n```text\nx\n```\nSee.\n```text\ny\n```\n<!-- browser -->\n1. Open\n2. press\n\nb\n")
	if err != nil || d.with != "w" || len(d.blocks) != 6 {
		t.Fatalf("%+v, %v", d, err)
	}
	for i, want := range []block{
		{"x.md", "sh", "ls\n", 3, "", false},
		{"x.md", "sh", "serve\n", 7, "up and", true},
		{"x.md", "text", "```\n", 10, "", true},
		{"x.md", "text", "x\n", 14, "", true},
		{"x.md", "text", "y\n", 18, "", false},
		{"x.md", "browser", "1. Open\n2. press\n", 22, "", false},
	} {
		if d.blocks[i] != want {
			t.Errorf("got %#v, want %#v", d.blocks[i], want)
		}
	}
	for _, bad := range []string{"```sh\nls\n", "<!-- until: x -->\nwords\n", "<!-- until: -->\n", "<!-- browser -->\n", "<!-- with: a -->\n<!-- with: b -->\n"} {
		if d, err := parse("x.md", bad); err == nil && (len(d.blocks) > 0 || strings.HasPrefix(bad, "<!-- until: x")) {
			t.Errorf("%q was accepted: %+v", bad, d)
		}
	}
}

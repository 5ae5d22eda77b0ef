package docs

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// exception is a block, or all blocks of a kind of a page, that TestPages and TestBlocks leave alone.
type exception struct {
	page, kind string
	begins     string // how the block begins; "" for all of the kind
	by         string // file and name of the test that runs it instead
	why        string // without such a test: why nobody does
}

func exceptionOf(b block) *exception {
	for i, e := range exceptions {
		if e.page == b.page && e.kind == b.kind && strings.HasPrefix(b.text, e.begins) {
			return &exceptions[i]
		}
	}
	return nil
}

// TestExceptionsAreTrue: each speaks of a block that is there, and has either a test that is there and reads that page, or a reason.
func TestExceptionsAreTrue(t *testing.T) {
	t.Parallel()
	root, used := top(t), map[*exception]int{}
	for _, d := range documents(t) {
		for _, b := range d.blocks {
			if e := exceptionOf(b); e != nil {
				used[e]++
			}
		}
	}
	for i := range exceptions {
		e := &exceptions[i]
		switch n := used[e]; {
		case n == 0:
			t.Errorf("%s has no block of kind %q that begins with %q: take the entry out, or say how it begins now", e.page, e.kind, e.begins)
		case n > 1 && e.begins != "":
			t.Errorf("%d blocks of %s begin with %q: say more of it", n, e.page, e.begins)
		case (e.by == "") == (e.why == ""):
			t.Errorf("%s %q: say either which test runs it, or why none can", e.page, e.begins)
		case e.by != "":
			file, name, _ := strings.Cut(e.by, ":")
			if !declares(t, filepath.Join(root, file), name) {
				t.Errorf("%s: there is no test %s in %s", e.page, name, file)
			}
		}
	}
}

// declares says whether a file has this test, and whether its package reads a page.
func declares(t *testing.T, file, name string) bool {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Error(err)
		return false
	}
	found := false
	for _, decl := range parsed.Decls {
		f, is := decl.(*ast.FuncDecl)
		found = found || is && f.Name.Name == name && f.Recv == nil
	}
	siblings, _ := filepath.Glob(filepath.Join(filepath.Dir(file), "*_test.go"))
	reads := false
	for _, sibling := range siblings {
		text, err := os.ReadFile(sibling)
		reads = reads || err == nil && strings.Contains(string(text), ".md")
	}
	return found && reads
}

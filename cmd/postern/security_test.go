package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"testing"
)

// threats is how many rules the threat model has, S-01 to S-58.
const threats = 58

// The threats of proxy/security.md are all of them, each with tests that exist and carry its number. A threat that no test can be named for would
// have to be left out, which fails.
func TestEveryThreatHasItsTests(t *testing.T) {
	t.Parallel()
	named := testNames(t, os.DirFS("../.."))
	page := table(t, "proxy/security.md", "## Threats")
	var seen []string
	for _, row := range page.rows[0] {
		number := strings.ReplaceAll(row[0], "-", "")
		seen = append(seen, row[0])
		tests := backquoted.FindAllStringSubmatch(row[len(row)-1], -1)
		if len(row) != 4 || row[1] == "" || row[2] == "" || len(tests) == 0 {
			t.Errorf("%s: want a threat, what stops it, and tests: %q", row[0], row)
		}
		for _, test := range tests {
			if !named[test[1]] || !strings.Contains(test[1], number) {
				t.Errorf("%s: there is no test %s, or it does not carry the number", row[0], test[1])
			}
		}
	}
	var want []string
	for n := range threats {
		want = append(want, fmt.Sprintf("S-%02d", n+1))
	}
	if !slices.Equal(seen, want) {
		t.Errorf("rows %q, want S-01 to S-%d", seen, threats)
	}
}

// testNames are those of all test functions of a module.
func testNames(t *testing.T, module fs.FS) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	err := fs.WalkDir(module, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && name != "." && (d.Name() == "testdata" || d.Name() == "node_modules" || strings.HasPrefix(d.Name(), ".")) {
			return fs.SkipDir
		}
		if !strings.HasSuffix(path.Base(name), "_test.go") {
			return nil
		}
		source, err := fs.ReadFile(module, name)
		if err != nil {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, source, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, d := range file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && strings.HasPrefix(f.Name.Name, "Test") {
				names[f.Name.Name] = true
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// What proxy/security.md says of the supply chain: nothing is replaced, neither in the programs nor in what builds their images, and everything has a hash.
func TestModulesAreThoseThatTheyAreCalled(t *testing.T) {
	t.Parallel()
	for _, module := range []string{".", ".ci/image"} {
		text, err := os.ReadFile(path.Join("../..", module, "go.mod"))
		if err != nil {
			t.Fatal(err)
		}
		sums, err := os.ReadFile(path.Join("../..", module, "go.sum"))
		if err != nil && strings.Contains(string(text), "require") {
			t.Error(err)
		}
		for line := range strings.Lines(string(text)) {
			words := strings.Fields(line)
			switch {
			case len(words) > 0 && words[0] == "replace":
				t.Errorf("%s: %s", module, line)
			case len(words) >= 2 && strings.HasPrefix(line, "\t") && strings.HasPrefix(words[1], "v") && !strings.Contains(string(sums), words[0]+" "+words[1]+"/go.mod h1:"):
				t.Errorf("%s: no hash of %s %s", module, words[0], words[1])
			}
		}
	}
}

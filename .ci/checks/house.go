package main

import (
	"bytes"
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"slices"
	"strings"
)

const maxLines = 600

// What may stand at the top; the rooms are fixed.
var (
	rooms    = []string{"charts", "cmd", "config", "obo", "oidc", "proxy", "session"}
	topLevel = append([]string{"go.mod", "go.sum", "README.md", "LICENSE", ".ci", ".golangci.yml", ".gitignore", ".gitattributes"}, rooms...)
)

// house looks at every file that is tracked or about to be.
func house() ([]string, error) {
	out, err := exec.Command("git", "ls-files", "--cached", "--others", "--exclude-standard", "-z").Output()
	if err != nil {
		return nil, fmt.Errorf("list the files of the repository: %w", err)
	}
	var files []string
	for name := range strings.SplitSeq(strings.TrimRight(string(out), "\x00"), "\x00") {
		if _, err := os.Lstat(name); err == nil { // git also names what was deleted and not yet committed
			files = append(files, name)
		}
	}
	here, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	return inspect(os.DirFS("."), files, append(strangers(), here+"/"))
}

// strangers are texts that tie a file to one machine. They are put together here so that this file does not hold them.
func strangers() []string {
	list := []string{"/wo" + "rk/", "/ro" + "ot/"}
	for _, host := range []string{"proxy.golang", "sum.golang", "registry.npmjs", "registry.yarnpkg", "deb.debian", "repo.maven.apache"} {
		list = append(list, host+".org")
	}
	return list
}

func inspect(root fs.FS, files, strangers []string) (complaints []string, err error) {
	complain := func(format string, args ...any) { complaints = append(complaints, fmt.Sprintf(format, args...)) }
	packages := map[string][]string{} // directory to its Go files that are no tests
	for _, name := range files {
		top, _, _ := strings.Cut(name, "/")
		if !slices.Contains(topLevel, top) {
			complain("%s: %s does not belong at the top level", name, top)
		}
		text, err := fs.ReadFile(root, name)
		if err != nil {
			return nil, err
		}
		if n := bytes.Count(text, []byte("\n")); n > maxLines && !machineWritten(name) {
			complain("%s: %d lines, the limit is %d", name, n, maxLines)
		}
		for _, s := range strangers {
			if bytes.Contains(text, []byte(s)) {
				complain("%s: names %s, which only one machine knows", name, s)
			}
		}
		switch path.Ext(name) {
		case ".md":
			complaints = append(complaints, brokenLinks(root, name, string(text))...)
			complaints = append(complaints, brokenTables(name, string(text))...)
		case ".go":
			if dir := path.Dir(name); !strings.Contains(name, "testdata/") && !strings.HasPrefix(name, ".") && !strings.HasSuffix(name, "_test.go") {
				packages[dir] = append(packages[dir], name)
			}
		}
	}
	for _, room := range rooms {
		if slices.ContainsFunc(files, func(f string) bool { return strings.HasPrefix(f, room+"/") }) && !slices.Contains(files, room+"/README.md") {
			complain("%s: a room without README.md", room)
		}
	}
	for dir, sources := range packages {
		if why := undocumented(root, dir, sources); why != "" {
			complain("%s: %s", dir, why)
		}
	}
	slices.Sort(complaints)
	return complaints, nil
}

func machineWritten(name string) bool {
	base := path.Base(name)
	return base == "go.sum" || base == "package-lock.json" || path.Ext(name) == ".json" || strings.Contains(name, "testdata/") ||
		strings.HasPrefix(name, ".ci/tools/go.")
}

// undocumented says what a package lacks: a package comment, in doc.go unless it is a command.
func undocumented(root fs.FS, dir string, sources []string) string {
	for _, name := range sources {
		text, err := fs.ReadFile(root, name)
		if err != nil {
			return err.Error()
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), name, text, parser.ParseComments|parser.PackageClauseOnly)
		if err != nil {
			return err.Error()
		}
		if parsed.Doc == nil || strings.TrimSpace(parsed.Doc.Text()) == "" {
			continue
		}
		if path.Base(name) == "doc.go" || parsed.Name.Name == "main" {
			return ""
		}
	}
	return "a package without a package comment in doc.go"
}

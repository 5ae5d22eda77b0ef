package main

import (
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

func TestInspectFindsEachFault(t *testing.T) {
	t.Parallel()
	root := fstest.MapFS{
		"README.md": {Data: []byte("# A House\n[ok](config/README.md) [top](#a-house) [gone](docs/x.md) [none](config/README.md#nowhere)\n" +
			"```\n[no](link)\n```\n")},
		"config/README.md": {Data: []byte("## Some `code`, and more\n[up](../README.md#a-house) [here](#some-code-and-more) [out](https://x.example/y)\n## Twice\n## Twice\n" +
			"[second](#twice-1) [third](#twice-2) [plain](http://x.example) [typo](htps://x.example)\n\n| a | b |\n|---|---|\n| 1 |\n\n| c | d |\n")},
		"config/doc.go":      {Data: []byte("// Package config is.\npackage config\n")},
		"config/long.go":     {Data: []byte("package config\n" + strings.Repeat("\n", maxLines))},
		"oidc/oidc.go":       {Data: []byte("// Package oidc says so elsewhere.\npackage oidc\n")},
		"util/x.txt":         {Data: []byte("x")},
		"cmd/README.md":      {Data: []byte("see /home/of/one/x")},
		"cmd/postern/m.go":   {Data: []byte("// Command postern is.\npackage main\n")},
		"cmd/testdata/x.txt": {Data: []byte(strings.Repeat("\n", 2*maxLines))},
	}
	var files []string
	for name := range root {
		files = append(files, name)
	}
	got, err := inspect(root, files, []string{"/home/of/one/"})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"README.md: links to config/README.md#nowhere, but there is no such heading",
		"README.md: links to docs/x.md, which is not there",
		"cmd/README.md: names /home/of/one/, which only one machine knows",
		"config/README.md: links to #twice-2, but there is no such heading",
		"config/README.md: links to htps://x.example, which is not https",
		"config/README.md: links to http://x.example, which is not https",
		"config/README.md:11: a row of no table: there is no line of dashes under it",
		"config/README.md:9: 1 cells in a table of 2 columns",
		"config/long.go: 601 lines, the limit is 600",
		"oidc: a package without a package comment in doc.go",
		"oidc: a room without README.md",
		"util/x.txt: util does not belong at the top level",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestJudgeNamesDeprecatedAndRetractedModules(t *testing.T) {
	t.Parallel()
	got, err := judge(strings.NewReader(`{"Path":"a","Version":"v1.0.0"}
		{"Path":"b","Version":"v1.0.0","Deprecated":"use c"} {"Path":"d","Version":"v1.0.1","Retracted":["broken"]}
		{"Path":"github.com/lestrrat-go/jwx/v2","Version":"v2.1.7","Deprecated":"use v3"}`))
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"b: deprecated: use c", "d v1.0.1: this version was retracted: broken"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if _, err := judge(strings.NewReader(`{"Path":`)); err == nil {
		t.Error("a cut list was accepted")
	}
}

func TestSummary(t *testing.T) {
	t.Parallel()
	run := func(lines ...string) (string, []string) {
		var out strings.Builder
		s := &summarizer{out: &out, text: map[[2]string]*strings.Builder{}}
		if err := s.read(strings.NewReader(strings.Join(lines, "\n"))); err != nil {
			t.Fatal(err)
		}
		complaints := s.close()
		return out.String(), complaints
	}
	out, complaints := run(
		`{"Action":"output","Package":"p","Test":"TestA","Output":"noise\n"}`, `{"Action":"pass","Package":"p","Test":"TestA"}`,
		`{"Action":"pass","Package":"p","Test":"TestB/sub"}`, `{"Action":"pass","Package":"p","Test":"TestB"}`,
		`{"Action":"output","Package":"p","Test":"TestC","Output":"    x.go:1: redis-server is missing\n"}`,
		`{"Action":"skip","Package":"p","Test":"TestC"}`,
		`{"Action":"output","Package":"p","Output":"ok  \tp\t0.1s\n"}`, `{"Action":"pass","Package":"p"}`)
	if want := "ok  \tp\t0.1s\nskipped: p TestC: x.go:1: redis-server is missing\n2 passed, 0 failed, 1 skipped\n"; out != want || len(complaints) != 0 {
		t.Errorf("got %q, %q", out, complaints)
	}
	out, complaints = run(
		`{"Action":"output","Package":"p","Test":"TestA","Output":"it broke\n"}`, `{"Action":"fail","Package":"p","Test":"TestA"}`,
		`{"Action":"output","Package":"p","Test":"TestDied","Output":"panic: x\n"}`,
		`{"Action":"output","Package":"p","Output":"FAIL\tp\t0.1s\n"}`, `{"Action":"fail","Package":"p"}`)
	if want := "it broke\nFAIL\tp\t0.1s\npanic: x\n0 passed, 1 failed, 0 skipped\n"; out != want || len(complaints) != 1 {
		t.Errorf("got %q, %q", out, complaints)
	}
	if out, complaints = run("go: cannot find main module"); !strings.HasPrefix(out, "go: cannot find") || len(complaints) != 1 {
		t.Errorf("got %q, %q: a run without a test must not pass", out, complaints)
	}
}

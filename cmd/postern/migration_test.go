package main

import (
	"bytes"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"postern/config"
)

// The tables of the migration guides: the left side is all that the peer has, by its real names (testdata/peers), and the right side exists here.
func TestMigrationTables(t *testing.T) {
	t.Parallel()
	known := options(t)
	for page, guide := range map[string]struct {
		heading, peer string
		number        int
		some          bool // the table names those only for which there is something to say
	}{
		"proxy/from-oauth2-proxy.md": {heading: "## Flags", peer: "oauth2-proxy"},
		"proxy/from-easyauth.md":     {heading: "## Settings", peer: "easyauth"},
		"proxy/from-wonderwall.md":   {heading: "## Afterwards", peer: "wonderwall", some: true},
		"obo/from-texas.md":          {heading: "## What is different", peer: "texas", number: 1},
	} {
		t.Run(page, func(t *testing.T) {
			t.Parallel()
			names, rows := peer(t, guide.peer), table(t, page, guide.heading)
			said := map[string]bool{}
			for i, row := range rows.rows[guide.number] {
				if len(row) != 3 || row[1] == "" && row[2] == "" {
					t.Errorf("row %d: want a name, what it is here, and a remark: %q", i+1, row)
				}
				for _, m := range backquoted.FindAllStringSubmatch(row[0], -1) {
					if !names[m[1]] || said[m[1]] {
						t.Errorf("row %d: %s has no %s, or it stands there twice", i+1, guide.peer, m[1])
					}
					said[m[1]] = true
				}
				for _, m := range backquoted.FindAllStringSubmatch(row[1], -1) {
					if !known[m[1]] {
						t.Errorf("row %d: there is no option %s", i+1, m[1])
					}
				}
			}
			for _, name := range slices.Sorted(maps.Keys(names)) {
				if !guide.some && !said[name] {
					t.Errorf("nothing is said of %s", name)
				}
			}
		})
	}
}

// The tables of headers and paths: their left side is the peer's own. The values on the right are looked at where the translated examples run.
func TestMigrationTablesOfHeadersAndPaths(t *testing.T) {
	t.Parallel()
	for _, guide := range []struct {
		page, heading, peer string
		number              int
	}{
		{"proxy/from-oauth2-proxy.md", "## What the app notices", "oauth2-proxy-surface", 0},
		{"proxy/from-oauth2-proxy.md", "## What the app notices", "oauth2-proxy-surface", 1},
		{"proxy/from-easyauth.md", "## Headers", "easyauth-surface", 0},
		{"proxy/from-easyauth.md", "## Paths", "easyauth-surface", 0},
	} {
		names := peer(t, guide.peer)
		for _, name := range table(t, guide.page, guide.heading).codesOf(guide.number, 0) {
			if !names[name] {
				t.Errorf("%s, %s: the peer has no %s", guide.page, guide.heading, name)
			}
		}
	}
}

// What the guides say of a whole: each option of wonderwall is one here by the same name, and each variable of Texas is read.
func TestPeersNamesAreRead(t *testing.T) {
	t.Parallel()
	known := options(t)
	for name := range peer(t, "wonderwall") {
		if !known[name] {
			t.Errorf("wonderwall's %s is no option", name)
		}
	}
	for name := range peer(t, "texas") {
		if !known[name] && name != "RUST_LOG" {
			t.Errorf("Texas' %s is not read", name)
		}
	}
}

// options are the names of all options, and of the platform's variables.
func options(t *testing.T) map[string]bool {
	t.Helper()
	var reference bytes.Buffer
	config.Reference(&reference)
	known := map[string]bool{}
	for _, m := range regexp.MustCompile("(?m)^\\| `([^`]+)`").FindAllStringSubmatch(reference.String(), -1) {
		known[m[1]] = true
	}
	if len(known) < 100 {
		t.Fatalf("the reference has only %d options", len(known))
	}
	return known
}

func peer(t *testing.T, name string) map[string]bool {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "peers", name+".txt"))
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			names[line] = true
		}
	}
	return names
}

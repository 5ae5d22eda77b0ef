package t3

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"postern/cmd/postern-injector/e2e/cluster"
)

// block is a fenced block of charts/README.md.
type block struct{ language, text string }

// blocks are those of the worked example, in their order.
func blocks(t *testing.T) (all []block) {
	t.Helper()
	root, err := cluster.ModuleRoot()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(root, "charts", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	var open *block
	for line := range strings.Lines(string(text)) {
		switch fence, fenced := strings.CutPrefix(line, "```"); {
		case fenced && open == nil:
			open = &block{language: strings.TrimSpace(fence)}
		case fenced:
			all = append(all, *open)
			open = nil
		case open != nil:
			open.text += line
		}
	}
	if open != nil {
		t.Fatal("charts/README.md: a block is not closed")
	}
	return all
}

// blockWith is the one block of commands that holds the words.
func blockWith(t *testing.T, words string) block {
	t.Helper()
	var found []block
	for _, b := range blocks(t) {
		if b.language == "sh" && strings.Contains(b.text, words) {
			found = append(found, b)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%d blocks of charts/README.md have %q", len(found), words)
	}
	return found[0]
}

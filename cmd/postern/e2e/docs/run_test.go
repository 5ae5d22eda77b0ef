package docs

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestMain(m *testing.M) {
	if os.Getenv(pageVariable) != "" {
		if err := loopbackUp(); err != nil {
			fmt.Fprintln(os.Stderr, "switch on loopback:", err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

// TestPages does what each page says, word by word. One with steps in a browser is done twice: by Chromium, and by a client that submits forms.
func TestPages(t *testing.T) {
	if page := os.Getenv(pageVariable); page != "" {
		follow(t, page)
		return
	}
	t.Parallel()
	programs, ran := buildPrograms(t), 0
	for _, d := range documents(t) {
		for _, driver := range d.drivers() {
			ran++
			t.Run(strings.TrimSuffix(d.name+" "+driver, " "), func(t *testing.T) {
				t.Parallel()
				out, err := sandboxed(t, d.name, driver, programs)
				if err != nil {
					t.Errorf("%v\n%s", err, out)
				} else if testing.Verbose() {
					t.Log(out)
				}
			})
		}
	}
	if ran < 3 {
		t.Errorf("only %d pages have something to run", ran)
	}
}

// drivers are the ways in which a page is to be run: none if there is nothing to.
func (d document) drivers() (all []string) {
	for _, b := range d.blocks {
		switch {
		case exceptionOf(b) != nil:
		case b.kind == "browser":
			return []string{"chromium", "client"}
		case b.kind == "sh":
			all = []string{""}
		}
	}
	return all
}

// follow runs one page, in its sandbox.
func follow(t *testing.T, page string) {
	t.Helper()
	root := top(t)
	text, err := os.ReadFile(filepath.Join(root, page))
	if err != nil {
		t.Fatal(err)
	}
	d, err := parse(page, string(text))
	if err != nil {
		t.Fatal(err)
	}
	r := &reader{t: t, tree: copyTree(t, root)}
	r.env = []string{
		"PATH=" + os.Getenv(programsVariable) + ":" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "LANG=C.UTF-8",
		"GOFLAGS=-trimpath -buildvcs=false", "GOPROXY=off", "GOTOOLCHAIN=local", // the tree is compiled as everywhere, out of the same cache
	}
	for _, name := range []string{"GOCACHE", "GOMODCACHE"} {
		out, err := exec.CommandContext(t.Context(), "go", "env", name).Output()
		if err != nil {
			t.Fatal(err)
		}
		r.env = append(r.env, name+"="+strings.TrimSpace(string(out)))
	}
	if d.with != "" {
		given := givens[d.with]
		if given == nil {
			t.Fatalf("%s: nothing is called %q in givens_test.go", page, d.with)
		}
		given(r)
	}
	r.read(d)
}

// reader is a person at a machine with nothing on it, who does what a page says.
type reader struct {
	t      *testing.T
	tree   string
	env    []string
	shell  *terminal
	others map[string]*terminal // those in which a block goes on, by its text
	window window
	out    string // of the last block that was run
}

func (r *reader) read(d document) {
	r.shell = openTerminal(r.t, r.tree, r.env)
	ran := false
	for _, b := range d.blocks {
		switch {
		case exceptionOf(b) != nil:
			ran = false
		case b.kind == "sh" && b.until != "":
			r.out, ran = r.elsewhere(b), true
		case b.kind == "sh":
			r.out, ran = r.shell.run(b), true
		case b.kind == "text" && ran && b.follows:
			if line := missing(b.text, r.out); line != "" {
				r.t.Fatalf("%s: the block before it did not print %q after the lines before that. It printed\n%s", b, line, r.out)
			}
			ran = false
		case b.kind == "browser":
			if r.window == nil {
				r.window = openWindow(r.t)
			}
			for _, s := range steps(r.t, b) {
				s.do(r.t, b, r.window)
			}
			ran = false
		default:
			ran = false
		}
		r.t.Logf("%s\n%s", b, r.out)
	}
}

// elsewhere runs a block in a terminal of its own, where it goes on. The same block once more means: interrupt the one before, and start it again.
func (r *reader) elsewhere(b block) string {
	if before := r.others[b.text]; before != nil {
		before.interrupt()
	}
	other := openTerminal(r.t, r.tree, r.env)
	other.begin(b)
	other.wait(b, fmt.Sprintf("%q", b.until), func() bool { return strings.Contains(other.out.String(), b.until) })
	if r.others == nil {
		r.others = map[string]*terminal{}
	}
	r.others[b.text] = other
	return other.out.String()
}

const programsVariable = "POSTERN_DOCS_PROGRAMS"

// buildPrograms is the directory of the programs of this tree.
func buildPrograms(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-buildvcs=false", "-o", dir+"/", "./cmd/postern", "./cmd/postern-injector")
	cmd.Dir = top(t)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return dir
}

// copyTree is a fresh copy of the repository as it stands.
func copyTree(t *testing.T, root string) string {
	t.Helper()
	into := t.TempDir()
	for _, name := range tracked(t) {
		text, err := os.ReadFile(filepath.Join(root, name))
		if err == nil {
			err = os.MkdirAll(filepath.Dir(filepath.Join(into, name)), 0o750)
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(into, name), text, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return into
}

package docs

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// patience is for one block: some of them compile.
const patience = 4 * time.Minute

// terminal is a shell that one block after the other is typed into.
type terminal struct {
	t      *testing.T
	in     io.WriteCloser
	dir    string // of its own
	out    *printed
	ended  chan struct{}
	blocks int
	pid    int
}

// printed is what a terminal shows; it may be read while a program writes.
type printed struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (p *printed) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.Write(b)
}

func (p *printed) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.String()
}

// openTerminal starts a shell. The sandbox ends whatever still runs in it.
func openTerminal(t *testing.T, dir string, env []string) *terminal {
	t.Helper()
	term := &terminal{t: t, dir: t.TempDir(), out: new(printed), ended: make(chan struct{})}
	cmd := exec.CommandContext(t.Context(), "bash", "--noprofile", "--norc", "-e", "-o", "pipefail")
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr, cmd.WaitDelay = dir, env, term.out, term.out, time.Second
	cmd.SysProcAttr = ownGroup()
	var err error
	if term.in, err = cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	term.pid = cmd.Process.Pid
	go func() {
		_ = cmd.Wait()
		close(term.ended)
	}()
	return term
}

// run types a block and returns what it prints.
func (term *terminal) run(b block) string {
	term.t.Helper()
	before := len(term.out.String())
	done := term.begin(b)
	term.wait(b, "it to end", func() bool { _, err := os.Stat(done); return err == nil })
	return term.out.String()[before:]
}

// begin types a block; the file that it names is there when the block is done.
func (term *terminal) begin(b block) (done string) {
	term.t.Helper()
	term.blocks++
	script := filepath.Join(term.dir, fmt.Sprintf("%d.sh", term.blocks))
	if err := os.WriteFile(script, []byte(b.text), 0o600); err != nil {
		term.t.Fatal(err)
	}
	done = script + ".done"
	if _, err := fmt.Fprintf(term.in, ". %s </dev/null\n: >%s\n", script, done); err != nil {
		term.t.Fatal(err)
	}
	return done
}

// interrupt presses Ctrl-C, and returns when everything in the terminal has ended.
func (term *terminal) interrupt() {
	term.t.Helper()
	_ = term.in.Close()
	interruptGroup(term.pid)
	select {
	case <-term.ended:
	case <-time.After(time.Minute):
		term.t.Fatalf("what runs in a terminal does not end by Ctrl-C; it printed\n%s", term.out)
	}
}

// wait fails the test if the shell ends, as it does with the first command that fails, or if it takes too long.
func (term *terminal) wait(b block, what string, there func() bool) {
	term.t.Helper()
	deadline := time.After(patience)
	for {
		if there() {
			return
		}
		select {
		case <-term.ended:
			if there() {
				return
			}
			term.t.Fatalf("%s failed. Mend the block or what it runs; if it cannot be run by a test, list it in exceptions_list_test.go.\n%s\n--- it printed\n%s",
				b, b.text, term.out)
		case <-deadline:
			term.t.Fatalf("%s: waited in vain for %s. A block that goes on needs a remark before it: <!-- until: words that it prints -->\n%s\n--- it printed\n%s",
				b, what, b.text, term.out)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// missing is the first line of what a page promises that was not printed after those before it; … stands for anything.
func missing(promised, out string) string {
	lines := strings.Split(out, "\n")
	for want := range strings.Lines(promised) {
		want = strings.TrimSpace(want)
		if want == "" || want == "…" {
			continue
		}
		at := 0
		for at < len(lines) && !matches(want, lines[at]) {
			at++
		}
		if at == len(lines) {
			return want
		}
		lines = lines[at+1:]
	}
	return ""
}

// matches compares a line, however it is spaced, with one in which … stands for anything.
func matches(pattern, line string) bool {
	line = strings.Join(strings.Fields(line), " ")
	for i, piece := range strings.Split(strings.Join(strings.Fields(pattern), " "), "…") {
		at := strings.Index(line, strings.TrimSpace(piece))
		if at < 0 || i == 0 && at != 0 {
			return false
		}
		line = line[at+len(strings.TrimSpace(piece)):]
	}
	return strings.HasSuffix(pattern, "…") || strings.TrimSpace(line) == ""
}

func TestPromisedLinesAreCompared(t *testing.T) {
	t.Parallel()
	const out = "HTTP/1.1 200 OK\r\nDate: now\nok   policy   fine → go on\n{\"a\":1}"
	for promised, want := range map[string]string{
		"HTTP/1.1 200 OK\n…\n{\"a\":1}\n":           "",
		"ok  policy  …\n":                           "",
		"ok … on\n":                                 "",
		"ok … off\n":                                "ok … off",
		"policy fine → go on\n":                     "policy fine → go on",
		"{\"a\":1}\nHTTP/1.1 200 OK\n":              "HTTP/1.1 200 OK",
		"HTTP/1.1 200\n":                            "HTTP/1.1 200",
		"HTTP/1.1 200 OK\n\nDate: …\nok policy …\n": "",
	} {
		if got := missing(promised, out); got != want {
			t.Errorf("%q: missing %q, want %q", promised, got, want)
		}
	}
}

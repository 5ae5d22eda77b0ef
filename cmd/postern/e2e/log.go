package e2e

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"
)

// capture keeps what a program writes; it may be read while the program writes.
type capture struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (c *capture) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.text.Write(p)
}

func (c *capture) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.text.String()
}

// cut takes away a last line that was not finished.
func (c *capture) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.text.Truncate(bytes.LastIndexByte(c.text.Bytes(), '\n') + 1)
}

// Record is one line of the JSON log.
type Record map[string]any

// Log is what a postern wrote: records on standard output, anything else on standard error.
type Log struct {
	out, err capture
}

func newLog() *Log { return &Log{} }

// Text is everything, standard output first.
func (l *Log) Text() string { return l.out.String() + l.err.String() }

// Stderr is what was written beside the log: panics and race reports end up there.
func (l *Log) Stderr() string { return l.err.String() }

// Records are the lines of standard output that are JSON objects, in order.
func (l *Log) Records() []Record {
	var all []Record
	for line := range strings.Lines(l.out.String()) {
		var r Record
		if json.Unmarshal([]byte(line), &r) == nil {
			all = append(all, r)
		}
	}
	return all
}

// ordinary is everything but the audit events.
func (l *Log) ordinary() string {
	var text strings.Builder
	for line := range strings.Lines(l.Text()) {
		var r Record
		if json.Unmarshal([]byte(line), &r) != nil || r["audit"] != true {
			text.WriteString(line)
		}
	}
	return text.String()
}

// Find is the records in which each named member has the given value, compared as text.
func (l *Log) Find(members map[string]any) []Record {
	var found []Record
next:
	for _, r := range l.Records() {
		for name, want := range members {
			if got, ok := r[name]; !ok || fmt.Sprint(got) != fmt.Sprint(want) {
				continue next
			}
		}
		found = append(found, r)
	}
	return found
}

// WaitFor is the first record with these members, as soon as it is written.
func (l *Log) WaitFor(t testing.TB, members map[string]any) Record {
	t.Helper()
	var first Record
	Eventually(t, fmt.Sprintf("waiting for a log record with %v", members), func() error {
		found := l.Find(members)
		if len(found) == 0 {
			return fmt.Errorf("none of %d", len(l.Records()))
		}
		first = found[0]
		return nil
	})
	return first
}

// Without fails the test if one of the secrets was written, as it is or in an encoding that a log line could carry it in. The map's keys say what
// each of them is; the failure names those and never the secret. Who somebody is (sub, oid, sid) stands in audit events alone (S-37, S-38).
func (l *Log) Without(t testing.TB, secrets map[string]string) {
	t.Helper()
	people, others := map[string]string{}, map[string]string{}
	for name, text := range secrets {
		if name == "sub" || name == "oid" || name == "sid" {
			people[name] = text
		} else {
			others[name] = text
		}
	}
	for _, name := range append(leaks(l.Text(), others), leaks(l.ordinary(), people)...) {
		t.Errorf("the log shows a secret: %s", name)
	}
}

func leaks(text string, secrets map[string]string) []string {
	var names []string
	for name, secret := range secrets {
		if secret == "" {
			names = append(names, name+" (empty: nothing was looked for)")
			continue
		}
		asJSON, _ := json.Marshal(secret)
		for _, form := range []string{
			secret, url.QueryEscape(secret), strings.Trim(string(asJSON), `"`),
			base64.StdEncoding.EncodeToString([]byte(secret)), base64.RawURLEncoding.EncodeToString([]byte(secret)),
			hex.EncodeToString([]byte(secret)), fmt.Sprint([]byte(secret)),
		} {
			if strings.Contains(text, form) {
				names = append(names, name)
				break
			}
		}
	}
	return names
}

// finish looks at what no test may leave behind, and shows the log of a test that failed.
func (l *Log) finish(t testing.TB) {
	t.Helper()
	for _, sign := range []string{"WARNING: DATA RACE", "panic: ", "fatal error: "} {
		if strings.Contains(l.Stderr(), sign) {
			t.Errorf("postern wrote %q", sign)
		}
	}
	if t.Failed() {
		t.Logf("what postern wrote:\n%s", l.Text())
	}
}

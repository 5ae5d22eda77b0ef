package forward

import (
	"bufio"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// Row 76: an app may answer before it has read the body, and the client may send the rest afterwards. The next request on its connection is answered too:
// by itself net/http would read the rest away after it has stopped listening for what comes next, and then fail on it.
func TestRow76RequestAfterAnEarlyAnswer(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]struct {
		head          string
		before, after string
	}{
		"length":         {"Content-Length: 10000\r\n", strings.Repeat("x", 100), strings.Repeat("x", 9900)},
		"nothing before": {"Content-Length: 100\r\n", "", strings.Repeat("x", 100)},
		"all before":     {"Content-Length: 100\r\n", strings.Repeat("x", 100), ""},
		"chunks":         {"Transfer-Encoding: chunked\r\n", "3\r\nabc\r\n", "3\r\ndef\r\n0\r\n\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			app := newRawApp(t, okAnswer)
			server := newFront(t, there{Host: app.address}, Outgoing{})
			conn := dial(t, server.Server)
			in := bufio.NewReader(conn)
			for round := range 20 {
				if _, err := io.WriteString(conn, "POST /early HTTP/1.1\r\nHost: app\r\n"+body.head+"\r\n"+body.before); err != nil {
					t.Fatal(err)
				}
				status, text, _ := readAnswer(t, in)
				if status != http.StatusOK || text != "ok" {
					t.Fatalf("round %d: %d %q", round, status, text)
				}
				if round%2 == 0 {
					time.Sleep(5 * time.Millisecond) // the server waits for the rest, or has it already
				}
				if _, err := io.WriteString(conn, body.after+"GET /next HTTP/1.1\r\nHost: app\r\n\r\n"); err != nil {
					t.Fatal(err)
				}
				if status, text, _ := readAnswer(t, in); status != http.StatusOK || text != "ok" {
					t.Fatalf("round %d: the next request: %d %q", round, status, text)
				}
			}
		})
	}
}

// Row 76: a body that does not come to its end leaves nobody knowing where the next request begins: none is served.
func TestRow76NoRequestAfterABodyWithoutEnd(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]struct{ head, before, after string }{
		"a chunk that is none": {"Transfer-Encoding: chunked\r\n", "3\r\nabc\r\n", "zz\r\n"},
		"too much of it":       {"Content-Length: 1000000\r\n", "x", strings.Repeat("x", 300<<10)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			app := newRawApp(t, okAnswer)
			conn := dial(t, newFront(t, there{Host: app.address}, Outgoing{}).Server)
			in := bufio.NewReader(conn)
			if _, err := io.WriteString(conn, "POST /early HTTP/1.1\r\nHost: app\r\n"+body.head+"\r\n"+body.before); err != nil {
				t.Fatal(err)
			}
			if status, text, _ := readAnswer(t, in); status != http.StatusOK || text != "ok" {
				t.Fatalf("%d %q", status, text)
			}
			_, _ = io.WriteString(conn, body.after+"GET /next HTTP/1.1\r\nHost: app\r\n\r\n") // the connection may be closed meanwhile
			if rest, _ := io.ReadAll(in); len(rest) > 0 {
				t.Errorf("an answer to what is no request: %q", rest)
			}
			for _, head := range app.requests() {
				if strings.HasPrefix(head, "GET /next ") {
					t.Error("the app was asked the rest of a body")
				}
			}
		})
	}
}

package forward

import (
	"bufio"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// TestAdvisoryCVE2025_22871Smuggling: peers.md row 76. Whatever the two sides could read differently is refused, or reaches the app
// framed anew as one request. Where the second request stands behind the first by our framing, it is one of its own and decided on as such; it is
// never a part of the first that the app takes for more.
func TestAdvisoryCVE2025_22871Smuggling(t *testing.T) {
	t.Parallel()
	const (
		post     = "POST /first HTTP/1.1\r\nHost: app\r\n"
		smuggled = "GET /smuggled HTTP/1.1\r\nHost: app\r\n\r\n"
	)
	for name, test := range map[string]struct {
		request string
		status  int
		second  bool // "/smuggled" is a request by our framing
	}{
		"CL.TE":                       {post + "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + smuggled, 200, true}, // TE wins (RFC 9112 §6.1)
		"TE.TE":                       {post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n", 501, false},
		"TE list":                     {post + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501, false},
		"TE with vertical tab":        {post + "Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n", 400, false},
		"TE twice":                    {post + "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", 501, false},
		"TE unknown":                  {post + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 501, false},
		"two lengths":                 {post + "Content-Length: 3\r\nContent-Length: 40\r\n\r\nabc" + smuggled, 400, false},
		"length list":                 {post + "Content-Length: 3, 40\r\n\r\nabc" + smuggled, 400, false},
		"length with sign":            {post + "Content-Length: +3\r\n\r\nabc" + smuggled, 400, false},
		"negative length":             {post + "Content-Length: -1\r\n\r\n" + smuggled, 400, false},
		"hex length":                  {post + "Content-Length: 0x3\r\n\r\nabc" + smuggled, 400, false},
		"space before colon":          {post + "Content-Length : 3\r\n\r\nabc" + smuggled, 400, false},
		"space before the first":      {"GET / HTTP/1.1\r\n Host: app\r\nHost: app\r\n\r\n", 400, false},
		"NUL in a value":              {post + "X-A: a\x00b\r\n\r\n", 400, false},
		"CR in a value":               {post + "X-A: a\rContent-Length: 3\r\n\r\n", 400, false},
		"name with bytes":             {post + "X\x80A: 1\r\n\r\n", 400, false},
		"no colon":                    {post + "Transfer-Encoding\r\n\r\n", 400, false},
		"bare LF after chunk size":    {post + "Transfer-Encoding: chunked\r\n\r\n3\nabc\r\n0\r\n\r\n", 400, false},
		"bare LF in chunk extension":  {post + "Transfer-Encoding: chunked\r\n\r\n3;a\nabc\r\n0\r\n\r\n", 400, false},
		"chunk size overflow":         {post + "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nabc\r\n0\r\n\r\n", 400, false},
		"chunk without end":           {post + "Transfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n", 400, false},
		"HTTP/1.2":                    {"GET / HTTP/1.2\r\nHost: app\r\n\r\n", 200, false},
		"HTTP/0.9":                    {"GET /\r\nHost: application\r\n\r\n", 400, false},
		"lower-case version":          {"GET / http/1.1\r\nHost: app\r\n\r\n", 400, false},
		"two spaces":                  {"GET  / HTTP/1.1\r\nHost: app\r\n\r\n", 400, false},
		"chunked body in HTTP/1.0":    {"POST / HTTP/1.0\r\nHost: app\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + smuggled, 200, false},
		"body of a CONNECT":           {"CONNECT app:80 HTTP/1.1\r\nHost: app\r\n\r\n" + smuggled, 405, true},
		"method with bytes":           {"G\x01T / HTTP/1.1\r\nHost: app\r\n\r\n", 400, false},
		"obsolete line folding joins": {"GET / HTTP/1.1\r\nHost: app\r\nX-A: b\r\n c\r\n\r\n", 200, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var decided, reached atomic.Int32
			app := newApp(t, func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				if strings.ContainsAny(r.Header.Get("X-A"), "\r\n") {
					t.Error("a folded line reached the app")
				}
				if r.URL.Path == "/smuggled" {
					reached.Add(1)
				}
			})
			server := newFront(t, app, Outgoing{Errand: preparing(func(_, in *http.Request) {
				if in.URL.Path == "/smuggled" {
					decided.Add(1)
				}
			})})
			conn := dial(t, server.Server)
			if _, err := io.WriteString(conn, test.request); err != nil {
				t.Fatal(err)
			}
			reader := bufio.NewReader(conn)
			if status, _, _ := readAnswer(t, reader); status != test.status {
				t.Errorf("%d; want %d", status, test.status)
			}
			conn.(interface{ CloseWrite() error }).CloseWrite()
			_, _ = io.Copy(io.Discard, reader) // until the server is done with the connection
			server.Close()
			if reached.Load() > decided.Load() || (decided.Load() > 0) != test.second { // a client that has closed its side may be given up
				t.Errorf("the second request was decided on %d times and reached the app %d times", decided.Load(), reached.Load())
			}
		})
	}
}

// TestAdvisoryCVE2024_24791ExpectContinue: an app that answers without reading must not spoil its connection for the next request.
func TestAdvisoryCVE2024_24791ExpectContinue(t *testing.T) {
	t.Parallel()
	app := newApp(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/refuse" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		body, _ := io.ReadAll(r.Body)
		_, _ = w.Write(body)
	})
	server := newFront(t, app, Outgoing{})
	server.forwarder.server.Transport.(transport).usual.ExpectContinueTimeout = time.Minute // else the body is asked for on a machine that stood still
	for range 3 {
		conn := dial(t, server.Server)
		_, _ = io.WriteString(conn, "POST /refuse HTTP/1.1\r\nHost: app\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
		if status, _, _ := readAnswer(t, bufio.NewReader(conn)); status != http.StatusForbidden {
			t.Fatalf("%d; want 403 without a 100", status)
		}
		if status, body, _ := send(t, server.Server, "POST / HTTP/1.1\r\nHost: app\r\nContent-Length: 5\r\n\r\nhello"); status != 200 || body != "hello" {
			t.Fatalf("the next request: %d %q", status, body)
		}
	}
	conn := dial(t, server.Server)
	reader := bufio.NewReader(conn)
	_, _ = io.WriteString(conn, "POST / HTTP/1.1\r\nHost: app\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
	if line, err := reader.ReadString('\n'); err != nil || !strings.HasPrefix(line, "HTTP/1.1 100") {
		t.Fatalf("%q, %v; want 100", line, err)
	}
	_, _ = reader.ReadString('\n')
	_, _ = io.WriteString(conn, "hello")
	if status, body, _ := readAnswer(t, reader); status != 200 || body != "hello" {
		t.Errorf("after 100: %d %q", status, body)
	}
}

// TestAdvisoryCVE2025_64763EarlyBytes: bytes sent ahead are the next request, decided on like any other, and never the
// app's.
func TestAdvisoryCVE2025_64763EarlyBytes(t *testing.T) {
	t.Parallel()
	app := newRawApp(t, "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
	server := newFront(t, there{Host: app.address}, Outgoing{})
	conn := dial(t, server.Server)
	_, _ = io.WriteString(conn, "GET /ws HTTP/1.1\r\nHost: app\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nTRACE /early HTTP/1.1\r\nHost: app\r\n\r\n")
	reader := bufio.NewReader(conn)
	if status, _, _ := readAnswer(t, reader); status != 403 {
		t.Errorf("upgrade: %d", status)
	}
	if status, _, _ := readAnswer(t, reader); status != 405 {
		t.Errorf("early bytes: %d; want the answer to a request of their own", status)
	}
	for _, seen := range app.requests() {
		if strings.Contains(seen, "early") {
			t.Errorf("the app saw %q", seen)
		}
	}
}

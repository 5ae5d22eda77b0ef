package forward

import (
	"bufio"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// An interim answer (RFC 9110 §15.2) has what the server says of it, nothing of its connection, and nothing that is ours to say with the answer; the
// answer has that, and nothing of the interim one.
func TestInterimAnswersAreNobodyElses(t *testing.T) {
	t.Parallel()
	app := newRawApp(t, "HTTP/1.1 103 Early Hints\r\nConnection: X-Private\r\nX-Private: 1\r\nKeep-Alive: timeout=5\r\nLink: </a>\r\nSet-Cookie: own.session=1\r\n\r\n"+
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
	f := newFront(t, there{Host: app.address}, Outgoing{}).forwarder
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header()["X-Ours"] = []string{"yes"}
		f.Serve(w, r, Outgoing{})
	}))
	t.Cleanup(server.Close)
	conn := dial(t, server)
	_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: app\r\nConnection: close\r\n\r\n")
	all, err := io.ReadAll(bufio.NewReader(conn))
	if err != nil {
		t.Fatal(err)
	}
	interim, answer, _ := strings.Cut(string(all), "\r\n\r\n")
	if interim != "HTTP/1.1 103 Early Hints\r\nLink: </a>" {
		t.Errorf("interim answer %q", interim)
	}
	if !strings.HasPrefix(answer, "HTTP/1.1 200 OK\r\n") || !strings.Contains(answer, "X-Ours: yes\r\n") || strings.Contains(answer, "Link") || !strings.HasSuffix(answer, "\r\n\r\nok") {
		t.Errorf("answer %q", answer)
	}
}

// A trailer has its own value, also where a header has the same name, and none of it is a cookie, announced or not (RFC 9110 §6.5.1).
func TestTrailersAreTheServersOwn(t *testing.T) {
	t.Parallel()
	for name, announced := range map[string]string{"announced": "Trailer: X-Sum, Set-Cookie\r\n", "not announced": ""} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			app := newRawApp(t, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-Sum: head\r\n"+announced+"\r\n2\r\nok\r\n0\r\nX-Sum: tail\r\nSet-Cookie: a=b\r\n\r\n")
			server := newFront(t, there{Host: app.address}, Outgoing{})
			conn := dial(t, server.Server)
			_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: app\r\nTE: trailers\r\nConnection: close, TE\r\n\r\n")
			all, err := io.ReadAll(conn)
			if err != nil {
				t.Fatal(err)
			}
			head, body, _ := strings.Cut(string(all), "\r\n\r\n")
			if !strings.Contains(head, "X-Sum: head\r\n") || strings.Contains(string(all), "ookie") {
				t.Errorf("%q", all)
			}
			if _, tail, _ := strings.Cut(body, "0\r\n"); tail != "X-Sum: tail\r\n\r\n" {
				t.Errorf("trailers %q of %q", tail, body)
			}
		})
	}
}

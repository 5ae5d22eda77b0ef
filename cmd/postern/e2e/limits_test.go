package e2e

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// Rows 76 and 78 of the peers' advisories: methods that are tunnels, and floods of header bytes and cookies, end at the door.
func TestAdvisoryCVE2025_58186Floods(t *testing.T) {
	t.Parallel()
	app := RawUpstream(t, nil)
	w := newWorld(t, worldOptions{app: &AppServer{Addr: app.Addr}})
	for name, test := range map[string]struct {
		request string
		status  int
	}{
		"CONNECT":         {"CONNECT app.localhost:443 HTTP/1.1\r\nHost: app.localhost:443\r\n\r\n", 405},
		"TRACE":           {rawRequest("TRACE", "/", w.host()), 405},
		"100 cookies":     {rawRequest("GET", "/ok", w.host(), "Cookie", strings.Repeat("a=1; ", 99)+"b=2"), 200},
		"101 cookies":     {rawRequest("GET", "/", w.host(), "Cookie", strings.Repeat("a=1; ", 100)+"b=2"), 400},
		"64 KiB header":   {rawRequest("GET", "/", w.host(), "X", strings.Repeat("x", 80<<10)), 431},
		"many headers":    {rawRequest("GET", "/", w.host(), "X", strings.Repeat("x\r\nX: y", 20_000)), 431},
		"other host":      {"GET http://other.example/admin HTTP/1.1\r\nHost: " + w.host() + "\r\nConnection: close\r\n\r\n", 400},
		"two hosts":       {"GET / HTTP/1.1\r\nHost: " + w.host() + "\r\nHost: evil\r\nConnection: close\r\n\r\n", 400},
		"host with a ,":   {"GET / HTTP/1.1\r\nHost: a,b\r\nConnection: close\r\n\r\n", 400},
		"raw fragment":    {rawRequest("GET", "/a#b", w.host()), 400},
		"NUL in the path": {rawRequest("GET", "/a%00b", w.host()), 400},
		"bad escape":      {rawRequest("GET", "/a%zz", w.host()), 400},
		"bad query":       {rawRequest("GET", "/ok?a=%zz;b", w.host()), 200},
		"two tokens":      {rawRequest("GET", "/", w.host(), "Authorization", "Bearer a", "Authorization", "Bearer b"), 400},
		"star":            {rawRequest("GET", "*", w.host()), 400},
		"slashes only":    {rawRequest("GET", "//", w.host()), 400},
		"endless decode":  {rawRequest("GET", "/a%25252525252541", w.host()), 400},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			raw := Raw(t, w.Addr, test.request)
			if !strings.HasPrefix(raw, fmt.Sprintf("HTTP/1.1 %d ", test.status)) {
				line, _, _ := strings.Cut(raw, "\r\n")
				t.Errorf("answer %q, want %d", line, test.status)
			}
		})
	}
	t.Cleanup(func() {
		for _, head := range app.Heads() {
			if !strings.HasPrefix(head, "GET /ok") {
				t.Errorf("reached the app: %.100q", head)
			}
		}
	})
}

// Row 78: a client that sends its header byte by byte is cut off, by HTTP/1.1 and by HTTP/2 with prior knowledge.
func TestAdvisoryGO2026_6089SlowHeaders(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{env: map[string]string{"POSTERN_LIMITS_HEADER_TIME": "500ms"}})
	for name, start := range map[string]string{
		"HTTP/1.1":          "GET / HTTP/1.1\r\nHost: " + w.host() + "\r\nX-Slow: ",
		"HTTP/2":            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
		"half an h2 hello":  "PRI * HTTP/2.0\r\n\r\nS",
		"nothing after TCP": "",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn := Dial(t, w.Addr)
			if _, err := io.WriteString(conn, start); err != nil {
				t.Fatal(err)
			}
			_ = conn.SetReadDeadline(time.Now().Add(Patience))
			buf := make([]byte, 4096)
			for {
				if _, err := conn.Read(buf); err != nil {
					if strings.Contains(err.Error(), "timeout") {
						t.Error("the connection was not cut off")
					}
					return
				}
			}
		})
	}
}

// S-28 and limits.connections: one more connection than allowed waits, and is served when another ends.
func TestConnectionLimit(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{env: map[string]string{"POSTERN_LIMITS_CONNECTIONS": "2"}})
	first, second := Dial(t, w.Addr), Dial(t, w.Addr)
	for _, conn := range []io.Writer{first, second} {
		if _, err := io.WriteString(conn, "GET /x HTTP/1.1\r\nHost: "+w.host()+"\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
	}
	ReadUntilQuiet(first, 200*time.Millisecond)
	ReadUntilQuiet(second, 200*time.Millisecond)
	done := make(chan *Response, 1)
	go func() {
		r, err := NewClient(t).Try(http.MethodGet, w.ingress+"/x", "")
		if err != nil {
			r = &Response{Response: &http.Response{}}
		}
		done <- r
	}()
	select {
	case <-done:
		t.Error("a third connection was served")
	case <-time.After(300 * time.Millisecond):
	}
	first.Close()
	if r := <-done; r.StatusCode != 200 {
		t.Errorf("after one ended: status %d", r.StatusCode)
	}
}

// Contract 8: SIGTERM makes the pod not ready at once, finishes what is under way, and ends within the grace.
func TestDrain(t *testing.T) {
	t.Parallel()
	app := App(t, map[string]http.HandlerFunc{"/slow": func(w http.ResponseWriter, _ *http.Request) {
		time.Sleep(time.Second)
		_, _ = w.Write([]byte("done"))
	}})
	w := newWorld(t, worldOptions{app: app, env: map[string]string{
		"POSTERN_SHUTDOWN_WAIT_BEFORE_PERIOD": "1500ms", "POSTERN_SHUTDOWN_GRACEFUL_PERIOD": "5s",
	}})
	answers := make(chan string, 1)
	go func() {
		r, err := NewClient(t).Try(http.MethodGet, w.ingress+"/slow", "")
		if err != nil {
			answers <- err.Error()
			return
		}
		answers <- r.Body
	}()
	Eventually(t, "the app has the request", func() error {
		if len(app.Requests()) == 0 {
			return errorf("not yet")
		}
		return nil
	})
	stopped := make(chan struct{})
	go func() { w.Stop(t); close(stopped) }()
	Eventually(t, "not ready", func() error {
		status, body := w.Readyz(t)
		if status != 503 || !strings.Contains(body, "draining") {
			return errorf("status %d %s", status, body)
		}
		return nil
	})
	if r := NewClient(t).Get(w.ingress + "/x"); r.StatusCode != 200 {
		t.Errorf("a request during the wait: status %d", r.StatusCode)
	}
	if got := <-answers; got != "done" {
		t.Errorf("the request under way: %q", got)
	}
	<-stopped
}

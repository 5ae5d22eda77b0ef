package forward

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// newStallingFront is a front whose clients have so long to send some of a body, or to take a part of an answer.
func newStallingFront(t *testing.T, at there, limit time.Duration) *front {
	t.Helper()
	f := prepareFront(t, at, Outgoing{})
	f.forwarder.server.Stall = limit
	f.Listener = BoundWrites(f.Listener, limit)
	f.Start()
	return f
}

// Row 78: a client that announces a body and does not send it, by either version of HTTP, is answered 408 and keeps no connection to the app.
func TestRow78ClientThatSendsNothingOfItsBody(t *testing.T) {
	t.Parallel()
	for name, protocol := range map[string]string{"HTTP/1.1": "1", "h2c": "2"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			left := make(chan struct{})
			app := newApp(t, func(_ http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				close(left)
			})
			server := newStallingFront(t, app, 200*time.Millisecond)
			if protocol == "1" {
				status, _, _ := send(t, server.Server, "POST / HTTP/1.1\r\nHost: app\r\nContent-Length: 10\r\n\r\nx")
				if status != http.StatusRequestTimeout {
					t.Errorf("%d; want 408", status)
				}
			} else {
				body, _ := io.Pipe()
				r, err := http.NewRequestWithContext(t.Context(), "POST", server.URL+"/", body)
				if err != nil {
					t.Fatal(err)
				}
				res, err := h2cClient(t).Do(r)
				if err != nil {
					t.Fatal(err)
				}
				res.Body.Close()
				if res.StatusCode != http.StatusRequestTimeout {
					t.Errorf("%d; want 408", res.StatusCode)
				}
			}
			<-left
		})
	}
}

// Row 78: pauses that are shorter than the limit are a slow client's right, however many there are; and an app that does not read is not held
// against the client.
func TestRow78SlowClientsAreServed(t *testing.T) {
	t.Parallel()
	const limit = 3 * time.Second // a busy machine pauses too
	app := newApp(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/late" {
			time.Sleep(limit + time.Second)
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("%s: %v", r.URL.Path, err)
		}
		_, _ = w.Write(body[:min(len(body), 4)])
	})
	server := newStallingFront(t, app, limit)
	for name, client := range map[string]*http.Client{"HTTP/1.1": {Transport: &http.Transport{}}, "h2c": h2cClient(t)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in, out := io.Pipe()
			go func() {
				for range 8 {
					time.Sleep(limit / 6)
					_, _ = io.WriteString(out, "x")
				}
				out.Close()
			}()
			for path, body := range map[string]io.Reader{"/slow": in, "/late": bytes.NewReader(make([]byte, 8<<20))} {
				r, err := http.NewRequestWithContext(t.Context(), "POST", server.URL+path, body)
				if err != nil {
					t.Fatal(err)
				}
				res, err := client.Do(r)
				if err != nil {
					t.Fatal(err)
				}
				text, err := io.ReadAll(res.Body)
				res.Body.Close()
				if res.StatusCode != 200 || len(text) != 4 || err != nil {
					t.Errorf("%s: %d with %d bytes, %v", path, res.StatusCode, len(text), err)
				}
			}
		})
	}
}

// Row 78: nor does a client hold an app for ever that takes nothing of what the app says ahead of its answer.
func TestRow78ClientThatTakesNoInterimAnswer(t *testing.T) {
	t.Parallel()
	left := make(chan struct{})
	app := newApp(t, func(w http.ResponseWriter, r *http.Request) {
		defer close(left)
		w.Header()["Link"] = []string{strings.Repeat("x", 16<<10)}
		for r.Context().Err() == nil {
			w.WriteHeader(http.StatusEarlyHints)
		}
	})
	server := newStallingFront(t, app, 200*time.Millisecond)
	conn := dial(t, server.Server)
	_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: app\r\n\r\n")
	select {
	case <-left:
	case <-time.After(20 * time.Second):
		t.Error("the app still writes")
	}
}

// Row 78: a client that takes nothing of its answer is cut off, and the app is free again. By HTTP/2 it is the window that stays closed.
func TestRow78ClientThatTakesNothing(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"HTTP/1.1", "h2c"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			left := make(chan struct{})
			app := newApp(t, func(w http.ResponseWriter, r *http.Request) {
				defer close(left)
				for chunk := make([]byte, 64<<10); r.Context().Err() == nil; {
					if _, err := w.Write(chunk); err != nil {
						return
					}
				}
			})
			server := newStallingFront(t, app, 200*time.Millisecond)
			if name == "HTTP/1.1" {
				conn := dial(t, server.Server)
				_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: app\r\n\r\n")
			} else {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				r, err := http.NewRequestWithContext(ctx, "GET", server.URL+"/", http.NoBody)
				if err != nil {
					t.Fatal(err)
				}
				res, err := h2cClient(t).Do(r)
				if err != nil {
					t.Fatal(err)
				}
				defer func() {
					cancel()
					res.Body.Close()
				}()
			}
			select {
			case <-left:
			case <-time.After(20 * time.Second):
				t.Error("the app still writes")
			}
		})
	}
}

// Row 78: an event stream rests longer than a client may stall, and the next request of the connection is not cut short by what was set for the one
// before.
func TestRow78RestIsNoStall(t *testing.T) {
	t.Parallel()
	const limit = 2 * time.Second // a busy machine rests too
	app := newApp(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if r.URL.Path == "/events" {
			w.Header().Set("Content-Type", "text/event-stream")
			_ = http.NewResponseController(w).Flush()
		}
		time.Sleep(limit + time.Second)
		if r.Context().Err() != nil {
			t.Errorf("%s was given up", r.URL.Path)
		}
		_, _ = io.WriteString(w, "data: late\n\n")
	})
	server := newStallingFront(t, app, limit)
	conn := dial(t, server.Server)
	reader := bufio.NewReader(conn)
	for _, request := range []string{
		"POST /body HTTP/1.1\r\nHost: app\r\nContent-Length: 2\r\n\r\nab", "GET /events HTTP/1.1\r\nHost: app\r\n\r\n", "GET /plain HTTP/1.1\r\nHost: app\r\n\r\n",
	} {
		if _, err := io.WriteString(conn, request); err != nil {
			t.Fatal(err)
		}
		if status, body, _ := readAnswer(t, reader); status != 200 || !strings.Contains(body, "late") {
			t.Fatalf("%.12s: %d %q", request, status, body)
		}
	}
	r, err := http.NewRequestWithContext(t.Context(), "POST", server.URL+"/events", strings.NewReader("ab"))
	if err != nil {
		t.Fatal(err)
	}
	res, err := h2cClient(t).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if text, err := io.ReadAll(res.Body); err != nil || !strings.Contains(string(text), "late") {
		t.Errorf("h2c: %q, %v", text, err)
	}
}

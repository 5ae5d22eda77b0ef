package e2e

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"strings"
	"sync"
	"testing"
)

// Recorder is an app that understands as little HTTP as possible, so that it shows exactly what was sent to it.
type Recorder struct {
	Addr string // host:port

	answer func(head string) string
	mu     sync.Mutex
	conns  []*wire
}

type wire struct {
	all   bytes.Buffer
	heads []string
}

// OK is the shortest complete answer.
const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

// RawUpstream listens on a loopback port and answers each request head with the bytes that answer returns for it (nil: [OK]). An empty answer closes
// the connection; after a 101, and after an answer that ends in the middle, everything that still comes is recorded and nothing answered.
func RawUpstream(t testing.TB, answer func(head string) string) *Recorder {
	t.Helper()
	if answer == nil {
		answer = func(string) string { return OK }
	}
	u := &Recorder{answer: answer}
	u.Addr = listen(t, "127.0.0.1:0", func(conn net.Conn) {
		w := &wire{}
		u.mu.Lock()
		u.conns = append(u.conns, w)
		u.mu.Unlock()
		u.serve(conn, w)
	})
	return u
}

// Heads is every request head so far, request line to empty line.
func (u *Recorder) Heads() []string {
	u.mu.Lock()
	defer u.mu.Unlock()
	var all []string
	for _, w := range u.conns {
		all = append(all, w.heads...)
	}
	return all
}

// Bytes is everything that came, one string for each connection.
func (u *Recorder) Bytes() []string {
	u.mu.Lock()
	defer u.mu.Unlock()
	var all []string
	for _, w := range u.conns {
		all = append(all, w.all.String())
	}
	return all
}

func (u *Recorder) serve(conn net.Conn, w *wire) {
	in := bufio.NewReader(io.TeeReader(conn, writerFunc(func(p []byte) {
		u.mu.Lock()
		defer u.mu.Unlock()
		w.all.Write(p)
	})))
	for {
		head, err := readHead(in)
		if err != nil {
			return
		}
		u.mu.Lock()
		w.heads = append(w.heads, head)
		u.mu.Unlock()
		skipBody(in, head)
		reply := u.answer(head)
		if reply == "" {
			return
		}
		if _, err := io.WriteString(conn, reply); err != nil {
			return
		}
		if strings.HasPrefix(reply, "HTTP/1.1 101") || !strings.Contains(reply, "\r\n\r\n") {
			_, _ = io.Copy(io.Discard, in)
			return
		}
	}
}

func readHead(in *bufio.Reader) (string, error) {
	var head strings.Builder
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return "", err
		}
		head.WriteString(line)
		if strings.TrimRight(line, "\r\n") == "" {
			return head.String(), nil
		}
	}
}

// skipBody reads past the body that the head announces, so that what follows is the next head.
func skipBody(in *bufio.Reader, head string) {
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(head)))
	switch {
	case err != nil:
	case r.ContentLength > 0:
		_, _ = io.CopyN(io.Discard, in, r.ContentLength)
	case r.ContentLength < 0:
		_, _ = io.Copy(io.Discard, httputil.NewChunkedReader(in))
		_, _ = readHead(in) // trailers
	}
}

type writerFunc func(p []byte)

func (f writerFunc) Write(p []byte) (int, error) {
	f(p)
	return len(p), nil
}

// listen serves connections until the end of the test, and waits until all of them have ended.
func listen(t testing.TB, addr string, serve func(net.Conn)) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	var (
		mu   sync.Mutex
		open = map[net.Conn]bool{}
		done sync.WaitGroup
		over bool
	)
	done.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			if over {
				conn.Close()
			} else {
				open[conn] = true
				done.Go(func() {
					defer func() {
						conn.Close()
						mu.Lock()
						delete(open, conn)
						mu.Unlock()
					}()
					serve(conn)
				})
			}
			mu.Unlock()
		}
	})
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		over = true
		for conn := range open {
			conn.Close()
		}
		mu.Unlock()
		done.Wait()
	})
	return l.Addr().String()
}

package e2e

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"
)

// Raw sends the bytes as they are, whatever a client library would say of them, and returns everything that comes back until the other side closes,
// or until nothing came for half a second. Lines may be written with "\n" in the test: only requests that contain no "\r" are rewritten to "\r\n".
func Raw(t testing.TB, addr, request string) string {
	t.Helper()
	return ReadUntilQuiet(send(t, addr, request), 500*time.Millisecond)
}

// RawResponse is Raw for an answer that is HTTP.
func RawResponse(t testing.TB, addr, request string) *Response {
	t.Helper()
	conn := send(t, addr, request)
	_ = conn.SetReadDeadline(time.Now().Add(Patience))
	method, _, _ := strings.Cut(request, " ")
	resp, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method, URL: &url.URL{Scheme: "http", Host: addr}})
	if err != nil {
		t.Fatalf("the answer of %s: %v", addr, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("the answer of %s: %v", addr, err)
	}
	return &Response{Response: resp, Body: string(body)}
}

func send(t testing.TB, addr, request string) net.Conn {
	t.Helper()
	if !strings.Contains(request, "\r") {
		request = strings.ReplaceAll(request, "\n", "\r\n")
	}
	conn := Dial(t, addr)
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatalf("send to %s: %v", addr, err)
	}
	return conn
}

// Dial opens a TCP connection that is closed at the end of the test.
func Dial(t testing.TB, addr string) net.Conn {
	t.Helper()
	conn, err := (&net.Dialer{Timeout: 5 * time.Second}).DialContext(context.Background(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// ReadUntilQuiet is what comes until the other side closes, or until nothing came for so long after the first byte (10 s before it).
func ReadUntilQuiet(conn net.Conn, quiet time.Duration) string {
	var text strings.Builder
	buf := make([]byte, 32<<10)
	wait := 10 * time.Second
	for {
		_ = conn.SetReadDeadline(time.Now().Add(wait))
		n, err := conn.Read(buf)
		text.Write(buf[:n])
		if err != nil {
			if !errors.Is(err, os.ErrDeadlineExceeded) && !errors.Is(err, io.EOF) && text.Len() == 0 {
				return "(" + err.Error() + ")"
			}
			return text.String()
		}
		wait = quiet
	}
}

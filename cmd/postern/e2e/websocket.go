package e2e

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"golang.org/x/net/websocket"
)

// DialWebSocket opens a WebSocket at the listener for a host and path of a URL; headers are names and values in turn. It is closed at the end of
// the test.
func DialWebSocket(t testing.TB, addr, url, origin string, headers ...string) (*websocket.Conn, error) {
	t.Helper()
	config, err := websocket.NewConfig(url, origin)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		config.Header.Set(headers[i], headers[i+1])
	}
	return websocket.NewClient(config, Dial(t, addr))
}

// CloseOf reads on until the other side says Close, and returns its status code and reason (RFC 6455 §5.5.1). The answer to it is sent.
func CloseOf(ws *websocket.Conn) (code int, reason string, err error) {
	_ = ws.SetReadDeadline(time.Now().Add(Patience))
	for {
		frame, err := ws.NewFrameReader()
		if err != nil {
			return 0, "", fmt.Errorf("no Close frame: %w", err)
		}
		payload, err := io.ReadAll(frame)
		if err != nil {
			return 0, "", err
		}
		if frame.PayloadType() != websocket.CloseFrame {
			continue
		}
		if len(payload) < 2 {
			return 0, "", errors.New("a Close frame without a code")
		}
		_ = ws.Close() // it answers first
		return int(binary.BigEndian.Uint16(payload)), string(payload[2:]), nil
	}
}

// DialEvents opens an event stream and returns when its first event is there; headers are names and values in turn. It is closed at the end
// of the test.
func DialEvents(t testing.TB, addr, host, path string, headers ...string) *bufio.Reader {
	t.Helper()
	conn := Dial(t, addr)
	head := "GET " + path + " HTTP/1.1\r\nHost: " + host + "\r\n"
	for i := 0; i+1 < len(headers); i += 2 {
		head += headers[i] + ": " + headers[i+1] + "\r\n"
	}
	if _, err := io.WriteString(conn, head+"\r\n"); err != nil {
		t.Fatal(err)
	}
	_ = conn.SetReadDeadline(time.Now().Add(Patience))
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("event stream: %v %v", answer, err)
	}
	t.Cleanup(func() {
		conn.Close() // else the body would be read to its end
		answer.Body.Close()
	})
	events := bufio.NewReader(answer.Body)
	if line, err := events.ReadString('\n'); err != nil {
		t.Fatalf("event stream: %q %v", line, err)
	}
	return events
}

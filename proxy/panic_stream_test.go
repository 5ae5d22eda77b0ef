package proxy

import (
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/websocket"
)

// trapped is a listener whose connections panic once the trap is set, with what is written.
type trapped struct {
	net.Listener
	set *atomic.Bool
}

func (l trapped) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	return trappedConn{conn, l.set}, err
}

type trappedConn struct {
	net.Conn
	set *atomic.Bool
}

func (c trappedConn) Write(p []byte) (int, error) {
	if c.set.Load() {
		panic("hush: " + string(p))
	}
	return c.Conn.Write(p)
}

// A panic about an upgraded connection, which no goroutine of net/http sees any more, is noted as any other, and the others are served on.
func TestPanicInAnUpgradedConnectionIsNoted(t *testing.T) {
	t.Parallel()
	app := httptest.NewServer(websocket.Handler(func(conn *websocket.Conn) { _, _ = io.Copy(conn, conn) }))
	t.Cleanup(app.Close)
	log := make(chan string, 10)
	d := newDoor(t, strings.TrimPrefix(app.URL, "http://"), func(_ *Config, deps *Deps) {
		deps.Log = slog.New(slog.NewTextHandler(lines(func(line string) { log <- line }), nil))
	})
	var set atomic.Bool
	server := httptest.NewUnstartedServer(d)
	server.Listener = trapped{server.Listener, &set}
	server.Start()
	t.Cleanup(server.Close)
	ws := dialWebSocket(t, server, "/ws", d.cookie)
	set.Store(true)
	if _, err := io.WriteString(ws, "hush"); err != nil {
		t.Fatal(err)
	}
	_ = ws.SetReadDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.ReadFull(ws, make([]byte, 1)); err == nil {
		t.Error("the app's answer arrived")
	}
	noted, event := <-log, <-log
	if !strings.Contains(noted, "msg=panic") || !strings.Contains(noted, "trappedConn") || strings.Contains(noted, "hush") {
		t.Error(noted)
	}
	if !strings.Contains(event, "msg=request") || !strings.Contains(event, "stream_ended=internal_error") {
		t.Error(event)
	}
	wantCount(t, d.Handler, "internal_error")
	set.Store(false)
	if res, err := http.Get(server.URL); err != nil || res.StatusCode == http.StatusInternalServerError {
		t.Errorf("the next request: %v", err)
	} else {
		res.Body.Close()
	}
}

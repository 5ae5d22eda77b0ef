package forward

import (
	"bufio"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/net/websocket"
)

const switching = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: "

// TestS01OnlyWebSocketIsForwarded: no other upgrade gets a connection to the app on which nobody decides any more.
func TestS01OnlyWebSocketIsForwarded(t *testing.T) {
	t.Parallel()
	const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
	for name, head := range map[string]string{
		"h2c":                "GET /public HTTP/1.1\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n",
		"h2c in capitals":    "GET /public HTTP/1.1\r\nConnection: upgrade, http2-settings\r\nupgrade: H2C\r\nhttp2-settings: AA\r\n",
		"settings alone":     "GET /public HTTP/1.1\r\nHTTP2-Settings: AA\r\n",
		"a list":             "GET /public HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket, h2c\r\n",
		"two lines":          "GET /public HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nUpgrade: h2c\r\n",
		"TLS":                "GET /public HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: TLS/1.0\r\n",
		"no Connection":      "GET /public HTTP/1.1\r\nUpgrade: websocket\r\n",
		"not printable":      "GET /public HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: h\xff2c\r\n",
		"WebSocket by POST":  "POST /public HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n",
		"WebSocket, body":    "GET /public HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 24\r\n",
		"WebSocket, chunks":  "GET /public HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nTransfer-Encoding: chunked\r\n",
		"WebSocket HTTP/1.0": "GET /public HTTP/1.0\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n",
	} {
		for _, protocol := range []string{"h2c", "websocket", ""} {
			t.Run(name+" to "+protocol, func(t *testing.T) {
				t.Parallel()
				answer := switching + protocol + "\r\n\r\n"
				if protocol == "" { // a 101 that names nothing: a careless proxy would relay it
					answer = "HTTP/1.1 101 Switching Protocols\r\n\r\n"
				}
				app := newRawApp(t, answer)
				server := newFront(t, there{Host: app.address}, Outgoing{})
				if status, _, _ := send(t, server.Server, head+"Host: app\r\n\r\n"+preface); status != http.StatusBadGateway && status != http.StatusBadRequest {
					t.Errorf("%d; want 502", status)
				}
				server.Close()
				for _, seen := range app.requests() {
					got, after, _ := strings.Cut(seen, "\r\n\r\n")
					if name == "WebSocket, body" {
						after = strings.TrimPrefix(after, preface) // that is the body, and framed as one
					}
					if after != "" || strings.Contains(strings.ToLower(got), "upgrade") ||
						strings.Contains(strings.ToLower(got), "http2-settings") {
						t.Errorf("the app saw %q", seen)
					}
				}
			})
		}
	}
}

func TestS01UnaskedSwitchIs502(t *testing.T) {
	t.Parallel()
	app := newRawApp(t, switching+"h2c\r\n\r\n")
	server := newFront(t, there{Host: app.address}, Outgoing{})
	if status, _, _ := send(t, server.Server, "GET / HTTP/1.1\r\nHost: app\r\n\r\n"); status != 502 {
		t.Errorf("plain request: %d", status)
	}
	if status, _, _ := send(t, server.Server, "GET / HTTP/1.1\r\nHost: app\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"); status != 502 {
		t.Errorf("another protocol than asked for: %d", status)
	}
}

func TestWebSocketEchoes(t *testing.T) {
	t.Parallel()
	echo := websocket.Server{Handler: func(conn *websocket.Conn) {
		for {
			var text string
			if websocket.Message.Receive(conn, &text) != nil || websocket.Message.Send(conn, text) != nil {
				return
			}
		}
	}}
	for _, h2c := range []bool{false, true} { // WebSocket goes by HTTP/1.1 also to an app that speaks h2c
		app := newApp(t, echo.ServeHTTP)
		app.H2C = h2c
		server := newFront(t, app, Outgoing{})
		conn, err := websocket.Dial(strings.Replace(server.URL, "http", "ws", 1)+"/chat?x", "", server.URL)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		for _, text := range []string{"hei", strings.Repeat("x", 64<<10)} {
			if err := websocket.Message.Send(conn, text); err != nil {
				t.Fatal(err)
			}
			var got string
			if err := websocket.Message.Receive(conn, &got); err != nil || got != text {
				t.Fatalf("h2c %v: %d bytes, %v", h2c, len(got), err)
			}
		}
	}
}

// TestAdvisory1347FailedUpgradeIsNoTunnel: peers.md row 77. What follows a refused handshake is a request like any other.
func TestAdvisory1347FailedUpgradeIsNoTunnel(t *testing.T) {
	t.Parallel()
	app := newApp(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Saw", r.Header.Get("X-Ours")+r.URL.Path)
		w.WriteHeader(http.StatusNotFound)
	})
	var requests atomic.Int32
	server := newFront(t, app, Outgoing{Errand: preparing(func(out, _ *http.Request) {
		requests.Add(1)
		out.Header["X-Ours"] = []string{"checked"}
	})})
	conn := dial(t, server.Server)
	reader := bufio.NewReader(conn)
	for _, request := range []string{
		"GET /ws HTTP/1.1\r\nHost: app\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
		"GET /second HTTP/1.1\r\nHost: app\r\nX-Ours: forged\r\n\r\n",
	} {
		if _, err := io.WriteString(conn, request); err != nil {
			t.Fatal(err)
		}
		status, _, res := readAnswer(t, reader)
		if status != 404 || !strings.HasPrefix(res.Header.Get("X-Saw"), "checked/") {
			t.Errorf("%d, the app saw %q", status, res.Header.Get("X-Saw"))
		}
	}
	if n := requests.Load(); n != 2 {
		t.Errorf("%d requests were prepared; want 2", n)
	}
}

func TestIsUpgrade(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequest("GET", "/", nil)
	r.Header["Connection"], r.Header["Upgrade"] = []string{"keep-alive", "foo, UPGRADE"}, []string{"WebSocket"}
	if !IsUpgrade(r) {
		t.Error("a handshake in other words is one, too")
	}
	if sent := requestHeader(r.Header, nil, true); sent.Get("Upgrade") != "WebSocket" || sent.Get("Connection") != "Upgrade" {
		t.Errorf("of a handshake is passed on %v", sent)
	}
	r.ProtoMajor, r.ProtoMinor = 2, 0
	if IsUpgrade(r) || !AsksForUpgrade(r) {
		t.Error("HTTP/2 has no Upgrade")
	}
	if sent := requestHeader(r.Header, nil, false); len(sent) != 0 || r.Header.Get("Upgrade") == "" {
		t.Errorf("of an offer that is ignored is passed on %v", sent)
	}
}

package e2e

import (
	"bufio"
	"io"
	"strings"
	"testing"
)

// Row 76, CVE-2025-64763: bytes that a client sends behind its handshake before the app has answered. A refused handshake leaves them to be the next
// request, decided on as such. Those behind an accepted one are the app's, like all that comes later: it has said that it speaks WebSocket, and nobody takes them
// for a request.
func TestRow76BytesAheadOfTheAnswerToAnUpgrade(t *testing.T) {
	t.Parallel()
	policy := t.TempDir() + "/policy.yaml"
	writeFile(t, policy, "apiVersion: postern/v1\napp: {cluster: dev, namespace: team, name: app}\npaths:\n  - {match: /ws/**, public: true}\n")
	app := RawUpstream(t, func(head string) string {
		switch {
		case strings.HasPrefix(head, "GET /ws/accepted "):
			return "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nwelcome"
		case strings.HasPrefix(head, "GET /ws/other "):
			return "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
		case strings.HasPrefix(head, "GET /ws/interim "):
			return "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
		case strings.HasPrefix(head, "GET /ws/refused "):
			return "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
		}
		return OK
	})
	w := newWorld(t, worldOptions{app: &AppServer{Addr: app.Addr}, env: map[string]string{"POSTERN_POLICY_FILE": policy}})
	next := "GET /closed HTTP/1.1\r\nHost: " + w.host() + "\r\nConnection: close\r\n\r\n"
	handshake := func(path, more string) string {
		return "GET " + path + " HTTP/1.1\r\nHost: " + w.host() + "\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" +
			"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" + more + "\r\n"
	}
	for name, test := range map[string]struct{ request, want string }{
		"refused":                  {handshake("/ws/refused", "") + next, "404 401"},
		"refused after an interim": {handshake("/ws/interim", "") + next, "103 404 401"},
		"another protocol":         {handshake("/ws/other", "") + next, "502 401"},
		"two protocols":            {handshake("/ws/refused", "Upgrade: h2c\r\n") + next, "404 401"},
		"with a body":              {handshake("/ws/refused", "Content-Length: 3\r\n") + "abc" + next, "404 401"},
		"by POST":                  {strings.Replace(handshake("/ws/refused", ""), "GET", "POST", 1) + next, "200 401"},
		"behind a closed path":     {handshake("/closed", "") + next, "401 401"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := statuses(Raw(t, w.Addr, test.request)); got != test.want {
				t.Errorf("answers %q, want %q", got, test.want)
			}
		})
	}
	t.Run("accepted", func(t *testing.T) {
		t.Parallel()
		conn := Dial(t, w.Addr)
		if _, err := io.WriteString(conn, handshake("/ws/accepted", "")+next+"and more"); err != nil {
			t.Fatal(err)
		}
		in := bufio.NewReader(conn)
		head, err := readHead(in)
		if err != nil || !strings.HasPrefix(head, "HTTP/1.1 101 ") {
			t.Fatalf("%q, %v", head, err)
		}
		welcome := make([]byte, len("welcome"))
		if _, err := io.ReadFull(in, welcome); err != nil || string(welcome) != "welcome" {
			t.Errorf("%q, %v", welcome, err)
		}
		if _, err := io.WriteString(conn, "later"); err != nil {
			t.Fatal(err)
		}
		Eventually(t, "what was sent later", func() error {
			for _, all := range app.Bytes() {
				if _, from, found := strings.Cut(all, "GET /ws/accepted "); found { // the connection may have served others before
					if _, after, _ := strings.Cut(from, "\r\n\r\n"); after != next+"and more"+"later" {
						return errorf("%q", after)
					}
					return nil
				}
			}
			return errorf("no handshake")
		})
	})
	t.Cleanup(func() {
		for _, head := range app.Heads() {
			if strings.HasPrefix(head, "GET /closed") {
				t.Errorf("the app was asked %.40q", head)
			}
		}
	})
}

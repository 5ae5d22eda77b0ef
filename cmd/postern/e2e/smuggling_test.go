package e2e

import (
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// Row 76, at the binary itself: bytes that two readers could cut in different places. Whatever comes behind them is decided on as a request of its
// own, by a policy that closes /smuggled, and never reaches the app; what reaches the app is framed anew.
func TestAdvisoryCVE2022_1705Smuggling(t *testing.T) {
	t.Parallel()
	policy := t.TempDir() + "/policy.yaml"
	writeFile(t, policy, "apiVersion: postern/v1\napp: {cluster: dev, namespace: team, name: app}\npaths:\n  - {match: /first, public: true}\n")
	app := RawUpstream(t, nil)
	w := newWorld(t, worldOptions{app: &AppServer{Addr: app.Addr}, env: map[string]string{"POSTERN_POLICY_FILE": policy}})
	post := "POST /first HTTP/1.1\r\nHost: " + w.host() + "\r\n"
	next := "GET /smuggled HTTP/1.1\r\nHost: " + w.host() + "\r\nConnection: close\r\n\r\n"
	chunked := post + "Transfer-Encoding: chunked\r\n\r\n"
	for name, test := range map[string]struct {
		request string
		answers string // statuses in order
	}{
		"CL.TE":                      {post + "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + next, "200 401"},
		"TE.CL":                      {post + "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n5c\r\n" + strings.Repeat("x", 0x5c) + "\r\n0\r\n\r\n" + next, "200 401"},
		"TE.TE":                      {post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n" + next, "501"},
		"TE behind a tab":            {post + "Transfer-Encoding:\tchunked\r\n\r\n0\r\n\r\n" + next, "200 401"},
		"TE behind a vertical tab":   {post + "Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n" + next, "400"},
		"TE folded":                  {post + "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n" + next, "200 401"},
		"TE with a space before it":  {post + " Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + next, "400"},
		"TE with a space behind it":  {post + "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + next, "400"},
		"two lengths":                {post + "Content-Length: 3\r\nContent-Length: 40\r\n\r\nabc" + next, "400"},
		"two like lengths":           {post + "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc" + next, "200 401"},
		"length with a plus":         {post + "Content-Length: +3\r\n\r\nabc" + next, "400"},
		"length with an underscore":  {post + "Content_Length: 60\r\n\r\n" + next, "200 401"},
		"length with a NUL":          {post + "Content-Length: 3\x00\r\n\r\nabc" + next, "400"},
		"NUL in a name":              {post + "Content\x00-Length: 3\r\n\r\nabc" + next, "400"},
		"bare CR as the end of line": {post + "X: y\rContent-Length: 3\r\n\r\nabc" + next, "400"},
		"bare LF in a chunk line":    {chunked + "3\nabc\r\n0\r\n\r\n" + next, "400"},
		"bare LF behind a chunk":     {chunked + "3\r\nabc\n0\r\n\r\n" + next, "400"},
		"extension with a bare LF":   {chunked + "3;a=b\nabc\r\n0\r\n\r\n" + next, "400"},
		"extension":                  {chunked + "3;a=\"\\\r\\\n\"\r\nabc\r\n0\r\n\r\n" + next, "400"},
		"plain extension":            {chunked + "3;a=b\r\nabc\r\n0\r\n\r\n" + next, "200 401"},
		"extensions without end":     {chunked + strings.Repeat("1;"+strings.Repeat("a", 3000)+"\r\nx\r\n", 100) + "0\r\n\r\n" + next, "400"},
		"chunk of 2^64":              {chunked + "10000000000000003\r\nabc\r\n0\r\n\r\n" + next, "400"},
		"negative chunk":             {chunked + "-1\r\nabc\r\n0\r\n\r\n" + next, "400"},
		"0x chunk":                   {chunked + "0x3\r\nabc\r\n0\r\n\r\n" + next, "400"},
		"trailers that are managed":  {chunked + "3\r\nabc\r\n0\r\nX-Postern-User: kari\r\nContent-Length: 60\r\n\r\n" + next, "200 401"},
		"GET with a body":            {"GET /first HTTP/1.1\r\nHost: " + w.host() + "\r\nContent-Length: 3\r\n\r\nabc" + next, "200 401"},
		"absolute form, other host":  {"GET http://other.example/first HTTP/1.1\r\nHost: " + w.host() + "\r\n\r\n", "400"},
		"absolute form, own host":    {"GET http://" + w.host() + "/smuggled HTTP/1.1\r\nHost: " + w.host() + "\r\nConnection: close\r\n\r\n", "401"},
		"upgrade that is refused":    {"GET /first HTTP/1.1\r\nHost: " + w.host() + "\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n" + next, "200 401"},
		"upgrade to h2c":             {"GET /first HTTP/1.1\r\nHost: " + w.host() + "\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n" + next, "200 401"},
		"CONNECT with early data":    {"CONNECT " + w.host() + " HTTP/1.1\r\nHost: " + w.host() + "\r\n\r\n" + next, "405 401"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := statuses(Raw(t, w.Addr, test.request)); got != test.answers {
				t.Errorf("answers %q, want %q", got, test.answers)
			}
		})
	}
	t.Cleanup(func() {
		for _, head := range app.Heads() {
			folded := strings.ToLower(head)
			if line, _, _ := strings.Cut(head, "\r\n"); !strings.HasSuffix(line, " /first HTTP/1.1") {
				t.Errorf("the app was asked %q", line)
			}
			if strings.Contains(folded, "content-length:") && strings.Contains(folded, "transfer-encoding:") || strings.Contains(folded, "h2c") ||
				strings.Contains(folded, "http2-settings") || strings.Contains(folded, "\r\n ") || strings.Contains(head, "\x00") {
				t.Errorf("the app could read more than one thing: %q", head)
			}
		}
		for _, all := range app.Bytes() {
			if strings.Contains(all, "smuggled") || strings.Contains(all, "kari") {
				t.Errorf("the app was sent %.300q", all)
			}
		}
	})
}

// statuses is the status codes of the answers in what came back.
func statuses(raw string) string {
	var all []string
	for rest := raw; ; {
		_, after, found := strings.Cut(rest, "HTTP/1.1 ")
		if !found || len(after) < 3 {
			return strings.Join(all, " ")
		}
		all, rest = append(all, after[:3]), after
	}
}

// Row 77: a WebSocket that the app refuses leaves no tunnel; the next request on the connection is authenticated afresh.
func TestRow77FailedUpgradeLeavesNoTunnel(t *testing.T) {
	t.Parallel()
	app := RawUpstream(t, func(head string) string {
		if strings.Contains(head, "websocket") {
			return "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
		}
		return OK
	})
	w := newWorld(t, worldOptions{app: &AppServer{Addr: app.Addr}})
	c := NewClient(t)
	w.login(t, c, "kari", "")
	name, value := w.sessionCookie(c)
	conn := Dial(t, w.Addr)
	upgrade := "GET /ws HTTP/1.1\r\nHost: " + w.host() + "\r\nOrigin: " + w.origin() + "\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nCookie: " + name + "=" + value + "\r\n\r\n"
	for range 2 {
		if got := statuses(exchange(t, conn, upgrade)); got != "404" {
			t.Fatalf("upgrade: %q", got)
		}
		if got := statuses(exchange(t, conn, "GET /next HTTP/1.1\r\nHost: "+w.host()+"\r\nX-Postern-User: Z990002\r\n\r\n")); got != "200" {
			t.Fatalf("next: %q", got)
		}
	}
	heads := app.Heads()
	for _, head := range heads[len(heads)-4:] {
		named := strings.Contains(head, "X-Postern-User: Z990001\r\n")
		if strings.HasPrefix(head, "GET /ws ") != named || strings.Contains(head, "Z990002") {
			t.Errorf("the app was told %q", head)
		}
	}
}

func exchange(t testing.TB, conn net.Conn, request string) string {
	t.Helper()
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	return ReadUntilQuiet(conn, 200*time.Millisecond)
}

// Row 78: a client that is slow with its body, or with taking its answer, holds its own connection and nothing that others need: as many of them as
// there could be connections to the app leave the next request quick, and own endpoints give such a body up.
func TestRow78SlowBodies(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{env: map[string]string{"POSTERN_LIMITS_HEADER_TIME": "1s"}})
	for i := range 300 {
		conn := Dial(t, w.Addr)
		if _, err := fmt.Fprintf(conn, "POST /slow%d HTTP/1.1\r\nHost: %s\r\nContent-Length: 1000\r\n\r\nx", i, w.host()); err != nil {
			t.Fatal(err)
		}
	}
	if seen := w.get(t, NewClient(t), "/quick"); seen.Header.Get("X-Request-Id") == "" {
		t.Error("no answer of the app")
	}
	conn := Dial(t, w.Addr)
	head := "POST /oauth2/logout/backchannel HTTP/1.1\r\nHost: " + w.host() + "\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 1000\r\n\r\nlogout_token="
	if _, err := io.WriteString(conn, head); err != nil {
		t.Fatal(err)
	}
	_ = conn.SetReadDeadline(time.Now().Add(Patience))
	if _, err := io.ReadAll(conn); err != nil && strings.Contains(err.Error(), "timeout") {
		t.Error("an own endpoint waits for its body")
	}
}

package e2e

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// idleAtMost is what the process may take, in bytes, with so many idle WebSockets: 220 MB with 5 000 of them, of which 70 MB are there without
// any, or are room for garbage.
func idleAtMost(count int) int64 {
	const allOf, limit, without = 5000, 220_000_000, 70_000_000
	return without + int64(count)*(limit-without)/allOf
}

// Row 78: idle WebSockets of somebody who is signed in. There are 5 000, or as many as POSTERN_IDLE_WEBSOCKETS says or the test's own file limit
// (ulimit -n, two for each) allows, at the same price each.
func TestRow78IdleWebSocketsAreCheap(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{app: switchingApp(t), env: map[string]string{"POSTERN_LOG_LEVEL": "warn"}})
	c := NewClient(t)
	w.login(t, c, "kari", "")
	name, value := w.sessionCookie(c)
	w.holdIdleWebSockets(t, idleWebSockets(t, 5000), "Cookie: "+name+"="+value+"\r\n", func() net.Conn { return Dial(t, w.Addr) })
}

// Row 78, with TLS ended by Postern.
func TestRow78IdleWebSocketsAreCheapByTLS(t *testing.T) {
	t.Parallel()
	dir, roots := t.TempDir(), x509.NewCertPool()
	leaf, der := certificate(t, &x509.Certificate{DNSNames: []string{"app.localhost"}, IsCA: true, BasicConstraintsValid: true}, nil)
	roots.AddCert(leaf.Leaf)
	key, err := x509.MarshalPKCS8PrivateKey(leaf.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{"POSTERN_LOG_LEVEL": "warn", "POSTERN_TLS_CERT_FILE": filepath.Join(dir, "cert.pem"), "POSTERN_TLS_KEY_FILE": filepath.Join(dir, "key.pem")}
	writeFile(t, files["POSTERN_TLS_CERT_FILE"], string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	writeFile(t, files["POSTERN_TLS_KEY_FILE"], string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})))
	w := prepareWorld(t, worldOptions{app: switchingApp(t), env: files})
	w.env["POSTERN_INGRESS"] = "https://" + w.host()
	w.Process = Start(t, w.env)
	config := &tls.Config{RootCAs: roots, ServerName: "app.localhost", MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}}
	w.holdIdleWebSockets(t, idleWebSockets(t, 500), "", func() net.Conn { return tls.Client(Dial(t, w.Addr), config) })
}

// switchingApp agrees to every WebSocket and says nothing more.
func switchingApp(t *testing.T) *AppServer {
	t.Helper()
	return &AppServer{Addr: RawUpstream(t, func(head string) string {
		if !strings.Contains(head, "websocket") {
			return OK
		}
		return "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
	}).Addr}
}

// idleWebSockets is how many to open.
func idleWebSockets(t *testing.T, count int) int {
	t.Helper()
	if text := os.Getenv("POSTERN_IDLE_WEBSOCKETS"); text != "" {
		var err error
		if count, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	var files syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files); err != nil {
		t.Fatal(err)
	}
	const others = 2000 // of tests that run at the same time
	if files.Cur < others+200 {
		t.Skipf("the file limit of %d is too low to hold WebSockets beside other tests", files.Cur)
	}
	return int(min(uint64(count), (files.Cur-others)/2))
}

// holdIdleWebSockets opens WebSockets, then looks at the memory of the process.
func (w *world) holdIdleWebSockets(t *testing.T, count int, header string, dial func() net.Conn) {
	t.Helper()
	before := w.rss(t)
	request := "GET /ws HTTP/1.1\r\nHost: " + w.host() + "\r\nOrigin: " + w.env["POSTERN_INGRESS"] + "\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" + header + "\r\n"
	for i := range count {
		conn := dial()
		if _, err := io.WriteString(conn, request); err != nil {
			t.Fatal(err)
		}
		_ = conn.SetReadDeadline(time.Now().Add(Patience))
		answer, err := http.ReadResponse(bufio.NewReaderSize(conn, 256), nil)
		if err != nil || answer.StatusCode != http.StatusSwitchingProtocols {
			t.Fatalf("WebSocket %d: %v %v", i, answer, err)
		}
	}
	after := w.rss(t)
	t.Logf("%d idle WebSockets: %.1f MB before, %.1f MB after, %.1f kB each", count, megabytes(before), megabytes(after), float64(after-before)/float64(count)/1e3)
	if most := idleAtMost(count); after > most {
		t.Errorf("%.1f MB, want at most %.1f", megabytes(after), megabytes(most))
	}
}

func megabytes(bytes int64) float64 { return float64(bytes) / 1e6 }

// rss is the resident memory of the process, in bytes.
func (p *Process) rss(t testing.TB) int64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err) // a process that is gone has no memory to be content with
	}
	_, rest, _ := strings.Cut(string(text), "VmRSS:")
	kib, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return kib << 10
}

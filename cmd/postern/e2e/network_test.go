package e2e

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"
)

func TestFaultProxy(t *testing.T) {
	t.Parallel()
	app := App(t, nil)
	path := FaultProxy(t, app.Addr)
	ask := func(limit time.Duration) error {
		// No connection is kept, so that each answer tells of the fault of the moment.
		client := &http.Client{Timeout: limit, Transport: &http.Transport{DisableKeepAlives: true}}
		resp, err := client.Get("http://" + path.Addr + "/")
		if err == nil {
			resp.Body.Close()
		}
		return err
	}
	if err := ask(Patience); err != nil {
		t.Fatalf("without a fault: %v", err)
	}
	path.Set(Fault{Refuse: true})
	if err := ask(Patience); err == nil || os.IsTimeout(err) {
		t.Fatalf("refused: got %v, want a connection error", err)
	}
	path.Set(Fault{BlackHole: true})
	if err := ask(300 * time.Millisecond); !os.IsTimeout(err) {
		t.Fatalf("black hole: got %v, want a time-out", err)
	}
	path.Set(Fault{DropAbove: 20})
	if err := ask(300 * time.Millisecond); !os.IsTimeout(err) {
		t.Fatalf("a request of more than 20 bytes: got %v, want a time-out", err)
	}
	path.Set(Fault{Delay: 120 * time.Millisecond})
	begin := time.Now()
	if err := ask(Patience); err != nil || time.Since(begin) < 240*time.Millisecond {
		t.Fatalf("delayed both ways: got %v after %v, want success after 240 ms or more", err, time.Since(begin))
	}
	path.Heal()
	if err := ask(Patience); err != nil {
		t.Fatalf("healed: %v", err)
	}
}

func TestFaultProxyBlackHoleKeepsConnectionsOpen(t *testing.T) {
	t.Parallel()
	path := FaultProxy(t, RawUpstream(t, nil).Addr)
	conn := Dial(t, path.Addr)
	send := func() {
		if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
	}
	send()
	if got := ReadUntilQuiet(conn, 100*time.Millisecond); got != OK {
		t.Fatalf("before: got %q", got)
	}
	path.Set(Fault{BlackHole: true})
	send()
	_ = conn.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
	if n, err := conn.Read(make([]byte, 1)); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("in the black hole: read %d bytes, %v; want silence", n, err)
	}
	path.Heal()
	send()
	if got := ReadUntilQuiet(conn, 100*time.Millisecond); got != OK {
		t.Fatalf("healed, on the same connection: got %q", got)
	}
	if path.Open() != 1 {
		t.Fatalf("%d connections, want 1", path.Open())
	}
	path.Cut()
	_ = conn.SetReadDeadline(time.Now().Add(Patience))
	if _, err := conn.Read(make([]byte, 1)); err == nil || errors.Is(err, io.EOF) || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("cut: got %v, want a reset", err)
	}
}

func TestConnectProxyReachesOnlyTheNamesOfItsTable(t *testing.T) {
	t.Parallel()
	app := App(t, nil)
	front := TLSFront(t, app.Addr, "idp.example")
	proxy := ConnectProxy(t, map[string]string{"idp.example:443": front.Addr, "plain.example": app.Addr}, "somebody", "pass word")
	pem, err := os.ReadFile(front.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	through, err := url.Parse(strings.Replace(proxy.URL, "pass word", "pass%20word", 1))
	if err != nil {
		t.Fatal(err)
	}
	ask := func(proxy *url.URL, address string) (*http.Response, error) {
		transport := &http.Transport{Proxy: http.ProxyURL(proxy), TLSClientConfig: &tls.Config{RootCAs: roots}, DisableKeepAlives: true}
		return (&http.Client{Transport: transport, Timeout: Patience}).Get(address)
	}
	for _, address := range []string{"https://idp.example/x", "http://plain.example/x"} {
		resp, err := ask(through, address)
		if err != nil {
			t.Fatalf("%s: %v", address, err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			t.Errorf("%s: status %d", address, resp.StatusCode)
		}
	}
	if resp, err := ask(through, "https://other.example/"); err == nil {
		resp.Body.Close()
		t.Error("a name that is not in the table was reached")
	}
	anonymous := *through
	anonymous.User = nil
	if resp, err := ask(&anonymous, "https://idp.example/"); err == nil {
		resp.Body.Close()
		t.Error("reached without the password")
	}
	if seen := strings.Join(proxy.Seen(), ", "); !strings.HasPrefix(seen, "CONNECT idp.example:443, GET plain.example, CONNECT other.example:443") {
		t.Errorf("seen: %s", seen)
	}
}

func TestRawUpstreamRecordsExactBytes(t *testing.T) {
	t.Parallel()
	up := RawUpstream(t, func(head string) string {
		if strings.Contains(head, "Upgrade:") {
			return "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n"
		}
		return OK
	})
	first := "POST /a%2Fb/../c HTTP/1.1\r\nhOST: A\r\nx_y:  1\r\nContent-Length: 3\r\n\r\nabc"
	second := "GET /up HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n"
	conn := Dial(t, up.Addr)
	if _, err := io.WriteString(conn, first+second+"PRI * HTTP/2.0"); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(conn)
	for _, want := range []int{200, 101} {
		resp, err := http.ReadResponse(in, nil)
		if err != nil || resp.StatusCode != want {
			t.Fatalf("got %v, %v; want %d", resp, err, want)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}
	heads := up.Heads()
	if len(heads) != 2 || heads[0] != strings.TrimSuffix(first, "abc") || heads[1] != second {
		t.Errorf("heads: %q", heads)
	}
	Eventually(t, "the bytes after the upgrade", func() error {
		if got := up.Bytes(); len(got) != 1 || got[0] != first+second+"PRI * HTTP/2.0" {
			return errors.New(strings.Join(got, "|"))
		}
		return nil
	})
}

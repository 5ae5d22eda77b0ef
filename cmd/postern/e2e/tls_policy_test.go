package e2e

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// ask is one request over a connection of TLS, and its answer.
func (w way) ask(t testing.TB, config *tls.Config, target, host string, headers ...string) (*Response, tls.ConnectionState) {
	t.Helper()
	conn := DialTLS(t, Dial(t, w.Addr), config, "http/1.1")
	defer conn.Close()
	if _, err := io.WriteString(conn, rawRequest("GET", target, host, headers...)); err != nil {
		t.Fatal(err)
	}
	_ = conn.SetDeadline(time.Now().Add(Patience))
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return &Response{Response: answer, Body: string(body)}, conn.ConnectionState()
}

// Row 82: one TLS policy a listener. No name that a client asks for (SNI), and none in Host, chooses another certificate, another version, or
// whether a client certificate counts; nor does a session that was begun under another name.
func TestRow82OnePolicyForEveryName(t *testing.T) {
	t.Parallel()
	secure, config := newTLSWorld(t, map[string]string{"POSTERN_REQUIRE_AUTH": "true"})
	w := way{secure, config}
	client, _ := certificate(t, &x509.Certificate{DNSNames: []string{"kari"}}, nil)
	tickets := tls.NewLRUClientSessionCache(8)
	var first []byte
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, name := range []string{"app.localhost", "other.example", "internal", "", "xn--nxasmq6b", strings.Repeat("a", 63) + ".example"} {
			for _, host := range []string{w.host(), "other.example", "APP.localhost:1"} {
				asked := false
				config := config.Clone()
				config.InsecureSkipVerify, config.ServerName = true, name
				config.MaxVersion, config.ClientSessionCache = version, tickets
				config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
					asked = true
					return &client, nil
				}
				answer, state := w.ask(t, config, "/x", host, "X-Forwarded-Client-Cert", "Subject=\"CN=kari\"", "X-SSL-Client-Verify", "SUCCESS")
				if answer.StatusCode != 401 {
					t.Errorf("SNI %q, Host %q: status %d; want 401", name, host, answer.StatusCode)
				}
				if asked {
					t.Errorf("SNI %q: a client certificate was asked for", name)
				}
				if first == nil {
					first = state.PeerCertificates[0].Raw
				}
				if string(state.PeerCertificates[0].Raw) != string(first) || state.Version != version {
					t.Errorf("SNI %q: another certificate, or version %x", name, state.Version)
				}
			}
		}
	}
	if n := len(secure.app.Requests()); n != 0 {
		t.Errorf("the app was asked %d times", n)
	}
}

// Row 82 (CVE-2025-68121 and its kin): versions and key exchanges of another age are refused before a byte of HTTP.
func TestRow82OldVersionsAreRefused(t *testing.T) {
	t.Parallel()
	secure, config := newTLSWorld(t, nil)
	for name, change := range map[string]func(*tls.Config){
		"TLS 1.0": func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS10 },
		"TLS 1.1": func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS11, tls.VersionTLS11 },
		"RSA exchange": func(c *tls.Config) {
			c.MaxVersion, c.CipherSuites = tls.VersionTLS12, []uint16{tls.TLS_RSA_WITH_AES_128_GCM_SHA256}
		},
		"3DES": func(c *tls.Config) {
			c.MaxVersion, c.CipherSuites = tls.VersionTLS12, []uint16{tls.TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA}
		},
		"other protocol": func(c *tls.Config) { c.NextProtos = []string{"smtp"} },
	} {
		config := config.Clone()
		config.NextProtos = []string{"http/1.1"}
		change(config)
		conn := tls.Client(Dial(t, secure.Addr), config)
		_ = conn.SetDeadline(time.Now().Add(Patience))
		if err := conn.HandshakeContext(t.Context()); err == nil {
			t.Errorf("%s was accepted", name)
		} else if strings.Contains(err.Error(), "timeout") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if raw := Raw(t, secure.Addr, rawRequest("GET", "/", secure.host())); !strings.HasPrefix(raw, "HTTP/1.0 400 ") {
		t.Errorf("in clear: %.100q", raw)
	}
	if n := len(secure.app.Requests()); n != 0 {
		t.Errorf("the app was asked %d times", n)
	}
}

// openssl runs s_client, with the input, and returns all that it says. A server that is done with it ends it.
func openssl(t testing.TB, input string, args ...string) string {
	t.Helper()
	path := program(t, "apt-get install openssl", "openssl")
	ctx, cancel := context.WithTimeout(t.Context(), Patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, append([]string{"s_client"}, args...)...)
	cmd.Stdin = strings.NewReader(input)
	text, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		t.Fatalf("openssl did not end: %v\n%s", err, text)
	}
	return string(text)
}

// Row 82: early data of TLS 1.3 can be replayed by whoever sees it (RFC 8446 §8), and renegotiation of TLS 1.2 changes who is spoken to. Tickets allow
// none of the first, and a client that sends it all the same is cut off; the second is refused.
func TestRow82NeitherEarlyDataNorRenegotiation(t *testing.T) {
	t.Parallel()
	secure, config := newTLSWorld(t, nil)
	dir := t.TempDir()
	ticket, early := filepath.Join(dir, "ticket"), filepath.Join(dir, "early")
	address := []string{"-connect", secure.Addr, "-servername", "app.localhost"}
	first := openssl(t, rawRequest("GET", "/first", secure.host()), append(address, "-tls1_3", "-ign_eof", "-sess_out", ticket)...)
	if !strings.Contains(first, "HTTP/1.1 200 OK") || !strings.Contains(first, "Max Early Data: 0") {
		t.Fatalf("no ticket:\n%s", first)
	}
	writeFile(t, early, rawRequest("GET", "/early", secure.host()))
	again := openssl(t, rawRequest("GET", "/again", secure.host()), append(address, "-tls1_3", "-ign_eof", "-sess_in", ticket, "-early_data", early)...)
	if !strings.Contains(again, "Reused, TLSv1.3") || !strings.Contains(again, "Early data was not sent") {
		t.Errorf("with the ticket:\n%s", again)
	}
	renegotiated := openssl(t, "R\n"+rawRequest("GET", "/renegotiated", secure.host()), append(address, "-tls1_2")...)
	if !strings.Contains(renegotiated, "RENEGOTIATING") || strings.Contains(renegotiated, "HTTP/1.1 200") {
		t.Errorf("renegotiation:\n%s", renegotiated)
	}
	conn := Dial(t, secure.Addr)
	if _, err := conn.Write(withEarlyData(t, config)); err != nil {
		t.Fatal(err)
	}
	_ = conn.SetReadDeadline(time.Now().Add(Patience))
	answer, err := io.ReadAll(conn)
	if len(answer) != 7 || answer[0] != 21 || answer[6] != 110 { // the alert unsupported_extension (RFC 8446 §6) and nothing else
		t.Errorf("a hello with early_data was answered % x, %v", answer[:min(len(answer), 20)], err)
	}
	for _, seen := range secure.app.Requests() {
		if seen.URI == "/early" || seen.URI == "/renegotiated" {
			t.Errorf("the app was asked for %s", seen.URI)
		}
	}
}

// withEarlyData is a ClientHello of TLS 1.3 with the extension early_data (RFC 8446 §4.2.10), and a record behind it that should be some.
func withEarlyData(t testing.TB, config *tls.Config) []byte {
	t.Helper()
	tap := &helloTap{}
	_ = tls.Client(tap, config).HandshakeContext(t.Context())
	hello := tap.sent
	if len(hello) < 43 || hello[0] != 22 || hello[5] != 1 {
		t.Fatalf("no ClientHello: % x", hello[:min(len(hello), 10)])
	}
	at := 5 + 4 + 2 + 32
	at += 1 + int(hello[at])                       // legacy_session_id
	at += 2 + int(hello[at])<<8 + int(hello[at+1]) // cipher_suites
	at += 1 + int(hello[at])                       // legacy_compression_methods
	extensions := int(hello[at])<<8 + int(hello[at+1])
	hello = append(hello[:at+2+extensions:at+2+extensions], 0, 42, 0, 0)
	extensions += 4
	hello[at], hello[at+1] = byte(extensions>>8), byte(extensions)
	body, record := len(hello)-9, len(hello)-5
	hello[6], hello[7], hello[8] = byte(body>>16), byte(body>>8), byte(body)
	hello[3], hello[4] = byte(record>>8), byte(record)
	return append(hello, append([]byte{23, 3, 3, 0, 64}, make([]byte, 64)...)...)
}

// helloTap is a connection that keeps what is sent, and ends.
type helloTap struct {
	sent []byte
}

func (c *helloTap) Read([]byte) (int, error) { return 0, io.EOF }
func (c *helloTap) Write(p []byte) (int, error) {
	c.sent = append(c.sent, p...)
	return len(p), nil
}
func (c *helloTap) Close() error                     { return nil }
func (c *helloTap) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (c *helloTap) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (c *helloTap) SetDeadline(time.Time) error      { return nil }
func (c *helloTap) SetReadDeadline(time.Time) error  { return nil }
func (c *helloTap) SetWriteDeadline(time.Time) error { return nil }

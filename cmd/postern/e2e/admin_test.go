package e2e

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const adminToken = "token-of-the-operator-7f1c"

// adminEnv is the admin API on a free port of this machine, at the address that is returned.
func adminEnv(t testing.TB, env map[string]string) (address string, full map[string]string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "admin-token")
	writeFile(t, file, adminToken+"\n")
	address = "127.0.0.1:" + FreePort(t)
	full = map[string]string{"POSTERN_ADMIN_BIND_ADDRESS": address, "POSTERN_ADMIN_TOKEN_FILE": file}
	for name, value := range env {
		full[name] = value
	}
	return address, full
}

// operate is a call of somebody who knows the token.
func operate(t testing.TB, address, method, path, body string, headers ...string) *Response {
	t.Helper()
	return NewClient(t).Send(method, "http://"+address+path, body, append([]string{"Authorization", "Bearer " + adminToken}, headers...)...)
}

// S-31: who may ask, and what is no question; sessions live on.
func TestS31AdminAPIGuardsItself(t *testing.T) {
	t.Parallel()
	admin, env := adminEnv(t, nil)
	w := newWorld(t, worldOptions{env: env})
	c := NewClient(t)
	w.login(t, c, "kari", "")
	for name, test := range map[string]struct {
		body    string
		headers []string
		status  int
	}{
		"no token on 127.0.0.1": {`{"sub":"kari"}`, []string{"Authorization", ""}, 401},
		"wrong token":           {`{"sub":"kari"}`, []string{"Authorization", "Bearer " + adminToken[1:]}, 401},
		"Origin":                {`{"sub":"kari"}`, []string{"Origin", "https://evil.example"}, 403},
		"Origin null":           {`{"sub":"kari"}`, []string{"Origin", "null"}, 403},
		"Origin of its own":     {`{"sub":"kari"}`, []string{"Origin", "http://" + admin}, 403},
		"Host":                  {`{"sub":"kari"}`, []string{"Host", "evil.example"}, 403},
		"no selector":           {``, nil, 400},
		"no member":             {`{}`, nil, 400},
		"an empty one":          {`{"sub":""}`, nil, 400},
		"both":                  {`{"sub":"kari","sid":"x"}`, nil, 400},
		"one more":              {`{"sub":"kari","everybody":true}`, nil, 400},
		"twice":                 {`{"sub":"x","sub":"kari"}`, nil, 400},
		"2 MiB":                 {`{"sub":"` + strings.Repeat("k", 2<<20) + `"}`, nil, 400},
	} {
		if r := operate(t, admin, "POST", "/sessions/end", test.body, test.headers...); r.StatusCode != test.status || !strings.Contains(r.Body, `"error":`) {
			t.Errorf("%s: status %d %s", name, r.StatusCode, r.Body)
		}
	}
	if r := operate(t, admin, "DELETE", "/sessions?sub=kari", ""); r.StatusCode != 404 {
		t.Errorf("DELETE /sessions: status %d", r.StatusCode)
	}
	if r := operate(t, admin, "GET", "/sessions/end", ""); r.StatusCode != 405 || r.Header.Get("Allow") != "POST" {
		t.Errorf("GET /sessions/end: status %d", r.StatusCode)
	}
	for _, address := range []string{w.Addr, w.ProbeAddr, w.MetricsAddr} {
		if r := operate(t, address, "POST", "/sessions/end", `{"sub":"kari"}`); strings.HasPrefix(r.Body, `{"ended"`) {
			t.Errorf("%s serves the admin API", address)
		}
	}
	if w.get(t, c, "/").Header.Get("X-Postern-User") != "Z990001" {
		t.Error("the session has ended")
	}
	w.Log.WaitFor(t, map[string]any{"msg": "admin call", "audit": true, "action": "sessions.end", "outcome": "invalid_request"})
	w.Log.WaitFor(t, map[string]any{"msg": "admin call", "audit": true, "outcome": "invalid_client"})
	w.Log.Without(t, map[string]string{"token": adminToken})
}

// S-31, S-08: what one replica's operator ends is over on the other.
func TestS31EndingIsHeardEverywhere(t *testing.T) {
	t.Parallel()
	redis := Redis(t)
	admin, env := adminEnv(t, map[string]string{"POSTERN_REDIS_URI": redis.URI()})
	w := newWorld(t, worldOptions{env: env})
	other := map[string]string{}
	for name, value := range w.env {
		other[name] = value
	}
	other["POSTERN_BIND_ADDRESS"], other["POSTERN_ADMIN_BIND_ADDRESS"] = "127.0.0.1:"+FreePort(t), "127.0.0.1:"+FreePort(t)
	second := Start(t, other)

	kari, again, ola := NewClient(t), NewClient(t), NewClient(t)
	w.login(t, kari, "kari", "")
	w.login(t, again, "kari", "")
	w.login(t, ola, "ola", "")
	subject := w.get(t, kari, "/").Header.Get("X-Postern-Subject")
	if r := operate(t, admin, "GET", "/sessions/count", ""); r.StatusCode != 200 || strings.TrimSpace(r.Body) != `{"count":3}` {
		t.Errorf("count: status %d %s", r.StatusCode, r.Body)
	}
	found := operate(t, admin, "POST", "/sessions/search", `{"sub":"`+subject+`"}`)
	if found.StatusCode != 200 || !strings.HasPrefix(found.Body, `{"count":2,`) || strings.Contains(found.Body, subject) {
		t.Errorf("search: status %d %s", found.StatusCode, found.Body)
	}
	onSecond := func(c *Client) string {
		name, value := w.sessionCookie(c)
		r := NewClient(t).Get("http://"+second.Addr+"/", "Host", w.host(), "Cookie", name+"="+value)
		if r.StatusCode != 200 {
			return r.Status
		}
		return Echoed(t, r).Header.Get("X-Postern-User")
	}
	if got := onSecond(kari); got != "Z990001" {
		t.Fatalf("kari is %q on the second replica", got)
	}
	if r := operate(t, admin, "POST", "/sessions/end", `{"sub":"`+subject+`"}`); r.StatusCode != 200 || strings.TrimSpace(r.Body) != `{"ended":2}` {
		t.Errorf("end: status %d %s", r.StatusCode, r.Body)
	}
	for _, c := range []*Client{kari, again} {
		if w.get(t, c, "/").Header.Get("X-Postern-User") != "" {
			t.Error("a session is still there")
		}
		Eventually(t, "waiting for the second replica", func() error {
			if got := onSecond(c); got != "" {
				return errorf("kari is %q", got)
			}
			return nil
		})
	}
	if onSecond(ola) != "Z990002" {
		t.Error("somebody else was signed out")
	}
	w.Log.WaitFor(t, map[string]any{"audit": true, "action": "sessions.end", "outcome": "done", "subject": subject, "sessions": 2})
	redis.Stop(t)
	if r := operate(t, admin, "POST", "/sessions/end", `{"sub":"`+subject+`"}`); r.StatusCode != 503 || r.Header.Get("Retry-After") == "" {
		t.Errorf("without the store: status %d %s", r.StatusCode, r.Body)
	}
	redis.Start(t)
}

// S-31: a socket file is proof enough, and other machines are answered by TLS only.
func TestS31SocketAndTLS(t *testing.T) {
	t.Parallel()
	socket := filepath.Join(t.TempDir(), "admin.sock")
	newWorld(t, worldOptions{env: map[string]string{"POSTERN_ADMIN_BIND_ADDRESS": "unix:" + socket, "POSTERN_PPROF_ENABLED": "true"}})
	if info, err := os.Stat(socket); err != nil || info.Mode().Perm() != 0o660 {
		t.Errorf("socket file: %v, %v", info, err)
	}
	answer := askOver(t, &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}}, "http://localhost/debug/pprof/goroutine?debug=1", "")
	if !strings.HasPrefix(answer, "200 goroutine profile") {
		t.Errorf("over the socket: %.100s", answer)
	}

	certFile, keyFile := filepath.Join(t.TempDir(), "cert.pem"), filepath.Join(t.TempDir(), "key.pem")
	pair, der := certificate(t, &x509.Certificate{DNSNames: []string{"localhost"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature}, nil)
	key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, certFile, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	writeFile(t, keyFile, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})))
	port := FreePort(t)
	_, env := adminEnv(t, map[string]string{
		"POSTERN_ADMIN_BIND_ADDRESS": "0.0.0.0:" + port, "POSTERN_TLS_CERT_FILE": certFile, "POSTERN_TLS_KEY_FILE": keyFile, "POSTERN_PPROF_ENABLED": "true",
	})
	newWorld(t, worldOptions{env: env})
	roots := x509.NewCertPool()
	trusted, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots.AddCert(trusted)
	secure := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: "localhost", MinVersion: tls.VersionTLS12}}
	if answer := askOver(t, secure, "https://127.0.0.1:"+port+"/debug/pprof/goroutine?debug=1", adminToken); !strings.HasPrefix(answer, "200 goroutine profile") {
		t.Errorf("over TLS: %.100s", answer)
	}
	if answer := askOver(t, secure, "https://127.0.0.1:"+port+"/debug/pprof/goroutine?debug=1", ""); !strings.HasPrefix(answer, "401 ") {
		t.Errorf("over TLS without the token: %.100s", answer)
	}
	if answer := askOver(t, &http.Transport{}, "http://127.0.0.1:"+port+"/", adminToken); !strings.HasPrefix(answer, "400 ") {
		t.Errorf("in clear: %.100s", answer)
	}
}

// askOver is status and body of a GET over a transport of the test's own.
func askOver(t testing.TB, transport *http.Transport, address, token string) string {
	t.Helper()
	t.Cleanup(transport.CloseIdleConnections)
	r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, address, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	answer, err := transport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.Status[:3] + " " + string(body)
}

// S-42: a heap holds keys and tokens, so profiles are behind the admin token and nowhere else.
func TestS42ProfilesAreBehindTheAdminToken(t *testing.T) {
	t.Parallel()
	admin, env := adminEnv(t, map[string]string{"WONDERWALL_PPROF_ENABLED": "true"})
	w := newWorld(t, worldOptions{env: env})
	isProfile := func(r *Response) bool { return strings.Contains(r.Body, "heap profile") }
	if r := operate(t, admin, "GET", "/debug/pprof/heap?debug=1", ""); r.StatusCode != 200 || !isProfile(r) || !strings.Contains(r.Body, "@ heap/1048576") {
		t.Errorf("status %d %.100s", r.StatusCode, r.Body)
	}
	if r := NewClient(t).Get("http://" + admin + "/debug/pprof/heap?debug=1"); r.StatusCode != 401 || isProfile(r) {
		t.Errorf("without the token: status %d", r.StatusCode)
	}
	for _, address := range []string{w.Addr, w.ProbeAddr, w.MetricsAddr} {
		if isProfile(operate(t, address, "GET", "/debug/pprof/heap?debug=1", "")) {
			t.Errorf("%s serves profiles", address)
		}
	}
	w.Log.WaitFor(t, map[string]any{"audit": true, "action": "profile", "outcome": "done"})
}

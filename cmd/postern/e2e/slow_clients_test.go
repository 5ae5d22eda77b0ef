package e2e

import (
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
)

// short makes whoever is slow too slow soon.
var short = map[string]string{"POSTERN_LIMITS_HEADER_TIME": "1s", "POSTERN_LIMITS_IDLE_TIME": "2s", "POSTERN_LIMITS_STALL_TIME": "1s"}

// cutOff waits until the other side ends the connection.
func cutOff(t testing.TB, name string, conn net.Conn) {
	t.Helper()
	_ = conn.SetReadDeadline(time.Now().Add(2 * Patience))
	if _, err := io.Copy(io.Discard, conn); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%s: the connection was not cut off", name)
	}
}

// Row 78, slowloris at each listener that there is: so many clients that send their header byte by byte, or nothing at all, are cut off one and all,
// however busy they keep the connection, and whoever else asks is answered meanwhile.
func TestRow78EveryListenerOutlivesSlowloris(t *testing.T) {
	t.Parallel()
	const each = 60
	admin, env := adminEnv(t, short)
	env["POSTERN_FORWARD_AUTH_BIND_ADDRESS"] = "127.0.0.1:" + FreePort(t)
	x := newOutbound(t, outboundOptions{env: env})
	for name, listener := range map[string]struct{ address, path string }{
		"public": {x.Addr, "/x"}, "probes": {x.ProbeAddr, "/readyz"}, "metrics": {x.MetricsAddr, "/metrics"}, "admin": {admin, "/sessions/count"},
		"token API": {strings.TrimPrefix(x.tokens.api, "http://"), "/openapi.json"}, "egress": {x.egress, "/orders/x"},
		"forward-auth": {env["POSTERN_FORWARD_AUTH_BIND_ADDRESS"], "/"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var slow []net.Conn
			for i := range each {
				conn := Dial(t, listener.address)
				slow = append(slow, conn)
				if i%3 == 2 {
					continue // says nothing at all
				}
				if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: "); err != nil {
					t.Fatal(err)
				}
			}
			stop := make(chan struct{})
			var dribble sync.WaitGroup
			dribble.Go(func() {
				for {
					for i, conn := range slow {
						if i%3 == 0 {
							_, _ = io.WriteString(conn, "x")
						}
					}
					select {
					case <-stop:
						return
					case <-time.After(100 * time.Millisecond):
					}
				}
			})
			for range 5 {
				if r := NewClient(t).Get("http://" + listener.address + listener.path); r.StatusCode >= 500 {
					t.Errorf("somebody else: %d %.200s", r.StatusCode, r.Body)
				}
			}
			for _, conn := range slow {
				cutOff(t, name, conn)
			}
			close(stop)
			dribble.Wait()
		})
	}
}

// Row 78, bodies: whoever announces one to a listener of Postern's own, and sends a byte now and then, is not waited for.
func TestRow78OwnListenersDoNotWaitForBodies(t *testing.T) {
	t.Parallel()
	admin, env := adminEnv(t, short)
	x := newOutbound(t, outboundOptions{env: env})
	for name, request := range map[string]struct{ address, head string }{
		"token API":       {strings.TrimPrefix(x.tokens.api, "http://"), "POST /api/v1/token HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"},
		"admin":           {admin, "POST /sessions/end HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " + adminToken + "\r\n"},
		"probes":          {x.ProbeAddr, "POST /readyz HTTP/1.1\r\nHost: localhost\r\n"},
		"metrics":         {x.MetricsAddr, "POST /metrics HTTP/1.1\r\nHost: localhost\r\n"},
		"logout":          {x.Addr, "POST /oauth2/logout HTTP/1.1\r\nHost: " + x.host() + "\r\n"},
		"back-channel":    {x.Addr, "POST /oauth2/logout/backchannel HTTP/1.1\r\nHost: " + x.host() + "\r\nContent-Type: application/x-www-form-urlencoded\r\n"},
		"no own endpoint": {x.Addr, "POST /oauth2/nothing HTTP/1.1\r\nHost: " + x.host() + "\r\n"},
		"a bad request":   {x.Addr, "POST /a%00 HTTP/1.1\r\nHost: " + x.host() + "\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn := Dial(t, request.address)
			if _, err := io.WriteString(conn, request.head+"Content-Length: 1000\r\n\r\n{"); err != nil {
				t.Fatal(err)
			}
			done := make(chan struct{})
			var dribble sync.WaitGroup
			dribble.Go(func() {
				for {
					select {
					case <-done:
						return
					case <-time.After(200 * time.Millisecond):
						_, _ = io.WriteString(conn, " ")
					}
				}
			})
			cutOff(t, name, conn)
			close(done)
			dribble.Wait()
		})
	}
}

// stuckApp answers without end, and waits for bodies; left has a value for each exchange that has ended.
func stuckApp(t testing.TB) (app *AppServer, left chan string) {
	t.Helper()
	left = make(chan string, 100)
	return App(t, map[string]http.HandlerFunc{"/endless": func(w http.ResponseWriter, r *http.Request) {
		defer func() { left <- r.URL.RawQuery }()
		for chunk := make([]byte, 64<<10); r.Context().Err() == nil; {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	}}), left
}

// Row 78 by each version of HTTP: a client that is slow with header, body or taking its answer is ended, and what it held is free again.
func TestRow78SlowClientsOfEachVersion(t *testing.T) {
	t.Parallel()
	app, left := stuckApp(t)
	clear := newWorld(t, worldOptions{app: app, env: short})
	secure, config := newTLSWorld(t, with2(short, "POSTERN_UPSTREAM_HOST", app.Addr))
	dials := map[string]func(t *testing.T) net.Conn{
		"HTTP/1.1":          func(t *testing.T) net.Conn { return Dial(t, clear.Addr) },
		"HTTP/1.1 over TLS": func(t *testing.T) net.Conn { return DialTLS(t, Dial(t, secure.Addr), config, "http/1.1") },
	}
	for name, dial := range dials {
		for what, request := range map[string]string{
			"header": "GET /x HTTP/1.1\r\nHost: H\r\nX-Slow: ", "body": "POST /x HTTP/1.1\r\nHost: H\r\nContent-Length: 10\r\n\r\nx",
			"chunk": "POST /x HTTP/1.1\r\nHost: H\r\nTransfer-Encoding: chunked\r\n\r\nffff\r\nx", "chunk size": "POST /x HTTP/1.1\r\nHost: H\r\nTransfer-Encoding: chunked\r\n\r\nf",
			"rest": "GET /x HTTP/1.1\r\nHost: H\r\n\r\n",
		} {
			t.Run(name+", "+what, func(t *testing.T) {
				t.Parallel()
				conn := dial(t)
				if _, err := io.WriteString(conn, strings.ReplaceAll(request, "Host: H", "Host: "+clear.host())); err != nil {
					t.Fatal(err)
				}
				cutOff(t, what, conn)
			})
		}
		t.Run(name+", answer", func(t *testing.T) {
			t.Parallel()
			conn := dial(t)
			if _, err := io.WriteString(conn, "GET /endless?"+strings.ReplaceAll(name, " ", "-")+" HTTP/1.1\r\nHost: "+clear.host()+"\r\n\r\n"); err != nil {
				t.Fatal(err)
			}
			<-left
		})
		t.Run(name+", small answers", func(t *testing.T) {
			t.Parallel()
			neverTaken(t, dial(t), "GET /x HTTP/1.1\r\nHost: "+clear.host()+"\r\n\r\n")
			neverTaken(t, dial(t), "GET /oauth2/session HTTP/1.1\r\nHost: "+clear.host()+"\r\n\r\n")
		})
	}
	t.Run("half a TLS handshake", func(t *testing.T) {
		t.Parallel()
		conn := Dial(t, secure.Addr)
		if _, err := conn.Write([]byte{22, 3, 1, 2, 0, 1}); err != nil {
			t.Fatal(err)
		}
		cutOff(t, "handshake", conn)
	})
	for name, w := range map[string]way{"h2c": {clear, nil}, "HTTP/2 over TLS": {secure, config}} {
		t.Run(name+", header", func(t *testing.T) {
			t.Parallel()
			c := w.dialHTTP2(t)
			if err := c.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: c.Head("GET", "/x"), EndStream: true}); err != nil {
				t.Fatal(err)
			}
			cutOff(t, "header without its end", c.Conn)
		})
		t.Run(name+", part of a frame", func(t *testing.T) {
			t.Parallel()
			c := w.dialHTTP2(t)
			if _, err := c.Conn.Write([]byte{0, 64, 0, 1}); err != nil {
				t.Fatal(err)
			}
			cutOff(t, "part of a frame", c.Conn)
		})
		t.Run(name+", body", func(t *testing.T) {
			t.Parallel()
			c := w.dialHTTP2(t)
			if err := errors.Join(c.Open(1, false, c.Head("POST", "/x")), c.WriteData(1, false, []byte("x"))); err != nil {
				t.Fatal(err)
			}
			if got := c.StatusOf(1); got != "408" {
				t.Errorf("%s; want 408", got)
			}
		})
		t.Run(name+", small answer", func(t *testing.T) {
			t.Parallel()
			c := w.dialHTTP2(t)
			closed := c.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
			for i, path := range []string{"/x", "/oauth2/session"} {
				stream := uint32(2*i + 1)
				if err := errors.Join(closed, c.Open(stream, true, c.Head("GET", path))); err != nil {
					t.Fatal(err)
				}
				if got := c.StatusOf(stream); got != "200" && got != "401" {
					t.Errorf("%s: %s", path, got)
				}
				if got := c.StatusOf(stream); got != "reset INTERNAL_ERROR" {
					t.Errorf("%s: %s; want a reset", path, got)
				}
			}
		})
		t.Run(name+", answer", func(t *testing.T) {
			t.Parallel()
			c := w.dialHTTP2(t) // whose windows stay at 64 KiB
			if err := c.Open(1, true, c.Head("GET", "/endless?"+strings.ReplaceAll(name, " ", "-"))); err != nil {
				t.Fatal(err)
			}
			if got := c.StatusOf(1); got != "200" {
				t.Errorf("%s", got)
			}
			<-left
		})
	}
}

// neverTaken sends a request again and again, takes none of the answers, and waits until the other side ends the connection. Each answer is so small
// that net/http keeps it until its handler has returned.
func neverTaken(t testing.TB, conn net.Conn, request string) {
	t.Helper()
	_ = conn.SetWriteDeadline(time.Now().Add(2 * Patience))
	requests := strings.Repeat(request, 100)
	for {
		if _, err := io.WriteString(conn, requests); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%.20s: the connection was not cut off", request)
			return
		} else if err != nil {
			return
		}
	}
}

// with2 is a copy of an environment with one more variable.
func with2(env map[string]string, name, value string) map[string]string {
	all := map[string]string{name: value}
	for name, value := range env {
		all[name] = value
	}
	return all
}

package egress

import (
	"bufio"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"postern/config"
)

func TestTargetByTLS(t *testing.T) {
	t.Parallel()
	for _, http2 := range []bool{false, true} {
		target := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, r.Proto+" "+r.RequestURI+" "+r.Header.Get("Authorization"))
		}))
		target.EnableHTTP2 = http2
		target.Config.ErrorLog = nil
		target.StartTLS()
		t.Cleanup(target.Close)
		roots := x509.NewCertPool()
		roots.AddCert(target.Certificate())
		want := map[bool]string{false: "HTTP/1.1", true: "HTTP/2.0"}[http2] + " /a%2Fb?c Bearer exchanged-entra_id"
		s := newSidecar(t, func(_ *Config, d *Deps) { d.Roots = roots }, orders(target.URL))
		for range 2 {
			if res, body := s.call(t, "GET /orders/a%2Fb?c", asUser); res.StatusCode != 200 || body != want {
				t.Errorf("%d %q; want %q", res.StatusCode, body, want)
			}
		}
		unknown := newSidecar(t, nil, orders(target.URL))
		if res, body := unknown.call(t, "GET /orders/x", asUser); res.StatusCode != 502 {
			t.Errorf("whom nobody vouches for: %d %s", res.StatusCode, body)
		}
	}
}

// TestWebProxyIsUsedButNotForLoopback: egress calls go by HTTP_PROXY and HTTPS_PROXY as calls to providers do.
func TestWebProxyIsUsedButNotForLoopback(t *testing.T) {
	t.Parallel()
	lines := make(chan string, 8)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				r, err := http.ReadRequest(bufio.NewReader(conn))
				if err != nil {
					return
				}
				lines <- r.Method + " " + r.RequestURI + " " + r.Header.Get("Proxy-Authorization") + " " + r.Header.Get("Authorization")
				_, _ = io.WriteString(conn, "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
			}()
		}
	}()
	var reached atomic.Int32
	loopback := newOutside(t, func(http.ResponseWriter, *http.Request) { reached.Add(1) })
	byProxy := func(c *Config, _ *Deps) {
		address := config.NewSecret("http://u:p@" + listener.Addr().String())
		c.Outbound = config.Outbound{HTTPProxy: address, HTTPSProxy: address, NoProxy: "direct.example.org"}
	}
	s := newSidecar(
		t, byProxy,
		config.EgressRoute{Name: "clear", URL: "http://orders.example.org:8080/api"},
		config.EgressRoute{Name: "tls", URL: "https://orders.example.org"},
		config.EgressRoute{Name: "loopback", URL: loopback.URL},
		config.EgressRoute{Name: "name", URL: strings.Replace(loopback.URL, "127.0.0.1", "target.localhost", 1)},
	)
	for _, test := range []struct {
		route, seen string
		status      int
	}{
		{"clear", "GET http://orders.example.org:8080/api/a%2Fb?c=%zz Basic dTpw Bearer exchanged-entra_id", 403},
		{"tls", "CONNECT orders.example.org:443 Basic dTpw ", 502},
		{"loopback", "", 200},
		{"name", "", 200},
	} {
		res, body := s.call(t, "GET /"+test.route+"/a%2Fb?c=%zz", asUser)
		if res.StatusCode != test.status {
			t.Errorf("%s: %d %s", test.route, res.StatusCode, body)
		}
		got := ""
		select {
		case got = <-lines:
		default:
		}
		if got != test.seen {
			t.Errorf("%s: the web proxy saw %q; want %q", test.route, got, test.seen)
		}
	}
	if reached.Load() != 2 {
		t.Errorf("loopback was reached %d times", reached.Load())
	}
}

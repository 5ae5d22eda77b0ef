package e2e

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"
)

// WebProxy is a forward proxy as HTTPS_PROXY names one.
type WebProxy struct {
	URL string // with user and password if it wants them

	names map[string]string
	auth  string
	mu    sync.Mutex
	seen  []string
}

// ConnectProxy starts a forward proxy on a loopback port that knows only the names of the table: host:port to the address that it really connects to,
// such as {"idp.example:443": "127.0.0.1:20007"}. Anything else is 502. CONNECT and plain requests (absolute form) are both served. A user and a
// password, if given, are demanded of every request.
func ConnectProxy(t testing.TB, names map[string]string, userAndPassword ...string) *WebProxy {
	t.Helper()
	p := &WebProxy{names: names}
	server := httptest.NewServer(p)
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	p.URL = server.URL
	if len(userAndPassword) == 2 {
		r := &http.Request{Header: http.Header{}}
		r.SetBasicAuth(userAndPassword[0], userAndPassword[1])
		p.auth = r.Header.Get("Authorization")
		p.URL = "http://" + userAndPassword[0] + ":" + userAndPassword[1] + "@" + server.Listener.Addr().String()
	}
	return p
}

// Seen is what was asked for so far, such as "CONNECT idp.example:443".
func (p *WebProxy) Seen() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.seen...)
}

func (p *WebProxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	p.seen = append(p.seen, r.Method+" "+r.Host)
	p.mu.Unlock()
	if p.auth != "" && r.Header.Get("Proxy-Authorization") != p.auth {
		w.Header().Set("Proxy-Authenticate", `Basic realm="test"`)
		http.Error(w, "who are you?", http.StatusProxyAuthRequired)
		return
	}
	target, known := p.names[r.Host]
	if !known {
		http.Error(w, "no such name", http.StatusBadGateway)
		return
	}
	if r.Method == http.MethodConnect {
		tunnel(w, r, target)
		return
	}
	forward(w, r, target)
}

func tunnel(w http.ResponseWriter, r *http.Request, target string) {
	server, err := (&net.Dialer{Timeout: 5 * time.Second}).DialContext(r.Context(), "tcp", target)
	if err != nil {
		http.Error(w, "no connection", http.StatusBadGateway)
		return
	}
	defer server.Close()
	client, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer client.Close()
	if _, err := io.WriteString(client, "HTTP/1.1 200 Connection established\r\n\r\n"); err != nil {
		return
	}
	var both sync.WaitGroup
	both.Go(func() {
		_, _ = io.Copy(server, buffered)
		server.Close()
	})
	both.Go(func() {
		_, _ = io.Copy(client, server)
		client.Close()
	})
	both.Wait()
}

func forward(w http.ResponseWriter, r *http.Request, target string) {
	out := r.Clone(r.Context())
	out.RequestURI = ""
	out.Header.Del("Proxy-Authorization")
	transport := &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, target)
		},
	}
	resp, err := transport.RoundTrip(out)
	if err != nil {
		http.Error(w, "no answer", http.StatusBadGateway)
		return
	}
	defer resp.Body.Close()
	for name, values := range resp.Header {
		w.Header()[name] = values
	}
	w.WriteHeader(resp.StatusCode)
	_, _ = io.Copy(w, resp.Body)
}

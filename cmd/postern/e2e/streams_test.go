package e2e

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/websocket"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
)

// A WebSocket of somebody who is signed in: the app learns who, messages go both ways; another site's page gets none (S-17).
func TestWebSocket(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	c := NewClient(t)
	w.login(t, c, "kari", "")
	name, value := w.sessionCookie(c)
	dial := func(origin string) (*websocket.Conn, error) {
		config, err := websocket.NewConfig("ws://"+w.Addr+"/ws", origin)
		if err != nil {
			t.Fatal(err)
		}
		config.Header.Set("Cookie", name+"="+value)
		config.Header.Set("Host", w.host())
		config.Location.Host = w.host()
		return websocket.NewClient(config, Dial(t, w.Addr))
	}
	ws, err := dial(w.origin())
	if err != nil {
		t.Fatal(err)
	}
	wantEcho(t, ws)
	seen := w.app.Requests()
	if got := seen[len(seen)-1].Header.Get("X-Postern-User"); got != "Z990001" {
		t.Errorf("the app saw %q behind the WebSocket", got)
	}
	if _, err := dial("https://evil.example"); err == nil {
		t.Error("a page of another site opened a WebSocket with the cookie")
	}
}

// wantEcho sends a short message and a long one, and wants each back.
func wantEcho(t testing.TB, ws io.ReadWriter) {
	t.Helper()
	for _, message := range []string{"hei", strings.Repeat("x", 100_000)} {
		if _, err := io.WriteString(ws, message); err != nil {
			t.Fatal(err)
		}
		echo := make([]byte, len(message)) // the other side's frames need not be ours
		if _, err := io.ReadFull(ws, echo); err != nil || string(echo) != message {
			t.Fatalf("echo of %d bytes: %v", len(message), err)
		}
	}
}

// An event stream arrives event by event, and ends at the app when the client leaves.
func TestEventStreamIsNotHeldBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	conn := Dial(t, w.Addr)
	if _, err := io.WriteString(conn, "GET /sse HTTP/1.1\r\nHost: "+w.host()+"\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	_ = conn.SetReadDeadline(time.Now().Add(Patience))
	events := 0
	for lines := bufio.NewScanner(conn); events < 5 && lines.Scan(); {
		if strings.HasPrefix(lines.Text(), "data: ") {
			events++
		}
	}
	if events < 5 {
		t.Errorf("%d events", events)
	}
}

// HTTP/2 with prior knowledge at the front.
func TestHTTP2PriorKnowledge(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{env: map[string]string{"POSTERN_AUTO_LOGIN": "true"}})
	transport := &http.Transport{Protocols: new(http.Protocols), DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, w.Addr)
	}}
	transport.Protocols.SetUnencryptedHTTP2(true)
	t.Cleanup(transport.CloseIdleConnections)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.ingress+"/favicon.ico", nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := transport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.ProtoMajor != 2 || answer.StatusCode != 200 {
		t.Errorf("%s %d", answer.Proto, answer.StatusCode)
	}
	r.URL.Path = "/x"
	if refused, err := transport.RoundTrip(r); err != nil || refused.StatusCode != 401 {
		t.Errorf("protected: %v %v", refused, err)
	} else {
		refused.Body.Close()
	}
}

// gRPC from client to app: unary and a stream, with trailers, and the identity in the metadata.
func TestGRPC(t *testing.T) {
	t.Parallel()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	users := make(chan []string, 10)
	server := grpc.NewServer(grpc.UnaryInterceptor(func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
		md, _ := metadata.FromIncomingContext(ctx)
		users <- md.Get("x-postern-user")
		return next(ctx, req)
	}))
	service := health.NewServer()
	service.SetServingStatus("orders", grpc_health_v1.HealthCheckResponse_SERVING)
	grpc_health_v1.RegisterHealthServer(server, service)
	go func() { _ = server.Serve(l) }()
	t.Cleanup(server.Stop)

	w := newWorld(t, worldOptions{app: &AppServer{Addr: l.Addr().String()}, env: map[string]string{"POSTERN_UPSTREAM_H2C": "true"}})
	c := NewClient(t)
	w.login(t, c, "kari", "")
	name, value := w.sessionCookie(c)
	conn, err := grpc.NewClient("passthrough:///"+w.host(), grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "tcp", w.Addr)
		}))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	client := grpc_health_v1.NewHealthClient(conn)
	ctx, cancel := context.WithTimeout(metadata.AppendToOutgoingContext(t.Context(), "cookie", name+"="+value, "x-postern-user", "forged"), Patience)
	defer cancel()
	if answer, err := client.Check(ctx, &grpc_health_v1.HealthCheckRequest{Service: "orders"}); err != nil || answer.Status != grpc_health_v1.HealthCheckResponse_SERVING {
		t.Fatalf("unary call: %v %v", answer, err)
	}
	if got := <-users; len(got) != 1 || got[0] != "Z990001" {
		t.Errorf("the app was told %q", got)
	}
	if _, err := client.Check(ctx, &grpc_health_v1.HealthCheckRequest{Service: "unknown"}); err == nil || !strings.Contains(err.Error(), "NotFound") {
		t.Errorf("the status in the trailer was lost: %v", err)
	}
	stream, err := client.Watch(ctx, &grpc_health_v1.HealthCheckRequest{Service: "orders"})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []grpc_health_v1.HealthCheckResponse_ServingStatus{1, 2} {
		event, err := stream.Recv()
		if err != nil || event.Status != want {
			t.Fatalf("stream: %v %v, want %v", event, err, want)
		}
		service.SetServingStatus("orders", grpc_health_v1.HealthCheckResponse_NOT_SERVING)
	}
}

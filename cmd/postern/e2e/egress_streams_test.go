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
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// Bodies go both ways as they come: the target answers the first line before the app has written the second. By each version of HTTP on each side.
func TestEgressStreamsInBothDirections(t *testing.T) {
	t.Parallel()
	lines := streamTarget(t, func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).EnableFullDuplex()
		w.Header().Set("Trailer", "X-Lines")
		seen := 0
		for in := bufio.NewScanner(r.Body); in.Scan(); seen++ {
			_, _ = io.WriteString(w, "got "+in.Text()+"\n")
			_ = http.NewResponseController(w).Flush()
		}
		w.Header().Set("X-Lines", strings.Repeat("I", seen))
	})
	x := newOutbound(t, outboundOptions{routes: `
- {name: lines, url: "http://` + lines + `", provider: entra_id, target: "` + ordersName + `"}
- {name: lines-h2c, url: "http://` + lines + `", provider: entra_id, target: "` + ordersName + `", h2c: true}
`})
	authorization := "Bearer " + x.tokens.entraUser("kari")
	for version, transport := range eachVersion(t) {
		for _, route := range []string{"lines", "lines-h2c"} {
			body, write := io.Pipe()
			go func() { _, _ = io.WriteString(write, "first\n") }()
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+x.egress+"/"+route+"/x", body)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Authorization", authorization)
			answer, err := transport.RoundTrip(r)
			if err != nil {
				t.Fatalf("%s, %s: %v", version, route, err)
			}
			in := bufio.NewReader(answer.Body)
			for _, word := range []string{"first", "second"} {
				if line, err := in.ReadString('\n'); err != nil || line != "got "+word+"\n" {
					t.Fatalf("%s, %s: %q, %v", version, route, line, err)
				}
				if word == "first" {
					_, _ = io.WriteString(write, "second\n")
				}
			}
			write.Close()
			_, _ = io.Copy(io.Discard, in)
			answer.Body.Close()
			if answer.Proto[:6] != version[:6] || answer.Trailer.Get("X-Lines") != "II" {
				t.Errorf("%s, %s: %s with the trailers %v", version, route, answer.Proto, answer.Trailer)
			}
		}
	}
}

// limits.stall-time is about the clients of the app. The app itself takes what it asked for when it likes.
func TestEgressLetsTheAppTakeItsTime(t *testing.T) {
	t.Parallel()
	const size = 16 << 20 // more than all buffers on the way
	large := streamTarget(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, size)) })
	x := newOutbound(t, outboundOptions{env: short, routes: `
- {name: large, url: "http://` + large + `", provider: entra_id, target: "` + ordersName + `"}
`})
	authorization := "Bearer " + x.tokens.entraUser("kari")
	for version, transport := range eachVersion(t) {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+x.egress+"/large/x", http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Authorization", authorization)
			answer, err := transport.RoundTrip(r)
			if err != nil {
				t.Fatal(err)
			}
			defer answer.Body.Close()
			time.Sleep(4 * time.Second)
			if n, err := io.Copy(io.Discard, answer.Body); n != size || err != nil {
				t.Errorf("%d bytes of %d, %v", n, size, err)
			}
		})
	}
}

// eachVersion is how an app asks the egress by each version of HTTP.
func eachVersion(t testing.TB) map[string]*http.Transport {
	t.Helper()
	one, two := loopback(), loopback()
	two.Protocols = new(http.Protocols)
	two.Protocols.SetUnencryptedHTTP2(true)
	t.Cleanup(func() { one.CloseIdleConnections(); two.CloseIdleConnections() })
	return map[string]*http.Transport{"HTTP/1.1": one, "HTTP/2": two}
}

// streamTarget is an app that reads bodies as they come, and the address of it.
func streamTarget(t testing.TB, handler http.HandlerFunc) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: Patience, Protocols: new(http.Protocols)}
	server.Protocols.SetHTTP1(true)
	server.Protocols.SetUnencryptedHTTP2(true)
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close() })
	return l.Addr().String()
}

// gRPC by the name of the route: a call, a status in the trailer, a stream, and refusals as gRPC knows them.
func TestEgressCarriesGRPC(t *testing.T) {
	t.Parallel()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	authorizations := make(chan []string, 10)
	server := grpc.NewServer(grpc.UnaryInterceptor(func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
		md, _ := metadata.FromIncomingContext(ctx)
		authorizations <- append(md.Get("authorization"), md.Get("x-postern-user")...)
		return next(ctx, req)
	}))
	service := health.NewServer()
	service.SetServingStatus("orders", grpc_health_v1.HealthCheckResponse_SERVING)
	grpc_health_v1.RegisterHealthServer(server, service)
	go func() { _ = server.Serve(l) }()
	t.Cleanup(server.Stop)

	x := newOutbound(t, outboundOptions{routes: `
- {name: health, url: "http://` + l.Addr().String() + `", provider: entra_id, target: "` + ordersName + `", h2c: true}
`})
	own := "Bearer " + x.tokens.entraUser("kari")
	conn, err := grpc.NewClient(x.egress, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithAuthority("health.localhost"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	client := grpc_health_v1.NewHealthClient(conn)
	nobody, cancel := context.WithTimeout(t.Context(), Patience)
	defer cancel()
	user := metadata.AppendToOutgoingContext(nobody, "authorization", own, "x-postern-user", "Z990009")
	if answer, err := client.Check(user, &grpc_health_v1.HealthCheckRequest{Service: "orders"}); err != nil || answer.Status != grpc_health_v1.HealthCheckResponse_SERVING {
		t.Fatalf("unary call: %v %v", answer, err)
	}
	if got := <-authorizations; len(got) != 1 || got[0] == own || bearer(t, http.Header{"Authorization": got})["aud"] != ordersClientID {
		t.Errorf("the target was told %d things", len(got))
	}
	if _, err := client.Check(user, &grpc_health_v1.HealthCheckRequest{Service: "unknown"}); status.Code(err) != codes.NotFound {
		t.Errorf("the status in the trailer was lost: %v", err)
	}
	if _, err := client.Check(nobody, &grpc_health_v1.HealthCheckRequest{Service: "orders"}); status.Code(err) != codes.Unauthenticated {
		t.Errorf("without a user: %v", err)
	}
	stream, err := client.Watch(user, &grpc_health_v1.HealthCheckRequest{Service: "orders"})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []grpc_health_v1.HealthCheckResponse_ServingStatus{1, 2} {
		if event, err := stream.Recv(); err != nil || event.Status != want {
			t.Fatalf("stream: %v %v, want %v", event, err, want)
		}
		service.SetServingStatus("orders", grpc_health_v1.HealthCheckResponse_NOT_SERVING)
	}
}

// A WebSocket of the app to another API, and an event stream, which ends at the target when the app leaves.
func TestEgressCarriesWebSocketsAndEvents(t *testing.T) {
	t.Parallel()
	x := newOutbound(t, outboundOptions{})
	config, err := websocket.NewConfig("ws://"+x.egress+"/stock/ws", "http://"+x.egress)
	if err != nil {
		t.Fatal(err)
	}
	own := "Bearer " + x.tokens.entraUser("kari")
	config.Header.Set("Authorization", own)
	config.Header.Set("Cookie", "a=b")
	config.Header.Set("X-Postern-User", "Z990009")
	if _, err := websocket.NewClient(config, Dial(t, x.egress)); err == nil {
		t.Error("a page of a browser, which always says its Origin, opened a WebSocket")
	}
	ws, err := websocket.NewClient(config, &withoutOrigin{Conn: Dial(t, x.egress)})
	if err != nil {
		t.Fatal(err)
	}
	wantEcho(t, ws)
	seen := x.target.Requests()
	if head := seen[len(seen)-1].Header; bearer(t, head)["aud"] != stockClientID || head.Get("Cookie") != "" || head.Get("X-Postern-User") != "" {
		t.Errorf("the target saw %v behind the WebSocket", head)
	}

	conn := Dial(t, x.egress)
	if _, err := io.WriteString(conn, "GET /stock/sse HTTP/1.1\r\nHost: "+x.egress+"\r\nAuthorization: "+own+"\r\n\r\n"); err != nil {
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

// withoutOrigin makes a client of a WebSocket send its handshake as apps do. That of golang.org/x/net knows only pages.
type withoutOrigin struct {
	net.Conn

	sent bool
}

func (c *withoutOrigin) Write(p []byte) (int, error) {
	if c.sent {
		return c.Conn.Write(p)
	}
	c.sent = true
	before, rest, _ := strings.Cut(string(p), "Origin: ")
	_, after, _ := strings.Cut(rest, "\r\n")
	_, err := io.WriteString(c.Conn, before+after)
	return len(p), err
}

// The timeout of a route is for the head of the answer; a target that is not there is 502.
func TestEgressNamesTheTroubleOfTargets(t *testing.T) {
	t.Parallel()
	slow := streamTarget(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/late" { // the head in time, the rest later than the route allows
			_ = http.NewResponseController(w).Flush()
			time.Sleep(600 * time.Millisecond)
			_, _ = io.WriteString(w, "late")
			return
		}
		<-r.Context().Done()
	})
	x := newOutbound(t, outboundOptions{routes: `
- {name: slow, url: "http://` + slow + `", provider: entra_id, target: "` + ordersName + `", timeout: 300ms}
- {name: slow-h2c, url: "http://` + slow + `", provider: entra_id, target: "` + ordersName + `", timeout: 300ms, h2c: true}
- {name: gone, url: "http://127.0.0.1:` + FreePort(t) + `", provider: entra_id, target: "` + ordersName + `"}
`})
	authorization := "Bearer " + x.tokens.entraUser("kari")
	for _, route := range []string{"slow", "slow-h2c"} {
		within(t, 5*time.Second, route, func() { noToken(t, x.call("/"+route+"/x", authorization), 504, "target_timeout", "") })
		if r := x.call("/"+route+"/late", authorization); r.StatusCode != 200 || r.Body != "late" {
			t.Errorf("%s: %d %q", route, r.StatusCode, r.Body)
		}
	}
	noToken(t, x.call("/gone/x", authorization), 502, "target_unreachable", "")
	for series, want := range map[string]float64{
		`postern_egress_requests_total{outcome="target_timeout",route="slow"}`: 1, `postern_egress_requests_total{outcome="answered",route="slow"}`: 1,
		`postern_egress_requests_total{outcome="target_unreachable",route="gone"}`: 1,
	} {
		if got := metric(t, x.Process, series); got != want {
			t.Errorf("%s is %v", series, got)
		}
	}
}

package egress

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
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"postern/config"
)

// TestBothDirectionsAtOnce: the target answers while the app has yet to send the rest.
func TestBothDirectionsAtOnce(t *testing.T) {
	t.Parallel()
	target := newOutside(t, func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).EnableFullDuplex()
		lines := bufio.NewScanner(r.Body)
		for lines.Scan() {
			_, _ = io.WriteString(w, "got "+lines.Text()+"\n")
			w.(http.Flusher).Flush()
		}
		w.Header().Set(http.TrailerPrefix+"X-Count", "2")
	})
	for _, overH2C := range []bool{false, true} {
		s := newSidecar(t, nil, config.EgressRoute{Name: "orders", URL: target.URL, H2C: overH2C})
		for name, client := range map[string]*http.Client{"HTTP/1.1": s.Client(), "HTTP/2": h2c(t)} {
			body, write := io.Pipe()
			go func() { _, _ = io.WriteString(write, "first\n") }()
			r, _ := http.NewRequestWithContext(t.Context(), "POST", s.URL+"/orders/x", body)
			r.Header.Set("Authorization", "Bearer entra_id")
			res, err := client.Do(r)
			if err != nil {
				t.Fatal(name, err)
			}
			lines := bufio.NewReader(res.Body)
			for _, word := range []string{"first", "second"} {
				if line, err := lines.ReadString('\n'); err != nil || line != "got "+word+"\n" {
					t.Fatalf("%s: %q, %v", name, line, err)
				}
				if word == "first" {
					_, _ = io.WriteString(write, "second\n")
				}
			}
			write.Close()
			_, _ = io.Copy(io.Discard, lines)
			res.Body.Close()
			if res.Trailer.Get("X-Count") != "2" {
				t.Errorf("%s, h2c %v: trailers %v", name, overH2C, res.Trailer)
			}
		}
	}
}

func TestAppThatLeavesIsHeardOfByTheTarget(t *testing.T) {
	t.Parallel()
	arrived, left := make(chan struct{}), make(chan struct{})
	target := newOutside(t, func(_ http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-r.Context().Done()
		close(left)
	})
	s := newSidecar(t, nil, orders(target.URL))
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-arrived; cancel() }()
	r, _ := http.NewRequestWithContext(ctx, "GET", s.URL+"/orders/x", nil)
	r.Header.Set("Authorization", "Bearer entra_id")
	if res, err := s.Client().Do(r); err == nil {
		res.Body.Close()
		t.Fatal("answered")
	}
	<-left
	s.Close() // waits for the handler
	if got := s.log.String(); !strings.Contains(got, `"status":499`) || !strings.Contains(got, `"reason":"client_gone"`) {
		t.Error(got)
	}
}

func TestAnswerThatIsCutIsCutForTheApp(t *testing.T) {
	t.Parallel()
	target := newOutside(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "10")
		_, _ = io.WriteString(w, "half")
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	})
	s := newSidecar(t, nil, orders(target.URL))
	r, _ := http.NewRequestWithContext(t.Context(), "GET", s.URL+"/orders/x", nil)
	r.Header.Set("Authorization", "Bearer entra_id")
	res, err := s.Client().Do(r)
	if err == nil {
		_, err = io.ReadAll(res.Body)
		res.Body.Close()
	}
	if err == nil {
		t.Error("the app took half an answer for a whole one")
	}
}

func TestTargetInTroubleHasItsStatus(t *testing.T) {
	t.Parallel()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	slow := newOutside(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	hasty := newOutside(t, func(w http.ResponseWriter, _ *http.Request) { // the head is in time, and the rest may take as long as it takes
		w.(http.Flusher).Flush()
		time.Sleep(150 * time.Millisecond)
		_, _ = io.WriteString(w, "late")
	})
	unasked, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unasked.Close() })
	go func() {
		for {
			conn, err := unasked.Accept()
			if err != nil {
				return
			}
			_, _ = http.ReadRequest(bufio.NewReader(conn))
			_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n")
			conn.Close()
		}
	}()
	const soon = 100 * time.Millisecond
	s := newSidecar(
		t, nil,
		config.EgressRoute{Name: "closed", URL: "http://" + closed.Addr().String()},
		config.EgressRoute{Name: "slow", URL: slow.URL, Timeout: soon},
		config.EgressRoute{Name: "slow-h2c", URL: slow.URL, Timeout: soon, H2C: true},
		config.EgressRoute{Name: "hasty", URL: hasty.URL, Timeout: soon},
		config.EgressRoute{Name: "unasked", URL: "http://" + unasked.Addr().String()},
	)
	for route, want := range map[string]struct {
		status int
		code   string
	}{
		"closed": {502, "target_unreachable"}, "slow": {504, "target_timeout"}, "slow-h2c": {504, "target_timeout"},
		"hasty": {200, ""}, "unasked": {502, "target_unreachable"},
	} {
		res, body := s.call(t, "GET /"+route+"/x", asUser)
		if res.StatusCode != want.status || want.code != "" && errorOf(t, body).Code != want.code || want.code == "" && body != "late" {
			t.Errorf("%s: %d %q; want %v", route, res.StatusCode, body, want)
		}
	}
}

// TestGRPCThroughEgress: unary call, status in trailers, stream of the server that the client ends, refusals as gRPC knows them.
func TestGRPCThroughEgress(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	checks := health.NewServer()
	target := grpc.NewServer(grpc.UnaryInterceptor(func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
		in, _ := metadata.FromIncomingContext(ctx)
		_ = grpc.SetTrailer(ctx, metadata.Pairs("saw", strings.Join(in.Get("authorization"), ",")+" "+strings.Join(in.Get("x-postern-user"), ",")))
		return next(ctx, req)
	}))
	healthpb.RegisterHealthServer(target, checks)
	go func() { _ = target.Serve(listener) }()
	t.Cleanup(target.Stop)

	s := newSidecar(t, nil, config.EgressRoute{Name: "health", URL: "http://" + listener.Addr().String(), H2C: true})
	conn, err := grpc.NewClient(s.Listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithAuthority("health.localhost"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	client := healthpb.NewHealthClient(conn)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	user := metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer entra_id", "x-postern-user", "eve")

	var trailer metadata.MD
	answer, err := client.Check(user, &healthpb.HealthCheckRequest{}, grpc.Trailer(&trailer))
	if err != nil || answer.Status != healthpb.HealthCheckResponse_SERVING || strings.Join(trailer.Get("saw"), "") != "Bearer exchanged-entra_id " {
		t.Fatalf("%v, %v, trailers %v", answer, err, trailer)
	}
	if _, err := client.Check(user, &healthpb.HealthCheckRequest{Service: "unknown"}); status.Code(err) != codes.NotFound {
		t.Errorf("%v; want NotFound, which stands in a trailer", err)
	}
	if _, err := client.Check(ctx, &healthpb.HealthCheckRequest{}); status.Code(err) != codes.Unauthenticated {
		t.Errorf("without a user: %v", err)
	}
	watching, stop := context.WithCancel(user)
	watch, err := client.Watch(watching, &healthpb.HealthCheckRequest{Service: "s"})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []healthpb.HealthCheckResponse_ServingStatus{3, 1, 2} { // unknown, serving, not serving
		if want != 3 {
			checks.SetServingStatus("s", want)
		}
		if got, err := watch.Recv(); err != nil || got.Status != want {
			t.Fatalf("%v, %v; want %v", got, err, want)
		}
	}
	stop()
	if _, err := watch.Recv(); status.Code(err) != codes.Canceled {
		t.Errorf("%v", err)
	}
}

func TestWebSocketThroughEgress(t *testing.T) {
	t.Parallel()
	echo := websocket.Server{Handler: func(conn *websocket.Conn) {
		_ = websocket.Message.Send(conn, conn.Request().Header.Get("Authorization"))
		_, _ = io.Copy(conn, conn)
	}}
	target := newOutside(t, echo.ServeHTTP)
	for _, overH2C := range []bool{false, true} { // a handshake goes by HTTP/1.1 also to a target that speaks h2c
		s := newSidecar(t, nil, config.EgressRoute{Name: "chat", URL: target.URL, H2C: overH2C})
		cfg, err := websocket.NewConfig("ws"+strings.TrimPrefix(s.URL, "http")+"/chat/room?x", s.URL)
		if err != nil {
			t.Fatal(err)
		}
		cfg.Header.Set("Authorization", "Bearer entra_id")
		conn, err := cfg.DialContext(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"Bearer exchanged-entra_id", "hei"} {
			var got string
			if err := websocket.Message.Receive(conn, &got); err != nil || got != want {
				t.Fatalf("h2c %v: %q, %v; want %q", overH2C, got, err, want)
			}
			if _, err := io.WriteString(conn, "hei"); err != nil {
				t.Fatal(err)
			}
		}
		if got := s.log.String(); strings.Contains(got, `"msg":"egress"`) {
			t.Errorf("an event before the end: %s", got)
		}
		conn.Close()
		for until := time.Now().Add(5 * time.Second); !strings.Contains(s.log.String(), `"path":"/chat/room","route":"chat","status":101`); time.Sleep(time.Millisecond) {
			if time.Now().After(until) { // nobody waits for the handler of a connection that was taken over
				t.Fatalf("log: %s", s.log)
			}
		}
	}
}

// TestS01EgressForwardsOnlyWebSocket: behind any other upgrade calls would go out of which nobody knows the token.
func TestS01EgressForwardsOnlyWebSocket(t *testing.T) {
	t.Parallel()
	target := newOutside(t, nil)
	s := newSidecar(t, nil, orders(target.URL))
	for _, upgrade := range []string{"h2c", "TLS/1.0", "websocket, h2c"} {
		res, _ := s.call(t, "GET /orders/x", asUser+"Connection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AA\r\nUpgrade: "+upgrade+"\r\n")
		if got := target.last().Header; res.StatusCode != 200 || got.Get("Upgrade") != "" || got.Get("Connection") != "" || got.Get("Http2-Settings") != "" {
			t.Errorf("%s: %d, the target saw %v", upgrade, res.StatusCode, got)
		}
	}
}

// TestLargeBodiesPass: what comes back is what was sent, however it is framed.
func TestLargeBodiesPass(t *testing.T) {
	t.Parallel()
	target := newOutside(t, func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).EnableFullDuplex()
		_, _ = io.Copy(w, r.Body)
	})
	s := newSidecar(t, nil, orders(target.URL))
	text := strings.Repeat("0123456789abcdef", 1<<16)
	for name, body := range map[string]io.Reader{"sized": strings.NewReader(text), "chunked": io.MultiReader(strings.NewReader(text))} {
		r, _ := http.NewRequestWithContext(t.Context(), "PUT", s.URL+"/orders/x", body)
		r.Header.Set("Authorization", "Bearer entra_id")
		res, err := s.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || string(got) != text {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
	}
	conn, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, "POST /orders/x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n"+asUser+"\r\nzz\r\n")
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "HTTP/1.1 400") {
		t.Errorf("a broken chunk: %q, %v", line, err)
	}
}

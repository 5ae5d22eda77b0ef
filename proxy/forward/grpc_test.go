package forward

import (
	"context"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// TestGRPCThroughH2C: unary call, status in trailers, server stream that is ended by the client.
func TestGRPCThroughH2C(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	checks := health.NewServer()
	app := grpc.NewServer(grpc.UnaryInterceptor(func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
		in, _ := metadata.FromIncomingContext(ctx)
		_ = grpc.SetTrailer(ctx, metadata.Pairs("saw-ours", in.Get("x-ours")[0]))
		return next(ctx, req)
	}))
	healthpb.RegisterHealthServer(app, checks)
	go func() { _ = app.Serve(listener) }()
	t.Cleanup(app.Stop)

	server := newFront(t, there{Host: listener.Addr().String(), Way: Way{H2C: true}}, Outgoing{Errand: preparing(func(out, _ *http.Request) {
		out.Header["X-Ours"] = []string{"yes"}
	})})
	conn, err := grpc.NewClient(server.Listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	client := healthpb.NewHealthClient(conn)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()

	var trailer metadata.MD
	answer, err := client.Check(ctx, &healthpb.HealthCheckRequest{}, grpc.Trailer(&trailer))
	if err != nil || answer.Status != healthpb.HealthCheckResponse_SERVING || len(trailer.Get("saw-ours")) != 1 {
		t.Fatalf("%v, %v, trailers %v", answer, err, trailer)
	}
	if _, err := client.Check(ctx, &healthpb.HealthCheckRequest{Service: "unknown"}); status.Code(err) != codes.NotFound {
		t.Errorf("%v; want NotFound, which stands in a trailer", err)
	}
	watching, stop := context.WithCancel(ctx)
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

// TestH2CResetsAreNotRetriedForEver: net/http by itself dials anew without end.
func TestH2CResetsAreNotRetriedForEver(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	var connections atomic.Int32
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			connections.Add(1)
			go resetStreams(conn)
		}
	}()
	server := newFront(t, there{Host: listener.Addr().String(), Way: Way{H2C: true}}, Outgoing{})
	if status, _, _ := send(t, server.Server, "GET / HTTP/1.1\r\nHost: app\r\n\r\n"); status != http.StatusBadGateway {
		t.Errorf("%d; want 502", status)
	}
	if n := connections.Load(); n > maxAttempts {
		t.Errorf("%d connections for one request", n)
	}
}

func resetStreams(conn net.Conn) {
	defer conn.Close()
	preface := make([]byte, len(http2.ClientPreface))
	if _, err := io.ReadFull(conn, preface); err != nil {
		return
	}
	framer := http2.NewFramer(conn, conn)
	_ = framer.WriteSettings()
	for {
		frame, err := framer.ReadFrame()
		if err != nil {
			return
		}
		switch frame.(type) {
		case *http2.HeadersFrame:
			_ = framer.WriteRSTStream(frame.Header().StreamID, http2.ErrCodeProtocol)
		case *http2.SettingsFrame:
			_ = framer.WriteSettingsAck()
		}
	}
}

package forward

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
)

// eventApp answers "/other" and streams events of a media type at any other path until nobody listens.
func eventApp(t *testing.T, media string) (at there, left chan bool) {
	left = make(chan bool, 10)
	return newApp(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/other" {
			_, _ = io.WriteString(w, "plain")
			return
		}
		w.Header().Set("Content-Type", media)
		_, _ = io.WriteString(w, "data: 1\n\n")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
		left <- true
	}), left
}

func clientOf(t *testing.T, http2 bool) *http.Client {
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetHTTP1(!http2)
	transport.Protocols.SetUnencryptedHTTP2(http2)
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 20 * time.Second}
}

// firstEvent opens an event stream and reads what it begins with.
func firstEvent(t *testing.T, client *http.Client, url string) io.ReadCloser {
	t.Helper()
	res, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { res.Body.Close() })
	if _, err := io.ReadFull(res.Body, make([]byte, len("data: 1\n\n"))); err != nil {
		t.Fatal(err)
	}
	return res.Body
}

// TestS44EventStreamIsBrokenOff: what the app has not finished does not look finished, by HTTP/1.1 and HTTP/2, and the app hears of it.
func TestS44EventStreamIsBrokenOff(t *testing.T) {
	t.Parallel()
	for _, h2 := range []bool{false, true} {
		for _, media := range []string{"text/event-stream", "Text/Event-Stream; charset=utf-8", "application/grpc-web+proto"} {
			app, left := eventApp(t, media)
			e := newErrand()
			server := newFront(t, app, Outgoing{Errand: e})
			client := clientOf(t, h2)
			body := firstEvent(t, client, server.URL)
			(<-e.opened).End(testEnding)
			rest, err := io.ReadAll(body)
			if len(rest) > 0 || h2 && (err == nil || !strings.Contains(err.Error(), "stream error")) || !h2 && !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("%s, HTTP/2 %v: %q and then %v", media, h2, rest, err)
			}
			wantClosed(t, e, testEnding)
			<-left
			if res, err := client.Get(server.URL + "/other"); err != nil || res.StatusCode != 200 {
				t.Errorf("the next request: %v", err)
			} else {
				res.Body.Close()
			}
		}
	}
}

// TestOnlyStreamsAreStreams: what ends by itself is nobody's to end.
func TestOnlyStreamsAreStreams(t *testing.T) {
	t.Parallel()
	for _, media := range []string{"", "text/html", "text/event-streams", "application/grpcx", "application/json", "text", "application/octet-stream"} {
		if kind := kindOf([]string{media}); (kind != noStream) != (media == "application/grpcx") {
			t.Errorf("%q is %d", media, kind)
		}
	}
	for media, want := range map[string]streamKind{
		"application/grpc": grpcStream, "APPLICATION/GRPC+proto": grpcStream, "application/grpc ; x=y": grpcStream, "application/grpc-web": cutStream,
		"text/event-stream;charset=utf-8": cutStream,
	} {
		if kind := kindOf([]string{media}); kind != want {
			t.Errorf("%q is %d, want %d", media, kind, want)
		}
	}
	app, _ := eventApp(t, "text/event-stream")
	e := newErrand()
	server := newFront(t, app, Outgoing{Errand: e})
	if status, body, _ := send(t, server.Server, "GET /other HTTP/1.1\r\nHost: app\r\n\r\n"); status != 200 || body != "plain" {
		t.Errorf("%d %q", status, body)
	}
	if len(e.opened) > 0 {
		t.Error("a plain answer was taken for a stream")
	}
}

// grpcApp serves health checks: "slow" is not answered before its caller leaves.
func grpcApp(t *testing.T) (at there, arrived, left chan bool) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	arrived, left = make(chan bool, 10), make(chan bool, 10)
	app := grpc.NewServer(grpc.UnaryInterceptor(func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
		if req.(*healthpb.HealthCheckRequest).Service == "slow" {
			arrived <- true
			<-ctx.Done()
			left <- true
		}
		return next(ctx, req)
	}), grpc.StreamInterceptor(func(srv any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, next grpc.StreamHandler) error {
		defer func() { left <- true }()
		return next(srv, stream)
	}))
	healthpb.RegisterHealthServer(app, health.NewServer())
	go func() { _ = app.Serve(listener) }()
	t.Cleanup(app.Stop)
	return there{Host: listener.Addr().String(), Way: Way{H2C: true}}, arrived, left
}

func healthClient(t *testing.T, server *front) healthpb.HealthClient {
	t.Helper()
	conn, err := grpc.NewClient(server.Listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return healthpb.NewHealthClient(conn)
}

// TestS44GRPCEndsWithAStatus: a call that streams, and one that was not answered yet.
func TestS44GRPCEndsWithAStatus(t *testing.T) {
	t.Parallel()
	app, arrived, left := grpcApp(t)
	e := newErrand()
	client := healthClient(t, newFront(t, app, Outgoing{Errand: e}))
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	want := func(what string, err error) {
		t.Helper()
		if said := status.Convert(err); said.Code() != codes.Unauthenticated || said.Message() != testEnding.Text {
			t.Errorf("%s: %v", what, err)
		}
		wantClosed(t, e, testEnding)
		<-left
	}
	watch, err := client.Watch(ctx, &healthpb.HealthCheckRequest{Service: "s"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := watch.Recv(); err != nil {
		t.Fatal(err)
	}
	(<-e.opened).End(testEnding)
	_, err = watch.Recv()
	want("stream", err)

	go func() { <-arrived; (<-e.opened).End(testEnding) }()
	_, err = client.Check(ctx, &healthpb.HealthCheckRequest{Service: "slow"})
	want("unanswered", err)

	if _, err := client.Check(ctx, &healthpb.HealthCheckRequest{}); err != nil {
		t.Errorf("the next call: %v", err)
	}
	wantClosed(t, e, nil)
}

// TestDrainEndsStreams: WebSockets hear that the process goes away, event streams are broken off, calls may finish for half of the time, and
// what is opened later ends at once.
func TestDrainEndsStreams(t *testing.T) {
	t.Parallel()
	app := newTunnelApp(t, func(conn net.Conn, from *bufio.Reader) {
		wantClose(t, from, 1001)
		_, _ = conn.Write(frameOf(0x88, []byte{3, 233}, nil))
	})
	e := newErrand()
	server := newFront(t, app, Outgoing{Errand: e})
	drained := make(chan bool)
	drain := func(f *Forwarder) {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		f.Drain(ctx)
		if ctx.Err() != nil {
			t.Error("the drain went on to its deadline")
		}
		drained <- true
	}
	for i := range 2 { // one is open before, one comes after
		conn, reader := upgrade(t, server)
		if i == 0 {
			go drain(server.forwarder)
		}
		wantClose(t, reader, 1001)
		_, _ = conn.Write(frameOf(0x88, []byte{3, 233}, []byte("key!")))
		<-e.opened
	}
	<-drained
	wantClosed(t, e, GoingAway)
	wantClosed(t, e, GoingAway)

	calls, arrived, _ := grpcApp(t)
	e = newErrand()
	server = newFront(t, calls, Outgoing{Errand: e})
	client := healthClient(t, server)
	failed := make(chan error)
	go func() {
		_, err := client.Check(t.Context(), &healthpb.HealthCheckRequest{Service: "slow"})
		failed <- err
	}()
	<-arrived
	go drain(server.forwarder)
	if _, err := client.Check(t.Context(), &healthpb.HealthCheckRequest{}); err != nil {
		t.Errorf("a short call at the beginning of the drain: %v", err)
	}
	if err := <-failed; status.Code(err) != codes.Unavailable || !strings.Contains(err.Error(), GoingAway.Text) {
		t.Errorf("a long call: %v", err)
	}
	<-drained
}

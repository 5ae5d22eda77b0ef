package e2e

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
)

// drainSlack is for a busy machine; what is measured against it is seconds longer when it is wrong.
const drainSlack = 3 * time.Second

// stopping sends SIGTERM, waits until the drain has begun, and tells how long the rest took.
func (w *world) stopping(t testing.TB) (stopped <-chan time.Duration) {
	t.Helper()
	done := make(chan time.Duration, 1)
	began := time.Now()
	w.ended = true
	w.signal(syscall.SIGTERM)
	w.Log.WaitFor(t, map[string]any{"msg": "draining"})
	go func() {
		code := w.wait(t, stopLimit)
		if took := time.Since(began); code == 0 {
			done <- took
		} else {
			t.Errorf("exit code %d", code)
			done <- took
		}
	}()
	return done
}

func (w *world) awaitRequests(t testing.TB, n int) {
	t.Helper()
	Eventually(t, fmt.Sprintf("the app has %d requests", n), func() error {
		if got := len(w.app.Requests()); got < n {
			return errorf("%d", got)
		}
		return nil
	})
}

// Contract 8: what takes longer than there is time is told so, by HTTP/1 and HTTP/2, and what could not be told is cut; the whole is over within
// shutdown-graceful-period, and a second SIGTERM changes nothing about it.
func TestDrainAnswersWhomItCannotWaitFor(t *testing.T) {
	t.Parallel()
	const graceful = 4 * time.Second
	app := App(t, map[string]http.HandlerFunc{
		"/hang":   func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"/upload": func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) },
		"/halves": func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, strings.Repeat("half", 50_000)) // more than any buffer on the way
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		},
	})
	w := newWorld(t, worldOptions{app: app, env: map[string]string{
		"POSTERN_SHUTDOWN_GRACEFUL_PERIOD": graceful.String(), "POSTERN_UPSTREAM_TIMEOUT": "1m",
	}})
	answers := map[string]chan *http.Response{}
	ask := func(name string, h2 bool, path string, body io.Reader) {
		answers[name] = make(chan *http.Response, 1)
		transport := &http.Transport{Protocols: new(http.Protocols), DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, w.Addr)
		}}
		transport.Protocols.SetHTTP1(!h2)
		transport.Protocols.SetUnencryptedHTTP2(h2)
		t.Cleanup(transport.CloseIdleConnections)
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.ingress+path, body)
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			answer, err := transport.RoundTrip(r)
			if err != nil {
				t.Logf("%s: %v", name, err)
				answer = nil
			}
			answers[name] <- answer
		}()
	}
	ask("HTTP/1", false, "/hang", nil)
	ask("HTTP/2", true, "/hang", nil)
	unfinished, writer := io.Pipe()
	t.Cleanup(func() { writer.Close() })
	ask("an upload that never ends", false, "/upload", io.MultiReader(strings.NewReader("some"), unfinished))
	ask("an answer that never ends", false, "/halves", nil)
	half := Dial(t, w.Addr)
	_, _ = io.WriteString(half, "GET /never HTTP/1.1\r\nHost: "+w.host()+"\r\nX-Begun")
	w.awaitRequests(t, 3)
	time.Sleep(500 * time.Millisecond) // for the upload, which the app shows when it is over
	halves := <-answers["an answer that never ends"]

	stopped := w.stopping(t)
	w.signal(syscall.SIGTERM)
	for _, name := range []string{"HTTP/1", "HTTP/2"} { // whoever does not end their own upload is cut
		answer := <-answers[name]
		if answer == nil {
			t.Errorf("%s: no answer", name)
			continue
		}
		body, _ := io.ReadAll(answer.Body)
		answer.Body.Close()
		if answer.StatusCode != 503 || answer.Header.Get("Retry-After") == "" || !strings.Contains(string(body), "shutting_down") {
			t.Errorf("%s: status %d %v %s", name, answer.StatusCode, answer.Header, body)
		}
	}
	if halves == nil {
		t.Error("no half of an answer")
	} else {
		text, err := io.ReadAll(halves.Body)
		halves.Body.Close()
		if !strings.HasPrefix(string(text), "half") || err == nil {
			t.Errorf("an answer that was cut looks whole: %d bytes", len(text))
		}
	}
	if took := <-stopped; took > graceful+drainSlack {
		t.Errorf("it took %v, and shutdown-graceful-period is %v", took, graceful)
	}
	if refused := w.Log.Find(map[string]any{"audit": true, "reason": "shutting_down"}); len(refused) > 0 {
		t.Errorf("trouble is no refusal: %v", refused)
	}
	if lines := w.Log.Find(map[string]any{"msg": "request", "reason": "shutting_down", "status": 503}); len(lines) < 2 {
		t.Errorf("%d lines say so", len(lines))
	}
}

// Contract 8: what can be finished is finished, an upload and a gRPC call too; HTTP/1 connections are told with an answer that they end.
func TestDrainFinishesUploadsAndCalls(t *testing.T) {
	t.Parallel()
	go1, release := make(chan struct{}), make(chan struct{})
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(grpc.UnaryInterceptor(func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
		close(go1)
		<-release
		return next(ctx, req)
	}))
	grpc_health_v1.RegisterHealthServer(server, &alwaysServing{})
	go func() { _ = server.Serve(l) }()
	t.Cleanup(server.Stop)
	env := map[string]string{"POSTERN_SHUTDOWN_WAIT_BEFORE_PERIOD": "2s", "POSTERN_SHUTDOWN_GRACEFUL_PERIOD": "13s"}
	h2c := maps.Clone(env)
	h2c["POSTERN_UPSTREAM_H2C"] = "true"
	calls := newWorld(t, worldOptions{app: &AppServer{Addr: l.Addr().String()}, env: h2c})
	conn, err := grpc.NewClient("passthrough:///"+calls.host(), grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "tcp", calls.Addr)
		}))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	called := make(chan error, 1)
	go func() {
		_, err := grpc_health_v1.NewHealthClient(conn).Check(t.Context(), &grpc_health_v1.HealthCheckRequest{})
		called <- err
	}()
	<-go1

	uploads := newWorld(t, worldOptions{env: env})
	upload, idle := Dial(t, uploads.Addr), Dial(t, uploads.Addr)
	_, _ = io.WriteString(upload, "POST /up HTTP/1.1\r\nHost: "+uploads.host()+"\r\nContent-Length: 6\r\n\r\nabc")
	get := func(conn net.Conn, into *bufio.Reader) *http.Response {
		_, _ = io.WriteString(conn, "GET /again HTTP/1.1\r\nHost: "+uploads.host()+"\r\n\r\n")
		answer, err := http.ReadResponse(into, nil)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, answer.Body)
		answer.Body.Close()
		return answer
	}
	from := bufio.NewReader(idle)
	if get(idle, from).Close {
		t.Error("a connection ends without need")
	}
	stopped, stoppedToo := uploads.stopping(t), calls.stopping(t)
	if !get(idle, from).Close {
		t.Error("an HTTP/1 client is not told that its connection ends")
	}
	time.Sleep(2500 * time.Millisecond) // past the wait: nothing is accepted any more
	if late, err := net.DialTimeout("tcp", uploads.Addr, time.Second); err == nil {
		late.Close()
		t.Error("a connection is taken after the wait")
	}
	_, _ = io.WriteString(upload, "def")
	answer, err := http.ReadResponse(bufio.NewReader(upload), nil)
	if err != nil {
		t.Fatalf("the upload: %v", err)
	}
	defer answer.Body.Close()
	if body, _ := io.ReadAll(answer.Body); answer.StatusCode != 200 || !strings.Contains(string(body), `"abcdef"`) {
		t.Errorf("the upload: status %d %s", answer.StatusCode, body)
	}
	close(release)
	if err := <-called; err != nil {
		t.Errorf("the call: %v", err)
	}
	<-stopped
	<-stoppedToo
	for _, one := range []*world{uploads, calls} {
		if strings.Contains(one.Log.Text(), "cut off") {
			t.Error("requests were cut off")
		}
	}
}

type alwaysServing struct {
	grpc_health_v1.UnimplementedHealthServer
}

func (*alwaysServing) Check(context.Context, *grpc_health_v1.HealthCheckRequest) (*grpc_health_v1.HealthCheckResponse, error) {
	return &grpc_health_v1.HealthCheckResponse{Status: grpc_health_v1.HealthCheckResponse_SERVING}, nil
}

// A SIGTERM that comes before Postern is ready ends it as well, within the grace, and with 0.
func TestDrainDuringTheStart(t *testing.T) {
	t.Parallel()
	w := prepareWorld(t, worldOptions{env: map[string]string{"POSTERN_SHUTDOWN_GRACEFUL_PERIOD": "4s"}})
	w.dev.Stop(t)
	w.Process = Launch(t, w.env)
	w.WaitURL(t, "http://"+w.ProbeAddr+"/livez")
	if took := <-w.stopping(t); took > 4*time.Second+drainSlack {
		t.Errorf("it took %v", took)
	}
	early := Launch(t, w.env) // at a moment that nobody knows: by the signal itself, or in order
	time.Sleep(20 * time.Millisecond)
	early.ended = true
	early.signal(syscall.SIGTERM)
	if code := early.wait(t, stopLimit); code != 0 && code != 128+int(syscall.SIGTERM) && code != -1 {
		t.Errorf("exit code %d", code)
	}
}

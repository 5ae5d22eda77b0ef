package forward

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func newApp(t *testing.T, handler http.HandlerFunc) there {
	t.Helper()
	app := httptest.NewUnstartedServer(handler)
	app.Config.Protocols = new(http.Protocols)
	app.Config.Protocols.SetHTTP1(true)
	app.Config.Protocols.SetUnencryptedHTTP2(true)
	app.Start()
	t.Cleanup(app.Close)
	return there{Host: app.Listener.Addr().String()}
}

// TestAdvisoryCVE2026_39825TargetIsSentByteForByte: peers.md rows 26, 27 and 79.
func TestAdvisoryCVE2026_39825TargetIsSentByteForByte(t *testing.T) {
	t.Parallel()
	app := newRawApp(t, okAnswer)
	server := newFront(t, there{Host: app.address}, Outgoing{})
	for _, target := range []string{
		"/", "/?", "/a", "/a?", "/a??", "/a?b?c", "//a", "//a/b?c", "///a", "//a%2Fb?", "/a//b", "/a/", "/a/../b", "/a/%2e%2e/b", "/a/./b",
		"/a%2Fb", "/a%2fb", "/%c3%b8", "/%C3%B8", "/ø", "/a%20b", "/a+b", `/a\b`, "/a|b", "/a\"b", "/a<b>", "/{a}", "/a^b`", "/a[b]", "/a;b=c",
		"/a;b=c?d;e", "/?a=1;b=2&c=%zz", "/?%", "/?a=%00", "/?=&&=", "/?q=http://x/?y", "/a%25b", "/a%252e", "/~a!$&'()*+,;=:@-._", "/a:b", "/http://x/",
		"/?" + strings.Repeat("a&", 11000),
	} {
		status, _, _ := send(t, server.Server, "GET "+target+" HTTP/1.1\r\nHost: app.example:81\r\nConnection: close\r\n\r\n")
		seen := app.requests()
		if status != 200 || len(seen) == 0 {
			t.Fatalf("%.60q: %d", target, status)
		}
		last := seen[len(seen)-1]
		if line, _, _ := strings.Cut(last, "\r\n"); line != "GET "+target+" HTTP/1.1" {
			t.Errorf("%.60q was sent as %.60q", target, line)
		}
		if !strings.Contains(last, "\r\nHost: app.example:81\r\n") {
			t.Errorf("Host was not kept: %.200q", last)
		}
	}
}

func TestHeadersPassAsTheyCame(t *testing.T) {
	t.Parallel()
	app := newRawApp(t, okAnswer)
	server := newFront(t, there{Host: app.address}, Outgoing{Errand: preparing(func(out, in *http.Request) {
		if in.Header.Get("Connection") == "" || out.Header.Get("Connection") != "" {
			t.Error("prepare must see the client's request, and the Outgoing one without hop-by-hop headers")
		}
		out.Header["X-Ours"] = []string{"yes"}
	})})
	send(t, server.Server, "POST /a HTTP/1.1\r\nHost: app\r\nConnection: close, X-Ours, te\r\nTE: trailers\r\nX-Ours: no\r\nKeep-Alive: 5\r\n"+
		"Proxy-Authorization: x\r\nX-Two: 1\r\nX-Two: 2\r\nContent-Length: 3\r\n\r\nabc")
	head := app.requests()[0]
	for _, want := range []string{"X-Ours: yes\r\n", "Te: trailers\r\n", "X-Two: 1\r\nX-Two: 2\r\n", "Content-Length: 3\r\n"} {
		if !strings.Contains(head, want) {
			t.Errorf("%q is missing in %q", want, head)
		}
	}
	for _, not := range []string{"Accept-Encoding", "User-Agent", "Keep-Alive", "Proxy-", "X-Ours: no", "Connection", "X-Forwarded"} {
		if strings.Contains(head, not) {
			t.Errorf("%q in %q", not, head)
		}
	}
}

// TestS24RequestTrailersStopHere: nothing strips what comes after the body, so nothing of it is sent.
func TestS24RequestTrailersStopHere(t *testing.T) {
	t.Parallel()
	seen := make(chan http.Header, 1)
	cfg := newApp(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		seen <- r.Trailer
	})
	server := newFront(t, cfg, Outgoing{})
	status, _, _ := send(t, server.Server, "POST / HTTP/1.1\r\nHost: app\r\nTransfer-Encoding: chunked\r\nTrailer: X-Postern-User, X-Fine\r\nConnection: close\r\n\r\n"+
		"3\r\nabc\r\n0\r\nX-Postern-User: admin\r\nX-Fine: 1\r\nX_Postern_User: admin\r\n\r\n")
	if trailer := <-seen; status != 200 || len(trailer) != 0 {
		t.Errorf("%d, trailers %v reached the app", status, trailer)
	}
}

func TestResponsesAreCleaned(t *testing.T) {
	t.Parallel()
	cfg := newApp(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header()["Set-Cookie"] = []string{"own.session=evil; Path=/", "app=1", "own.login=; Max-Age=0"}
		w.Header().Set("Link", "</a.css>")
		w.WriteHeader(http.StatusEarlyHints)
	})
	server := newFront(t, cfg, Outgoing{})
	var hints http.Header
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{Got1xxResponse: func(_ int, h textproto.MIMEHeader) error {
		hints = http.Header(h)
		return nil
	}})
	r, _ := http.NewRequestWithContext(ctx, "GET", server.URL, nil)
	res, err := server.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	for name, h := range map[string]http.Header{"response": res.Header, "early hints": hints} {
		if got := h["Set-Cookie"]; !slices.Equal(got, []string{"app=1"}) {
			t.Errorf("S-23: %s: Set-Cookie %q", name, got)
		}
	}
	if hints.Get("Link") != "</a.css>" {
		t.Error("the interim response was not passed on")
	}
}

// What the server does not say of its body is not made up.
func TestNoContentTypeIsMadeUp(t *testing.T) {
	t.Parallel()
	for said, want := range map[string]string{"": "", "Content-Type: text/x-own\r\n": "text/x-own"} {
		app := newRawApp(t, "HTTP/1.1 200 OK\r\n"+said+"Content-Length: 6\r\n\r\n<html>")
		server := newFront(t, there{Host: app.address}, Outgoing{})
		status, body, res := send(t, server.Server, "GET / HTTP/1.1\r\nHost: app\r\nConnection: close\r\n\r\n")
		if status != 200 || res.Header.Get("Content-Type") != want || body != "<html>" {
			t.Errorf("%q: %d %q %q", said, status, res.Header.Get("Content-Type"), body)
		}
	}
}

func TestBodiesPassBothWays(t *testing.T) {
	t.Parallel()
	echo := func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).EnableFullDuplex()
		if r.ContentLength >= 0 {
			w.Header().Set("Content-Length", fmt.Sprint(r.ContentLength))
		}
		_, _ = io.Copy(w, r.Body)
	}
	body := make([]byte, 64<<10+1)
	_, _ = rand.Read(body)
	for _, h2c := range []bool{false, true} {
		cfg := newApp(t, echo)
		cfg.H2C = h2c
		server := newFront(t, cfg, Outgoing{})
		for name, reader := range map[string]io.Reader{"sized": bytes.NewReader(body), "chunked": io.MultiReader(bytes.NewReader(body))} {
			res, err := server.Client().Post(server.URL, "application/octet-stream", reader)
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(res.Body)
			res.Body.Close()
			if err != nil || !bytes.Equal(got, body) {
				t.Errorf("h2c %v, %s: %d bytes, %v", h2c, name, len(got), err)
			}
		}
	}
}

// TestBothDirectionsAtOnce: the app answers while the client has yet to send the rest.
func TestBothDirectionsAtOnce(t *testing.T) {
	t.Parallel()
	cfg := newApp(t, func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).EnableFullDuplex()
		lines := bufio.NewScanner(r.Body)
		for lines.Scan() {
			_, _ = io.WriteString(w, "got "+lines.Text()+"\n")
			w.(http.Flusher).Flush()
		}
	})
	server := newFront(t, cfg, Outgoing{})
	for name, client := range map[string]*http.Client{"HTTP/1.1": server.Client(), "HTTP/2": h2cClient(t)} {
		body, write := io.Pipe()
		go func() { _, _ = io.WriteString(write, "first\n") }()
		res, err := client.Post(server.URL, "text/plain", body)
		if err != nil {
			t.Fatal(name, err)
		}
		lines := bufio.NewReader(res.Body)
		for _, word := range []string{"first", "second", "third"} {
			if line, err := lines.ReadString('\n'); err != nil || line != "got "+word+"\n" {
				t.Fatalf("%s: %q, %v", name, line, err)
			}
			go func() {
				if word == "first" {
					_, _ = io.WriteString(write, "second\nthird\n")
				}
			}()
		}
		write.Close()
		res.Body.Close()
	}
}

func TestUnixSocketApp(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "app.sock")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	app := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Host) })}
	go func() { _ = app.Serve(listener) }()
	t.Cleanup(func() { app.Close() })
	server := newFront(t, there{Host: "app", Way: Way{Socket: path}}, Outgoing{})
	if status, body, _ := send(t, server.Server, "GET / HTTP/1.1\r\nHost: app.example\r\n\r\n"); status != 200 || body != "app.example" {
		t.Errorf("%d %q", status, body)
	}
}

// TestEventsArriveAtOnce: each event is read before the app may send the next one.
func TestEventsArriveAtOnce(t *testing.T) {
	t.Parallel()
	next := make(chan struct{})
	cfg := newApp(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		w.(http.Flusher).Flush() // the head alone must pass, too
		for i := range 3 {
			<-next
			fmt.Fprintf(w, "data: %d\n\n", i)
			w.(http.Flusher).Flush()
		}
	})
	server := newFront(t, cfg, Outgoing{})
	res, err := server.Client().Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	lines := bufio.NewReader(res.Body)
	for i := range 3 {
		next <- struct{}{}
		if line, err := lines.ReadString('\n'); err != nil || line != fmt.Sprintf("data: %d\n", i) {
			t.Fatalf("%q, %v", line, err)
		}
		_, _ = lines.ReadString('\n')
	}
}

func TestTrailersOfTheApp(t *testing.T) {
	t.Parallel()
	cfg := newApp(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "Known")
		_, _ = io.WriteString(w, "body")
		w.(http.Flusher).Flush() // no Content-Length: HTTP/1.1 has trailers behind chunks only
		w.Header().Set("Known", "1")
		w.Header().Set(http.TrailerPrefix+"Unknown", "2")
	})
	for _, cfg.H2C = range []bool{false, true} {
		server := newFront(t, cfg, Outgoing{})
		for name, client := range map[string]*http.Client{"HTTP/1.1": server.Client(), "HTTP/2": h2cClient(t)} {
			res, err := client.Get(server.URL)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, res.Body)
			res.Body.Close()
			if res.Trailer.Get("Known") != "1" || res.Trailer.Get("Unknown") != "2" {
				t.Errorf("%s, h2c %v: %v", name, cfg.H2C, res.Trailer)
			}
		}
	}
}

func TestAppTroubleHasItsStatus(t *testing.T) {
	t.Parallel()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	slow := newApp(t, func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	slow.Timeout = 50 * time.Millisecond
	reset := there{Host: newRawApp(t, "").address}
	nonsense := there{Host: newRawApp(t, "SSH-2.0-x\r\n\r\n").address}
	fine := newApp(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) })
	const get = "GET / HTTP/1.1\r\nHost: app\r\nConnection: close\r\n\r\n"
	for name, test := range map[string]struct {
		app     there
		request string
		status  int
	}{
		"nobody listens":      {there{Host: closed.Addr().String()}, get, 502},
		"no such socket":      {there{Host: "app", Way: Way{Socket: "/nonexistent/app.sock"}}, get, 502},
		"reset before a head": {reset, get, 502},
		"no HTTP":             {nonsense, get, 502},
		"no head in time":     {slow, get, 504},
		"broken chunk":        {fine, "POST / HTTP/1.1\r\nHost: app\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\nzz\r\n\r\n", 400},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := newFront(t, test.app, Outgoing{})
			status, body, _ := send(t, server.Server, test.request)
			failure, _ := server.lastFailure()
			if status != test.status || failure.Status != test.status || failure.Unwrap() == nil {
				t.Errorf("%d %q, %v; want %d", status, body, failure, test.status)
			}
		})
	}
}

func TestH2CTimeoutIs504(t *testing.T) {
	t.Parallel()
	slow := newApp(t, func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	slow.Timeout, slow.H2C = 50*time.Millisecond, true
	server := newFront(t, slow, Outgoing{})
	if status, _, _ := send(t, server.Server, "GET / HTTP/1.1\r\nHost: app\r\n\r\n"); status != 504 {
		t.Error(status)
	}
}

func TestTooLongBodyIs413(t *testing.T) {
	t.Parallel()
	x := &exchange{in: httptest.NewRequest("POST", "/", nil)}
	limited := http.MaxBytesReader(httptest.NewRecorder(), io.NopCloser(strings.NewReader("12345")), 2)
	x.body = &watchedBody{ReadCloser: limited}
	_, _ = io.Copy(io.Discard, x.body)
	if got := x.classify(io.ErrUnexpectedEOF).Status; got != http.StatusRequestEntityTooLarge {
		t.Error(got)
	}
}

// TestClientGoneIs499: nobody is answered, and the app hears of it.
func TestClientGoneIs499(t *testing.T) {
	t.Parallel()
	arrived, left := make(chan struct{}), make(chan struct{})
	cfg := newApp(t, func(w http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-r.Context().Done()
		close(left)
	})
	server := newFront(t, cfg, Outgoing{})
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-arrived; cancel() }()
	r, _ := http.NewRequestWithContext(ctx, "GET", server.URL, nil)
	if res, err := server.Client().Do(r); err == nil {
		res.Body.Close()
		t.Fatal("answered")
	}
	<-left
	server.Close() // waits for the handler
	if failure, ok := server.lastFailure(); !ok || failure.Status != StatusClientGone {
		t.Errorf("%v, %v", failure, ok)
	}
}

// TestAnswerCutByTheAppIsCutForTheClient: an incomplete body must not look complete.
func TestAnswerCutByTheAppIsCutForTheClient(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]string{
		"sized":   "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
		"chunked": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
	} {
		app := newRawApp(t, answer)
		server := newFront(t, there{Host: app.address}, Outgoing{})
		res, err := server.Client().Get(server.URL)
		if err == nil {
			_, err = io.ReadAll(res.Body)
			res.Body.Close()
		}
		if err == nil {
			t.Errorf("%s: the client took half an answer for a whole one", name)
		}
	}
}

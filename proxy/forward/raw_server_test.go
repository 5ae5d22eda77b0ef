package forward

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// rawApp is an app that speaks bytes: it records what reaches it and answers as it is told. Every request gets its own connection.
type rawApp struct {
	address string
	mu      sync.Mutex
	seen    []string // heads of requests, and whatever followed them
	answer  string
}

// newRawApp answers every request head with the given bytes and then closes the connection.
func newRawApp(t *testing.T, answer string) *rawApp {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	app := &rawApp{address: listener.Addr().String(), answer: answer}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go app.serve(conn)
		}
	}()
	return app
}

const okAnswer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"

func (a *rawApp) serve(conn net.Conn) {
	defer conn.Close()
	reader := bufio.NewReader(conn)
	var head strings.Builder
	for {
		line, err := reader.ReadString('\n')
		if err != nil {
			return
		}
		if head.WriteString(line); line == "\r\n" {
			break
		}
	}
	a.mu.Lock()
	a.seen = append(a.seen, head.String())
	mine := len(a.seen) - 1
	a.mu.Unlock()
	_, _ = io.WriteString(conn, a.answer)
	if !strings.HasPrefix(a.answer, "HTTP/1.1 101") {
		return
	}
	_ = conn.SetReadDeadline(time.Now().Add(5 * time.Second))
	buffer := make([]byte, 1024)
	for {
		n, err := reader.Read(buffer)
		a.mu.Lock()
		a.seen[mine] += string(buffer[:n])
		a.mu.Unlock()
		if err != nil {
			return
		}
		_, _ = conn.Write(buffer[:n])
	}
}

// requests are the heads so far.
func (a *rawApp) requests() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]string(nil), a.seen...)
}

// front is a server with nothing but the target check and the upstream: what this part of the package decides by itself.
type front struct {
	*httptest.Server
	forwarder *Forwarder
	mu        sync.Mutex
	failures  []Error
}

func newFront(t *testing.T, at there, out Outgoing) *front {
	t.Helper()
	f := prepareFront(t, at, out)
	f.Start()
	return f
}

// prepareFront is newFront before it starts.
func prepareFront(t *testing.T, at there, out Outgoing) *front {
	t.Helper()
	f := &front{}
	transport := NewTransport(at.Way).(transport)
	u := New(Server{Scheme: "http", Host: at.Host, Transport: transport, Withheld: at.Withheld}, dropOwn, func(w http.ResponseWriter, _ *http.Request, err Error) {
		f.mu.Lock()
		f.failures = append(f.failures, err)
		f.mu.Unlock()
		if err.Status != StatusClientGone {
			http.Error(w, "error page", err.Status)
		}
	})
	t.Cleanup(func() {
		transport.usual.CloseIdleConnections()
		transport.upgrades.CloseIdleConnections()
	})
	f.forwarder = u
	f.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if problem := CheckTarget(r); problem != nil {
			http.Error(w, problem.Code, problem.Status)
			return
		}
		u.Serve(w, r, out)
	}))
	f.Config.Protocols = new(http.Protocols)
	f.Config.Protocols.SetHTTP1(true)
	f.Config.Protocols.SetUnencryptedHTTP2(true)
	t.Cleanup(f.Close)
	return f
}

func (f *front) lastFailure() (Error, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.failures) == 0 {
		return Error{}, false
	}
	return f.failures[len(f.failures)-1], true
}

// dropOwn stands for what the app may not say.
func dropOwn(header http.Header) {
	header["Set-Cookie"] = slices.DeleteFunc(header["Set-Cookie"], func(line string) bool { return strings.HasPrefix(line, "own.") })
}

// there is where a server is, and how it is reached.
type there struct {
	Host     string
	Withheld *Names
	Way
}

// send writes bytes to the server and returns the first answer with its body, and whether the connection is still open after it.
func send(t *testing.T, server *httptest.Server, request string) (status int, body string, res *http.Response) {
	t.Helper()
	conn := dial(t, server)
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	return readAnswer(t, bufio.NewReader(conn))
}

func dial(t *testing.T, server *httptest.Server) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
	return conn
}

func readAnswer(t *testing.T, reader *bufio.Reader) (status int, body string, res *http.Response) {
	t.Helper()
	res, err := http.ReadResponse(reader, nil)
	if err != nil {
		t.Fatalf("read answer: %v", err)
	}
	if res.StatusCode == http.StatusSwitchingProtocols {
		return res.StatusCode, "", res
	}
	content, _ := io.ReadAll(res.Body)
	res.Body.Close()
	return res.StatusCode, string(content), res
}

// preparing is an Errand that only changes headers.
type preparing func(out, in *http.Request)

func (p preparing) Prepare(out, in *http.Request) { p(out, in) }
func (preparing) Answered(*http.Response)         {}
func (preparing) Opened(*Stream) func(*Ending)    { return nil }

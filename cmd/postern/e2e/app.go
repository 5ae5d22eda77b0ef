package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/websocket"
)

// Echo is a request as the app saw it.
type Echo struct {
	Method  string
	URI     string // the request target, byte for byte
	Host    string
	Proto   string
	Header  http.Header
	Trailer http.Header `json:",omitempty"`
	Body    string
}

// AppServer is the app behind Postern.
type AppServer struct {
	URL  string
	Addr string // host:port, as upstream-host takes it

	mu   sync.Mutex
	seen []Echo
}

// App starts an app on a loopback port. It speaks HTTP/1.1 and HTTP/2 without TLS, and serves
//
//	/ws    a WebSocket that sends back each message
//	/sse   an event stream: "data: 0", then one more event every 20 ms until the client goes
//	else   the request, as JSON of [Echo]
//
// and before those, what routes say (patterns of [http.ServeMux]).
func App(t testing.TB, routes map[string]http.HandlerFunc) *AppServer {
	t.Helper()
	a := &AppServer{}
	mux := http.NewServeMux()
	for pattern, handler := range routes {
		mux.Handle(pattern, a.recorded(handler))
	}
	own := func(w http.ResponseWriter, r *http.Request) {
		seen := a.record(r)
		// No ServeMux for these: it would redirect the unclean paths that tests send.
		switch r.URL.Path {
		case "/ws":
			websocket.Server{Handler: echoMessages}.ServeHTTP(w, r)
		case "/sse":
			serveEvents(w, r)
		default:
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(seen)
		}
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, pattern := mux.Handler(r); pattern != "" {
			mux.ServeHTTP(w, r)
			return
		}
		own(w, r)
	}))
	server.Config.Protocols = new(http.Protocols)
	server.Config.Protocols.SetHTTP1(true)
	server.Config.Protocols.SetUnencryptedHTTP2(true)
	server.Start()
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	a.URL, a.Addr = server.URL, strings.TrimPrefix(server.URL, "http://")
	return a
}

// Requests is every request so far. Those of a path that streams are in it as soon as their head was read.
func (a *AppServer) Requests() []Echo {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]Echo(nil), a.seen...)
}

func (a *AppServer) recorded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.record(r)
		next.ServeHTTP(w, r)
	})
}

// record reads the request whole, but for an upgrade, and leaves its body to be read again.
func (a *AppServer) record(r *http.Request) Echo {
	var body []byte
	if r.Header.Get("Upgrade") == "" {
		body, _ = io.ReadAll(r.Body)
		r.Body = io.NopCloser(strings.NewReader(string(body)))
	}
	e := Echo{
		Method: r.Method, URI: r.RequestURI, Host: r.Host, Proto: r.Proto,
		Header: r.Header.Clone(), Trailer: r.Trailer.Clone(), Body: string(body),
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.seen = append(a.seen, e)
	return e
}

// message is a WebSocket message whole, whatever frames it came in.
type message struct {
	data []byte
	kind byte // text or binary
}

func echoMessages(ws *websocket.Conn) {
	codec := websocket.Codec{
		Marshal: func(v any) ([]byte, byte, error) {
			m := v.(*message)
			return m.data, m.kind, nil
		},
		Unmarshal: func(data []byte, kind byte, v any) error {
			*v.(*message) = message{data, kind}
			return nil
		},
	}
	for {
		var m message
		if codec.Receive(ws, &m) != nil || codec.Send(ws, &m) != nil {
			return
		}
	}
}

func serveEvents(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for n := 0; ; n++ {
		fmt.Fprintf(w, "data: %d\n\n", n)
		if http.NewResponseController(w).Flush() != nil {
			return
		}
		select {
		case <-tick.C:
		case <-r.Context().Done():
			return
		}
	}
}

// Echoed is the request that an answer of the app is about.
func Echoed(t testing.TB, answer *Response) Echo {
	t.Helper()
	var e Echo
	if err := json.Unmarshal([]byte(answer.Body), &e); err != nil {
		t.Fatalf("the app's echo: %v (status %d, body %.200q)", err, answer.StatusCode, answer.Body)
	}
	return e
}

package proxy

import (
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/net/websocket"

	"postern/oidc/correlation"
	"postern/proxy/policy"
)

// eventApp is an app of event streams, none of which ends by itself.
func eventApp(t *testing.T) string {
	t.Helper()
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header()["Content-Type"] = []string{"text/event-stream"}
		_, _ = io.WriteString(w, "data: 1\n\n")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}))
	t.Cleanup(app.Close)
	return strings.TrimPrefix(app.URL, "http://")
}

// listen opens an event stream, and returns a channel that is closed when it has ended.
func listen(t *testing.T, front http.Handler, path string, headers ...string) (ended chan struct{}) {
	t.Helper()
	server := httptest.NewServer(front)
	t.Cleanup(server.Close)
	t.Cleanup(server.CloseClientConnections)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = "app.localhost"
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	res, err := server.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	if res.StatusCode != http.StatusOK {
		t.Fatalf("status %d", res.StatusCode)
	}
	ended = make(chan struct{})
	go func() {
		defer close(ended)
		defer res.Body.Close()
		if _, err := io.Copy(io.Discard, res.Body); err == nil {
			t.Error("the stream was ended as if it were complete")
		}
	}()
	return ended
}

// streamPolicies is a policy that a test exchanges.
type streamPolicies struct{ atomic.Pointer[policy.Policy] }

func (s *streamPolicies) set(t *testing.T, text string) {
	t.Helper()
	p, _, err := policy.Load([]policy.File{{Name: "policy.yaml", Data: []byte("apiVersion: postern/v1\napp: {cluster: dev, namespace: team, name: api}\n" + text)}}, policy.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	s.Store(p)
}

const (
	everybody = "users: {allowAll: true}\n"
	openPath  = everybody + "paths: [{match: /open, public: true}]\n"
)

// TestS44NewerPolicyEndsStreams: exactly those that it would not let begin as they did.
func TestS44NewerPolicyEndsStreams(t *testing.T) {
	t.Parallel()
	app := eventApp(t)
	for name, test := range map[string]struct {
		before, after string
		path          string
		nobody        bool
		reports       bool
		ends          bool
	}{
		"same in other words":          {before: everybody, after: everybody + "# really\n", path: "/"},
		"caller is out":                {before: everybody, after: "users: {groups: [nobody-has-it]}\n", path: "/", ends: true},
		"path wants more":              {before: everybody, after: everybody + "paths: [{match: /x, require: {groups: [admins]}}]\n", path: "/x", ends: true},
		"another path wants more":      {before: everybody, after: everybody + "paths: [{match: /y, require: {groups: [admins]}}]\n", path: "/x"},
		"nobody, still public":         {before: openPath, after: openPath + "# really\n", path: "/open", nobody: true},
		"nobody, not public any more":  {before: openPath, after: everybody, path: "/open", nobody: true, ends: true},
		"named on a path that is open": {before: everybody, after: "paths: [{match: /open, public: true}]\nusers: {groups: [nobody-has-it]}\n", path: "/open", ends: true},
		"out, in report mode":          {before: everybody, after: "users: {groups: [nobody-has-it]}\n", path: "/", reports: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			policies := new(streamPolicies)
			policies.set(t, test.before)
			d := newDoor(t, app, func(c *Config, deps *Deps) {
				c.PolicyFiles, c.PolicyReports, deps.Policy = true, test.reports, policies.Load
			})
			var ended chan struct{}
			if test.nobody {
				ended = listen(t, d, test.path)
			} else {
				ended = listen(t, d, test.path, "Cookie", d.cookie)
			}
			policies.set(t, test.after)
			d.Reconsider()
			if test.ends {
				<-ended
				wantCount(t, d.Handler, "not_admitted")
				return
			}
			select {
			case <-ended:
				t.Error("the stream was ended")
			default: // an end would have been asked for before Reconsider returned
			}
			d.leases.mu.Lock()
			defer d.leases.mu.Unlock()
			for l := range d.leases.open {
				if l.stream.Ended() != nil {
					t.Error("the end of the stream was asked for")
				}
			}
		})
	}
}

func wantCount(t *testing.T, h *Handler, reason string) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); countOf(t, h.metrics.streamsEnded, reason) != 1; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("no stream was counted as ended for %s", reason)
		}
	}
	h.leases.mu.Lock()
	defer h.leases.mu.Unlock()
	if len(h.leases.open) != 0 {
		t.Error("the stream is still kept")
	}
}

// countOf is the count of the series with this label.
func countOf(t *testing.T, counter prometheus.Collector, label string) float64 {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(counter)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		for _, series := range family.Metric {
			if series.Label[0].GetValue() == label {
				return series.Counter.GetValue()
			}
		}
	}
	return 0
}

// TestS44PolicyExchangedWhileTheStreamBegins: between the decision and the answer of the app.
func TestS44PolicyExchangedWhileTheStreamBegins(t *testing.T) {
	t.Parallel()
	policies := new(streamPolicies)
	policies.set(t, everybody)
	var door *Handler
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		policies.set(t, "users: {groups: [nobody-has-it]}\n")
		door.Reconsider()
		w.Header()["Content-Type"] = []string{"text/event-stream"}
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}))
	t.Cleanup(app.Close)
	d := newDoor(t, strings.TrimPrefix(app.URL, "http://"), func(c *Config, deps *Deps) { c.PolicyFiles, deps.Policy = true, policies.Load })
	door = d.Handler
	server := httptest.NewServer(d)
	t.Cleanup(server.Close)
	r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
	r.Host = "app.localhost"
	r.Header.Set("Cookie", d.cookie)
	if res, err := server.Client().Do(r); err == nil {
		if _, err = io.Copy(io.Discard, res.Body); err == nil {
			t.Error("the stream was ended as if it were complete")
		}
		res.Body.Close()
	}
	wantCount(t, d.Handler, "not_admitted")
}

func TestS44StreamsHaveAnAge(t *testing.T) {
	t.Parallel()
	d := newDoor(t, eventApp(t), func(c *Config, _ *Deps) { c.Front.StreamMaxAge = 50 * time.Millisecond })
	<-listen(t, d, "/", "Cookie", d.cookie)
	wantCount(t, d.Handler, "max_age")
}

// TestS44TokenEndsItsStreams: a minute after its end by the handler's clock, whatever stream-max-age allows, and at the next look when a logout
// has ended it before.
func TestS44TokenEndsItsStreams(t *testing.T) {
	t.Parallel()
	var ahead atomic.Int64
	var revoked atomic.Pointer[string]
	policies := new(streamPolicies)
	policies.set(t, "inbound: {rules: [{application: app}]}\n")
	h, token := newBearerDoor(t, eventApp(t), func(c *Config, deps *Deps) {
		c.Front.StreamMaxAge, deps.Policy = 1000*time.Hour, policies.Load
		deps.Now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
		deps.Revoked = func(token string) bool { r := revoked.Load(); return r != nil && *r == token }
	})
	open := func() (ended chan struct{}, l *lease) {
		ended = listen(t, h, "/", "Authorization", "Bearer "+token)
		h.leases.mu.Lock()
		defer h.leases.mu.Unlock()
		for l = range h.leases.open {
		}
		return ended, l
	}
	ended, l := open()
	if want := l.passage.who.identity.Expiry().Add(time.Minute); !l.end.Equal(want) || l.why != tokenExpired {
		t.Errorf("the stream may go on until %v, want %v", l.end, want)
	}
	ahead.Store(int64(time.Until(l.end) - time.Second))
	if l.look(); l.stream.Ended() != nil {
		t.Error("ended before its time")
	}
	ahead.Store(int64(time.Until(l.end)))
	l.look()
	<-ended
	wantCount(t, h, "token_expired")
	l.look() // late, and harmless

	ahead.Store(0)
	ended, l = open()
	other := "another token"
	revoked.Store(&other)
	if l.look(); l.stream.Ended() != nil {
		t.Error("ended for the logout of another session")
	}
	revoked.Store(&token)
	l.look()
	<-ended
	wantCount(t, h, "session_ended")
}

// TestS44SessionEndsItsStreams: and the streams of no other session.
func TestS44SessionEndsItsStreams(t *testing.T) {
	t.Parallel()
	d := newDoor(t, eventApp(t))
	ended := listen(t, d, "/", "Cookie", d.cookie)
	_, value, _ := strings.Cut(d.cookie, "=")
	if _, err := d.sessions.End(t.Context(), value); err != nil {
		t.Fatal(err)
	}
	<-ended
	wantCount(t, d.Handler, "session_ended")
}

// TestS44UpgradedConnectionOutlivesItsRequest: its one event is written when it ends and says why, and until then no token is held for it.
func TestS44UpgradedConnectionOutlivesItsRequest(t *testing.T) {
	t.Parallel()
	app := httptest.NewServer(websocket.Handler(func(conn *websocket.Conn) { _, _ = io.Copy(conn, conn) }))
	t.Cleanup(app.Close)
	policies := new(streamPolicies)
	policies.set(t, everybody)
	log := make(chan string, 10)
	d := newDoor(t, strings.TrimPrefix(app.URL, "http://"), func(c *Config, deps *Deps) {
		c.PolicyFiles, deps.Policy = true, policies.Load
		deps.Log = slog.New(correlation.NewHandler(slog.NewTextHandler(lines(func(line string) { log <- line }), nil)))
	})
	handled := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d.ServeHTTP(w, r)
		close(handled)
	}))
	t.Cleanup(server.Close)
	ws := dialWebSocket(t, server, "/ws/12345678901?secret", d.cookie)
	<-handled
	if _, err := io.WriteString(ws, "hei"); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(ws, make([]byte, 3)); err != nil {
		t.Fatalf("after its request: %v", err)
	}
	d.leases.mu.Lock()
	for l := range d.leases.open {
		if who := l.passage.who; who.identity == nil || who.session != nil || who.token != "" || l.token != "" || len(l.passage.request.Header) != 0 {
			t.Errorf("what is held: %+v, headers %v", who, l.passage.request.Header)
		}
	}
	d.leases.mu.Unlock()
	if len(log) > 0 {
		t.Errorf("an event before the end: %s", <-log)
	}
	policies.set(t, "users: {groups: [nobody-has-it]}\n")
	d.Reconsider()
	_ = ws.SetReadDeadline(time.Now().Add(20 * time.Second))
	_, _ = io.Copy(io.Discard, ws) // answers the Close frame
	ws.Close()
	line := <-log
	for _, want := range []string{"status=101", "stream_ended=not_admitted", "path=/ws/*********** ", "method=GET", "trace_id=0af7651916cd43dd8448eb211c80319c", "kind=user"} {
		if !strings.Contains(line, want) {
			t.Errorf("no %s in %s", want, line)
		}
	}
	if strings.Contains(line, "secret") {
		t.Error(line)
	}
}

// dialWebSocket opens one as the person of a cookie, in a trace that the tests know.
func dialWebSocket(t *testing.T, server *httptest.Server, target, cookie string) *websocket.Conn {
	t.Helper()
	cfg, err := websocket.NewConfig("ws://app.localhost"+target, "http://app.localhost")
	if err != nil {
		t.Fatal(err)
	}
	cfg.Header.Set("Cookie", cookie)
	cfg.Header.Set("Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	ws, err := websocket.NewClient(cfg, conn)
	if err != nil {
		t.Fatal(err)
	}
	return ws
}

// lines is a writer of a log.
type lines func(line string)

func (l lines) Write(p []byte) (int, error) {
	l(string(p))
	return len(p), nil
}

package egress

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"postern/config"
	"postern/obo"
	"postern/obo/guard"
	"postern/oidc"
	"postern/oidc/correlation"
)

// broker stands for obo.Broker: it remembers what it was asked for, and gives tokens that say so.
type broker struct {
	mu    sync.Mutex
	asked []obo.Request
	err   error
	panic bool
}

func (b *broker) Machine(_ context.Context, r obo.Request) (obo.Token, error) {
	return b.give(r, "machine-token")
}

func (b *broker) Exchange(_ context.Context, r obo.Request) (obo.Token, error) {
	return b.give(r, "exchanged-"+r.UserToken)
}

func (b *broker) give(r obo.Request, token string) (obo.Token, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asked = append(b.asked, r)
	if b.panic {
		panic("hush: " + r.UserToken)
	}
	return obo.Token{Access: oidc.NewToken(token), ExpiresIn: 3600}, b.err
}

func (b *broker) requests() []obo.Request {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.asked
}

// people stands for oidc.Verifier: tokens are named after the provider that they are of.
type people struct{}

func (people) Verify(_ context.Context, token string) (*oidc.Identity, error) {
	switch token {
	case oidc.EntraID, oidc.TokenX, oidc.OpenID:
		return oidc.RestoreIdentity(token, `{"sub":"s-1","oid":"o-1"}`, "")
	case "trouble":
		return nil, &oidc.TroubleError{Provider: oidc.EntraID, Op: "fetch keys", RetryAfter: 7 * time.Second, Err: errors.New("no route to host")}
	}
	return nil, &oidc.InvalidTokenError{Reason: "its signature is wrong"}
}

// outside is an API that the app calls: it remembers what reached it.
type outside struct {
	*httptest.Server
	mu   sync.Mutex
	seen []*http.Request
}

func newOutside(t testing.TB, handler http.HandlerFunc) *outside {
	t.Helper()
	o := &outside{}
	o.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		o.mu.Lock()
		o.seen = append(o.seen, r)
		o.mu.Unlock()
		if handler != nil {
			handler(w, r)
		}
	}))
	o.Config.Protocols = new(http.Protocols)
	o.Config.Protocols.SetHTTP1(true)
	o.Config.Protocols.SetUnencryptedHTTP2(true)
	o.Start()
	t.Cleanup(o.Close)
	return o
}

func (o *outside) requests() []*http.Request {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.seen
}

// last is the last request; nil if none came.
func (o *outside) last() *http.Request {
	seen := o.requests()
	if len(seen) == 0 {
		return nil
	}
	return seen[len(seen)-1]
}

// sidecar is an egress proxy on a listener of its own.
type sidecar struct {
	*httptest.Server
	handler  *Handler
	broker   *broker
	registry *prometheus.Registry
	log      *lockedBuffer
}

// lockedBuffer is a log that is read while it is written.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

type guardFunc func(*http.Request) *guard.Refusal

func (f guardFunc) Check(r *http.Request) *guard.Refusal { return f(r) }

func everyone(*http.Request) *guard.Refusal { return nil }

func newSidecar(t testing.TB, change func(*Config, *Deps), routes ...config.EgressRoute) *sidecar {
	t.Helper()
	s := &sidecar{broker: &broker{}, registry: prometheus.NewRegistry(), log: &lockedBuffer{}}
	for i := range routes { // as package config does
		if routes[i].As == "" {
			routes[i].As = "user"
		}
		if routes[i].Timeout == 0 {
			routes[i].Timeout = 30 * time.Second
		}
		if routes[i].Provider == "" {
			routes[i].Provider, routes[i].Target = oidc.EntraID, "dev:team:"+routes[i].Name
		}
	}
	cfg := Config{Routes: routes}
	deps := Deps{
		Tokens: s.broker, Users: people{}, Guard: guardFunc(everyone), Registerer: s.registry,
		Log: slog.New(correlation.NewHandler(slog.NewJSONHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug}))),
	}
	if change != nil {
		change(&cfg, &deps)
	}
	var err error
	if s.handler, err = New(cfg, deps); err != nil {
		t.Fatal(err)
	}
	s.Server = httptest.NewUnstartedServer(s.handler)
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetHTTP1(true)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	s.Start()
	t.Cleanup(s.Close)
	return s
}

// orders is the route of most tests.
func orders(url string) config.EgressRoute { return config.EgressRoute{Name: "orders", URL: url} }

// call sends one request as it stands; header lines end in "\r\n".
func (s *sidecar) call(t testing.TB, line, header string) (*http.Response, string) {
	t.Helper()
	conn, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	if !strings.Contains("\r\n"+header, "\r\nHost:") {
		header = "Host: 127.0.0.1:3003\r\n" + header
	}
	if _, err := io.WriteString(conn, line+" HTTP/1.1\r\n"+header+"\r\n"); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	body, _ := io.ReadAll(res.Body)
	res.Body.Close()
	return res, string(body)
}

const asUser = "Authorization: Bearer entra_id\r\n"

// h2c is a client that speaks HTTP/2 in clear.
func h2c(t testing.TB) *http.Client {
	t.Helper()
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(true)
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

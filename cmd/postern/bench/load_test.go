package main

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// However many connections and tokens there are, every token has its turn, and none has many more than another.
func TestConnectionsGoThroughAllTokensTogether(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ connections, tokens int }{{1, 1}, {3, 7}, {4, 8}, {8, 3}, {6, 4}} {
		var mu sync.Mutex
		seen := map[string]int{}
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			defer mu.Unlock()
			seen[r.Header.Get("Authorization")]++
			w.WriteHeader(http.StatusOK)
		}))
		asks := caller{common: serviceHeaders("h")}
		for n := range c.tokens {
			asks.tokens = append(asks.tokens, strings.Repeat("t", n+1))
		}
		l, err := newLoad(t.Context(), server.Listener.Addr().String(), asks.requests("/x"), c.connections)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 * c.tokens { // by each connection
			for _, client := range l.clients {
				if err := client.askNext(l); err != nil {
					t.Fatal(err)
				}
			}
		}
		l.close()
		server.Close()
		for n := range c.tokens {
			if got := seen["Bearer "+asks.tokens[n]]; got != 2*c.connections {
				t.Errorf("%d connections, %d tokens: token %d was sent %d times, want %d", c.connections, c.tokens, n, got, 2*c.connections)
			}
		}
	}
}

// The load shares its cores with the target. It is no parallel test: allocations of others would count.
func TestALoadThatIsWarmDoesNotAllocate(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	answer := []byte("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n\r\nabc")
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		in, end := bufio.NewReader(conn), []byte("\r\n")
		for {
			line, err := in.ReadSlice('\n')
			if err != nil {
				return
			}
			if bytes.Equal(line, end) {
				_, _ = conn.Write(answer)
			}
		}
	}()
	asks := caller{common: serviceHeaders("h"), tokens: []string{"a", "b", "c"}}
	l, err := newLoad(t.Context(), listener.Addr().String(), asks.requests("/x"), 1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.close)
	allocations := testing.AllocsPerRun(200, func() {
		if err := l.clients[0].askNext(l); err != nil {
			t.Error(err)
		}
	})
	if allocations != 0 {
		t.Errorf("%v allocations for each request", allocations)
	}
}

func TestAskEachWantsEveryRequestAnsweredWell(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.Header.Get("Authorization"), "bad") {
			w.WriteHeader(http.StatusForbidden)
		}
		_, _ = io.WriteString(w, "x")
	}))
	t.Cleanup(server.Close)
	address := server.Listener.Addr().String()
	good := caller{common: serviceHeaders("h"), tokens: []string{"a", "b"}}
	if err := askEach(t.Context(), address, good.requests("/x")); err != nil {
		t.Error(err)
	}
	bad := caller{common: serviceHeaders("h"), tokens: []string{"a", "bad", "b"}}
	if err := askEach(t.Context(), address, bad.requests("/x")); err == nil || !strings.Contains(err.Error(), "request 2 of 3: status 403") {
		t.Errorf("a refused token: %v", err)
	}
}

func TestALoadEndsWithABrokenConnection(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		if conn, err := listener.Accept(); err == nil {
			_ = conn.Close()
		}
	}()
	l, err := newLoad(t.Context(), listener.Addr().String(), [][]byte{[]byte("GET / HTTP/1.1\r\n\r\n")}, 1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.close)
	if err := l.run(t.Context(), time.Minute, time.Minute, func() error { return nil }); err == nil {
		t.Error("no error")
	}
}

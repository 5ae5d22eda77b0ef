package demoapp

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/websocket"
)

func TestStreamTicksUntilTheBrowserLeaves(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a, err := New(Config{})
		if err != nil {
			t.Fatal(err)
		}
		ctx, leave := context.WithTimeout(t.Context(), 3500*time.Millisecond)
		defer leave()
		w := get(a, httptest.NewRequestWithContext(ctx, http.MethodGet, "/stream", nil))
		if got := strings.Count(w.Body.String(), "data: "); got != 4 {
			t.Errorf("%d events in 3.5 s, want 4:\n%s", got, w.Body)
		}
		if w.Header().Get("Content-Type") != "text/event-stream" || !w.Flushed {
			t.Error("not a flushed event stream")
		}
	})
}

func TestStreamEndsByItself(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a, err := New(Config{})
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		get(a, httptest.NewRequest(http.MethodGet, "/stream", nil))
		if took := time.Since(start); took != streamFor {
			t.Errorf("stream took %s", took)
		}
	})
}

func TestEchoOverWebSocket(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(newApp(t))
	defer server.Close()
	conn, err := websocket.Dial("ws"+strings.TrimPrefix(server.URL, "http")+"/echo", "", server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for _, text := range []string{"hello", "blåbær"} {
		var got string
		if err := websocket.Message.Send(conn, text); err != nil {
			t.Fatal(err)
		}
		if err := websocket.Message.Receive(conn, &got); err != nil || got != text {
			t.Errorf("sent %q, got %q, %v", text, got, err)
		}
	}
	var got string
	if websocket.Message.Send(conn, strings.Repeat("x", maxEcho+1)) == nil && websocket.Message.Receive(conn, &got) == nil {
		t.Error("a message over the bound came back")
	}
}

func TestWhoamiShowsIdentityHeadersInEverySpelling(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequest(http.MethodPost, "/whoami", strings.NewReader("x"))
	r.Header = http.Header{"X_postern_user": {"mallory"}, "X-Postern-Auth": {"session"}, "Cookie": {"a=b"}, "Authorization": {"Bearer secret"}}
	w := get(newApp(t), r)
	var got map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"authenticated": true, "token": true, "headers": map[string]any{"X_postern_user": "mallory", "X-Postern-Auth": "session"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

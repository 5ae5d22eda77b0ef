package e2e

import (
	"bufio"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/websocket"
)

func TestAppEchoesTheRequest(t *testing.T) {
	t.Parallel()
	app := App(t, map[string]http.HandlerFunc{"GET /teapot": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }})
	c := NewClient(t)
	got := Echoed(t, c.Send("PUT", app.URL+"/a%2fb/../c//d?x=1;y", "body", "X-A", "1", "Host", "other.example"))
	want := Echo{Method: "PUT", URI: "/a%2fb/../c//d?x=1;y", Host: "other.example", Proto: "HTTP/1.1", Body: "body"}
	if got.Header.Get("X-A") != "1" {
		t.Errorf("header: %v", got.Header)
	}
	got.Header = nil
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("echo (-want +got):\n%s", diff)
	}
	if status := c.Get(app.URL + "/teapot").StatusCode; status != http.StatusTeapot {
		t.Errorf("the test's own route: status %d", status)
	}
	if n := len(app.Requests()); n != 2 {
		t.Errorf("%d requests recorded, want 2", n)
	}
}

func TestRawSendsWhatNoClientWould(t *testing.T) {
	t.Parallel()
	app := App(t, nil)
	if got := Echoed(t, RawResponse(t, app.Addr, "GET /a/../b?% HTTP/1.1\nHost: app\nX_a: 1\n\n")); got.URI != "/a/../b?%" || got.Header.Get("X_a") != "1" {
		t.Errorf("echo: %v", got)
	}
	if got := Raw(t, RawUpstream(t, nil).Addr, "nonsense\n\n"); got != OK {
		t.Errorf("answer: %q", got)
	}
}

func TestAppStreams(t *testing.T) {
	t.Parallel()
	app := App(t, nil)
	resp, err := http.Get(app.URL + "/sse")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	in := bufio.NewScanner(resp.Body)
	for _, want := range []string{"data: 0", "", "data: 1"} {
		if !in.Scan() || in.Text() != want {
			t.Fatalf("event stream: %q, want %q (%v)", in.Text(), want, in.Err())
		}
	}
	ws, err := websocket.Dial("ws://"+app.Addr+"/ws", "", "http://app.localhost")
	if err != nil {
		t.Fatal(err)
	}
	defer ws.Close()
	var answer string
	for _, sent := range []string{"hello", strings.Repeat("x", 100_000)} {
		if err := websocket.Message.Send(ws, sent); err != nil {
			t.Fatal(err)
		}
		if err := websocket.Message.Receive(ws, &answer); err != nil || answer != sent {
			t.Fatalf("websocket: %d bytes came back of %d, %v", len(answer), len(sent), err)
		}
	}
}

func TestAppSpeaksHTTP2WithoutTLS(t *testing.T) {
	t.Parallel()
	app := App(t, nil)
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(true)
	defer transport.CloseIdleConnections()
	resp, err := (&http.Client{Transport: transport}).Get(app.URL)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if got := app.Requests()[0].Proto; got != "HTTP/2.0" {
		t.Errorf("the app saw %s", got)
	}
}

func TestClientKeepsCookiesAsABrowserDoes(t *testing.T) {
	t.Parallel()
	app := App(t, map[string]http.HandlerFunc{
		"/set": func(w http.ResponseWriter, r *http.Request) {
			http.SetCookie(w, &http.Cookie{Name: "__Host-a", Value: "1", Path: "/", Secure: true, HttpOnly: true})
			http.SetCookie(w, &http.Cookie{Name: "b", Value: "2", Path: "/deep", Secure: true})
			http.Redirect(w, r, "/deep/er", http.StatusFound)
		},
	})
	_, port, _ := strings.Cut(app.Addr, ":")
	c := NewClient(t)
	r := c.Get("http://app.localhost:" + port + "/set")
	if !r.Redirects() || r.Where().Path != "/deep/er" {
		t.Fatalf("status %d to %s, want a redirect that was not followed", r.StatusCode, r.Where())
	}
	if got := Echoed(t, c.Follow(r)).Header.Get("Cookie"); got != "b=2; __Host-a=1" {
		t.Errorf("Cookie below /deep: %q", got)
	}
	if got := Echoed(t, c.Get("http://idp.localhost:"+port+"/deep/er")).Header.Get("Cookie"); got != "" {
		t.Errorf("another name got the cookies %q", got)
	}
	if why := brokenPrefix(&http.Cookie{Name: "__Host-a", Path: "/x", Secure: true}); why == "" {
		t.Error("a __Host- cookie with a path passed")
	}
}

func TestClientSubmitsForms(t *testing.T) {
	t.Parallel()
	app := App(t, map[string]http.HandlerFunc{
		"GET /form": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(`<form method="post" action="target?q=1"><input name="hidden" value="&amp;x"><input name="login"></form>`))
		},
	})
	c := NewClient(t)
	got := Echoed(t, c.Submit(c.Get(app.URL+"/form"), map[string]string{"login": "ola", "action": "go"}))
	if got.Method != "POST" || got.URI != "/target?q=1" || got.Body != "action=go&hidden=%26x&login=ola" {
		t.Errorf("%s %s %q", got.Method, got.URI, got.Body)
	}
}

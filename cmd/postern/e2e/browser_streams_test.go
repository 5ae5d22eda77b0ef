package e2e

import (
	"net/http"
	"testing"

	"golang.org/x/net/websocket"
)

// streamingApp is an app of pages that has streams, too.
func streamingApp(t testing.TB) *AppServer {
	t.Helper()
	return webApp(t, "", map[string]http.HandlerFunc{"/ws": websocket.Server{Handler: echoMessages}.ServeHTTP, "/sse": serveEvents})
}

// What a page sees of a stream that is ended: a WebSocket closes with the code, and an EventSource comes again by itself.
func TestBrowserS44PageLearnsWhyItsWebSocketWasClosed(t *testing.T) {
	t.Parallel()
	w := browserWorld(t, worldOptions{app: streamingApp(t), env: map[string]string{"POSTERN_STREAM_MAX_AGE": "1s"}})
	tab := Browser(t)
	tab.signIn(w, "kari", "/cases/1")
	if got := Eval[string](tab, `new Promise(done => {
		const ws = new WebSocket(location.origin.replace("http", "ws") + "/ws")
		ws.onclose = end => done([end.code, end.reason].join())
	})`); got != "1008,stream-max-age reached" {
		t.Errorf("WebSocket: %s", got)
	}
	if got := Eval[string](tab, `new Promise(done => {
		const events = new EventSource("/sse"), states = []
		events.onopen = () => { states.push("open"); if (states.length > 2) { events.close(); done(states.join()) } }
		events.onerror = () => states.push(["again", "open", "closed"][events.readyState])
	})`); got != "open,again,open" {
		t.Errorf("EventSource: %s", got)
	}
}

// Scenario 24: a logout in one tab closes the WebSocket of another one, whose EventSource is refused and gives up.
func TestBrowserS44LogoutInOneTabEndsTheStreamsOfAnother(t *testing.T) {
	t.Parallel()
	w := browserWorld(t, worldOptions{app: streamingApp(t)})
	tab := Browser(t)
	tab.signIn(w, "kari", "/cases/1")
	Eval[string](tab, `new Promise(done => {
		window.events = new EventSource("/sse")
		window.ws = new WebSocket(location.origin.replace("http", "ws") + "/ws")
		window.wsClosed = new Promise(closed => { ws.onclose = end => closed([end.code, end.reason, end.wasClean].join()) })
		window.gaveUp = new Promise(gaveUp => { events.onerror = () => events.readyState == EventSource.CLOSED && gaveUp("gave up") })
		ws.onopen = () => { events.onopen = () => done("open"); if (events.readyState == EventSource.OPEN) done("open") }
	})`)
	other := tab.Open()
	other.Navigate(w.ingress + "/")
	other.Press("#logout")
	if got := Eval[string](tab, `window.wsClosed`); got != "1008,session ended,true" {
		t.Errorf("WebSocket: %s", got)
	}
	if got := Eval[string](tab, `window.gaveUp`); got != "gave up" {
		t.Errorf("EventSource: %s", got)
	}
}

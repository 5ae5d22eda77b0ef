package e2e

import (
	"bufio"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/websocket"
)

// opened is what one caller has open.
type opened struct {
	ws     *websocket.Conn
	events *bufio.Reader
}

func openStreams(t testing.TB, addr, origin string, headers ...string) opened {
	t.Helper()
	host := strings.TrimPrefix(strings.TrimPrefix(origin, "http://"), "https://")
	ws, err := DialWebSocket(t, addr, "ws://"+host+"/ws", origin, headers...)
	if err != nil {
		t.Fatal(err)
	}
	wantEcho(t, ws)
	return opened{ws, DialEvents(t, addr, host, "/sse", headers...)}
}

// wantEnded wants a Close frame, and an event stream that was broken off.
func (o opened) wantEnded(t testing.TB, code int, reason string) {
	t.Helper()
	if gotCode, gotReason, err := CloseOf(o.ws); gotCode != code || gotReason != reason || err != nil {
		t.Errorf("the WebSocket was closed with %d %q, %v; want %d %q", gotCode, gotReason, err, code, reason)
	}
	if _, err := io.Copy(io.Discard, o.events); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("the event stream ended with %v", err)
	}
}

// wantOpen wants both to go on.
func (o opened) wantOpen(t testing.TB) {
	t.Helper()
	wantEcho(t, o.ws)
	for range 3 {
		if _, err := o.events.ReadString('\n'); err != nil {
			t.Fatalf("the event stream: %v", err)
		}
	}
}

const apiOrigin = "https://api.example.org"

func (a *api) openStreams(t testing.TB, token string) opened {
	t.Helper()
	return openStreams(t, a.Addr, apiOrigin, "Authorization", "Bearer "+token)
}

// S-44: a token's streams end a minute after it, which is how long it is accepted.
func TestS44StreamsEndWithTheirToken(t *testing.T) {
	t.Parallel()
	a := newAPI(t, apiPolicy, nil)
	ending := a.openStreams(t, a.dev.Mint(t, with(profile("entra-app", "azp", clientA, "roles", []string{"access_as_application"}), "exp_in", -57)))
	staying := a.openStreams(t, a.appToken(t, clientA))
	ending.wantEnded(t, 1008, "token expired")
	staying.wantOpen(t)
	Eventually(t, "the metric", func() error {
		if n := metric(t, a.Process, `postern_streams_ended_total{reason="token_expired"}`); n != 2 {
			return errorf("%v", n)
		}
		return nil
	})
	if _, err := DialWebSocket(t, a.Addr, "ws://api.example.org/ws", apiOrigin); err == nil {
		t.Error("nobody got a WebSocket")
	}
}

// S-44: a newer policy holds for the streams that are open, and for no other.
func TestS44StreamsEndWhenTheirCallerIsNotAdmittedAnyMore(t *testing.T) {
	t.Parallel()
	a := newAPI(t, apiPolicy, nil)
	ending, staying := a.openStreams(t, a.appToken(t, clientA)), a.openStreams(t, a.appToken(t, clientB))
	writeFile(t, a.policy, apiPolicy+"# the same in other words\n")
	Eventually(t, "the policy that changes nothing", func() error {
		if !strings.Contains(a.Log.Text(), `"hash_before":"`) || strings.Count(a.Log.Text(), `"policy loaded"`) < 2 {
			return errorf("not loaded")
		}
		return nil
	})
	ending.wantOpen(t)
	writeFile(t, a.policy, strings.Replace(apiPolicy, "- application: app-a", "- application: app-z", 1))
	ending.wantEnded(t, 1008, "no longer admitted")
	staying.wantOpen(t)
}

// S-44: stream-max-age ends everybody's streams, also nobody's.
func TestS44StreamMaxAge(t *testing.T) {
	t.Parallel()
	a := newAPI(t, strings.Replace(apiPolicy, "/isalive", "/ws", 1), map[string]string{"POSTERN_STREAM_MAX_AGE": "1s"})
	nobody, err := DialWebSocket(t, a.Addr, "ws://api.example.org/ws", apiOrigin)
	if err != nil {
		t.Fatal(err)
	}
	a.openStreams(t, a.appToken(t, clientA)).wantEnded(t, 1008, "stream-max-age reached")
	if code, _, err := CloseOf(nobody); code != 1008 {
		t.Errorf("%d %v", code, err)
	}
}

// sessionStreams opens streams with the session of a client.
func (w *world) openStreams(t testing.TB, c *Client) opened {
	t.Helper()
	name, value := w.sessionCookie(c)
	return openStreams(t, w.Addr, w.origin(), "Cookie", name+"="+value)
}

// Scenario 24 and S-44: a logout ends the streams of its session, and those of no other, not even of the same person.
func TestS44StreamsEndWithTheirSession(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	karis, herPhone, olas := NewClient(t), NewClient(t), NewClient(t)
	w.login(t, karis, "kari", "")
	w.login(t, herPhone, "kari", "")
	w.login(t, olas, "ola", "")
	ending := w.openStreams(t, karis)
	staying := []opened{w.openStreams(t, herPhone), w.openStreams(t, olas)}
	if r := karis.Send("POST", w.ingress+"/oauth2/logout/local", "", "Origin", w.origin(), "Sec-Fetch-Site", "same-origin"); r.StatusCode != 204 {
		t.Fatalf("logout: status %d %s", r.StatusCode, r.Body)
	}
	ending.wantEnded(t, 1008, "session ended")
	for _, o := range staying {
		o.wantOpen(t)
	}
	if n := metric(t, w.Process, `postern_streams_ended_total{reason="session_ended"}`); n > 2 {
		t.Errorf("%v streams were ended", n)
	}
}

// Scenario 24 and S-30: an open WebSocket, however busy, does not keep its session alive, and ends with it.
func TestS30BusyWebSocketDoesNotMoveTheIdleTimeout(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{env: map[string]string{"POSTERN_SESSION_INACTIVITY": "true", "POSTERN_SESSION_INACTIVITY_TIMEOUT": "2s"}})
	c := NewClient(t)
	w.login(t, c, "kari", "")
	o := w.openStreams(t, c)
	talking := make(chan error, 1)
	go func() {
		for {
			if _, err := io.WriteString(o.ws, "still here"); err != nil {
				talking <- err
				return
			}
			time.Sleep(20 * time.Millisecond)
		}
	}()
	Eventually(t, "the session is inactive", func() error {
		r := c.Get(w.ingress + "/oauth2/session")
		if r.StatusCode != 200 || !strings.Contains(r.Body, `"active":false`) {
			return errorf("status %d %s", r.StatusCode, r.Body)
		}
		return nil
	})
	o.wantEnded(t, 1008, "session ended")
	_ = o.ws.Close()
	<-talking
}

// Contract 3.3: nobody refreshes on an upgrade. It waits for a plain request to have done it, and its session goes on.
func TestS30UpgradeDoesNotRefresh(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	w.dev.Dev(t, "token-lifetime", map[string]any{"seconds": 2})
	c := NewClient(t)
	w.login(t, c, "kari", "")
	name, value := w.sessionCookie(c)
	open := func() (*websocket.Conn, error) {
		return DialWebSocket(t, w.Addr, "ws://"+w.host()+"/ws", w.origin(), "Cookie", name+"="+value)
	}
	before := w.dev.Counts(t)["token"]
	first, err := open()
	if err != nil {
		t.Fatal(err)
	}
	var answer *Response
	Eventually(t, "the access token has expired", func() error {
		answer = w.ask(t, "GET", "/ws", "Cookie", name+"="+value, "Connection", "Upgrade", "Upgrade", "websocket", "Origin", w.origin())
		if answer.StatusCode != 503 {
			return errorf("status %d", answer.StatusCode)
		}
		return nil
	})
	if answer.Header.Get("Retry-After") == "" || !strings.Contains(answer.Body, "token_expired") {
		t.Errorf("%v %s", answer.Header, answer.Body)
	}
	if n := w.dev.Counts(t)["token"] - before; n != 0 {
		t.Errorf("upgrades cost %d grants", n)
	}
	wantEcho(t, first) // complaint 17: a stream ends with its session, not with an access token
	w.get(t, c, "/")
	if n := w.dev.Counts(t)["token"] - before; n != 1 {
		t.Errorf("the plain request cost %d grants", n)
	}
	second, err := open()
	if err != nil {
		t.Fatal(err)
	}
	wantEcho(t, second)
	wantEcho(t, first)
}

// Complaint 18, contract 8: at SIGTERM whoever has a stream open is told, and comes again elsewhere; the process does not wait for them.
func TestDrainTellsStreams(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{env: map[string]string{"POSTERN_SHUTDOWN_WAIT_BEFORE_PERIOD": "1s", "POSTERN_SHUTDOWN_GRACEFUL_PERIOD": "14s"}})
	c := NewClient(t)
	w.login(t, c, "kari", "")
	o := w.openStreams(t, c)
	stopped := make(chan time.Duration)
	go func() {
		began := time.Now()
		w.Stop(t)
		stopped <- time.Since(began)
	}()
	Eventually(t, "not ready", func() error {
		if status, body := w.Readyz(t); status != http.StatusServiceUnavailable {
			return errorf("status %d %s", status, body)
		}
		return nil
	})
	o.wantOpen(t) // the wait is for the platform to send nobody else
	o.wantEnded(t, 1001, "going away")
	if took := <-stopped; took > 10*time.Second {
		t.Errorf("the process went on for %v", took)
	}
	if strings.Contains(w.Log.Text(), "cut off") {
		t.Error("requests were cut off")
	}
}

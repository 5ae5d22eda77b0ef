package demoapp

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"golang.org/x/net/websocket"
)

// streamFor bounds one event stream; the browser opens the next one by itself.
const streamFor = 15 * time.Minute

// stream is a clock: one event a second, until the browser leaves.
func (a *App) stream(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	flush := http.NewResponseController(w)
	end := time.NewTimer(streamFor)
	defer end.Stop()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for n := 1; ; n++ {
		if _, err := fmt.Fprintf(w, "id: %d\ndata: {\"n\":%d,\"time\":%q}\n\n", n, n, a.cfg.Now().UTC().Format(time.TimeOnly)); err != nil {
			return
		}
		if flush.Flush() != nil {
			return
		}
		select {
		case <-tick.C:
		case <-end.C:
			return
		case <-r.Context().Done():
			return
		}
	}
}

// maxEcho bounds a WebSocket message, in bytes.
const maxEcho = 4 << 10

// echo answers every WebSocket message with the same text.
func echo() http.Handler {
	return websocket.Server{Handler: func(conn *websocket.Conn) {
		conn.MaxPayloadBytes = maxEcho
		for {
			var text string
			if websocket.Message.Receive(conn, &text) != nil || websocket.Message.Send(conn, text) != nil {
				return
			}
		}
	}}
}

// whoami answers the identity headers as they arrived, in every spelling, so that a forged one would be seen.
func whoami(w http.ResponseWriter, r *http.Request) {
	seen := map[string]string{}
	for name, values := range r.Header {
		if strings.HasPrefix(fold(name), fold(headerPrefix)) {
			seen[name] = strings.Join(values, ", ")
		}
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(r.Body, 1<<20))
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(map[string]any{ // a client that went away harms nobody
		"authenticated": r.Header.Get("X-Postern-Auth") != "",
		"token":         readToken(r.Header.Get("Authorization"), time.Time{}) != nil,
		"headers":       seen,
	})
}

// fold drops what some platforms drop or merge in header names.
func fold(name string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, strings.ToLower(name))
}

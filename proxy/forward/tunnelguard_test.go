package forward

import (
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
)

// mine is a connection of which one thing panics, as a mistake of ours might, with what passes in its words.
type mine struct {
	net.Conn

	reads, writes bool
	closed        chan struct{}
	once          sync.Once
}

func (m *mine) Read(p []byte) (int, error) {
	if m.reads {
		panic("hush")
	}
	return m.Conn.Read(p)
}

func (m *mine) Write(p []byte) (int, error) {
	if m.writes {
		panic("hush: " + string(p))
	}
	return m.Conn.Write(p)
}

func (m *mine) Close() error {
	m.once.Do(func() { close(m.closed) })
	return m.Conn.Close()
}

// A panic about one upgraded connection ends that one, and not the process with everybody's.
func TestPanicInATunnelEndsTheTunnelAlone(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		change func(client, app *mine)
		then   func(t *tunnel, fromClient, fromApp net.Conn)
	}{
		"reading of the client": {func(client, _ *mine) { client.reads = true }, nil},
		"reading of the app":    {func(_, app *mine) { app.reads = true }, nil},
		"writing to the client": {func(client, _ *mine) { client.writes = true }, func(_ *tunnel, _, app net.Conn) { _, _ = io.WriteString(app, "\x82\x01x") }},
		"writing to the app":    {func(_, app *mine) { app.writes = true }, func(_ *tunnel, client, _ net.Conn) { _, _ = io.WriteString(client, "x") }},
		"taking leave of the client": {func(client, _ *mine) { client.writes = true }, func(t *tunnel, _, app net.Conn) {
			go func() { _, _ = io.Copy(io.Discard, app) }()
			t.end(testEnding)
		}},
		"taking leave of the app": {func(_, app *mine) { app.writes = true }, func(t *tunnel, client, _ net.Conn) {
			go func() { _, _ = io.Copy(io.Discard, client) }()
			t.end(testEnding)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			clientSide, client := net.Pipe()
			appSide, app := net.Pipe()
			ends := [...]*mine{{Conn: clientSide, closed: make(chan struct{})}, {Conn: appSide, closed: make(chan struct{})}}
			tc.change(ends[0], ends[1])
			stream, over := new(Stream), make(chan *Ending, 2)
			tunnel := newTunnel(ends[0], ends[1], stream.broke)
			tunnel.start(nil, new(buffers), func() { over <- stream.conclude() })
			if tc.then != nil {
				tc.then(tunnel, client, app)
			}
			for _, end := range ends {
				<-end.closed
			}
			why := <-over
			if why == nil || why.Reason != "internal_error" || !strings.Contains(string(why.Stack), "(*mine)") || strings.Contains(string(why.Stack), "hush") {
				t.Errorf("%+v", why)
			}
			if _, err := client.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
				t.Errorf("the client's connection: %v", err)
			}
		})
	}
}

package forward

import (
	"crypto/rand"
	"errors"
	"io"
	"net"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
)

// farewellTime bounds how long the end of a stream may take: until a frame has come to its end, both sides have heard of it, and have closed
// their ends. Then connections are closed as they are.
const farewellTime = 2 * time.Second

// statusGoingAway is what the app hears of every end (RFC 6455 §7.4.1): its client has left, as far as it is concerned.
const statusGoingAway = 1001

// tunnel is an upgraded connection, and the one to the app behind it. Its bytes pass as they are; only its end adds a Close frame in each
// direction (RFC 6455 §7.1.2), so that neither side takes the end for an accident of the network.
type tunnel struct {
	app    io.ReadWriteCloser
	client net.Conn
	down   half // to the client
	up     half // to the app
	ended  atomic.Bool
	copied atomic.Int32       // directions that are done
	broke  func(stack []byte) // is told of a panic
}

func newTunnel(client net.Conn, app io.ReadWriteCloser, broke func(stack []byte)) *tunnel {
	t := &tunnel{client: client, app: app, broke: broke}
	t.down.to = client
	t.up.to, t.up.frames.masked, t.up.strict = app, true, true
	return t
}

// say is what the client says.
func (t *tunnel) say(p []byte) error {
	_, err := t.up.Write(p)
	if t.ended.Load() {
		t.partFromClient()
	}
	return err
}

// closeDown tells the client that the app says nothing more. A farewell that is still to be said comes first: an app that hears of the end
// may close its side at once. A client that has been told by a Close frame is to answer it.
func (t *tunnel) closeDown() error {
	t.down.end()
	if t.down.over.Load() {
		return nil
	}
	return closeWrite(t.client)
}

// end takes leave of both sides. From here on nothing of the client reaches the app. Of the app's bytes the client gets the rest of the
// frame that has begun.
func (t *tunnel) end(why *Ending) {
	time.AfterFunc(farewellTime, t.cut)
	key := make([]byte, 4)
	_, _ = rand.Read(key)
	t.down.say(closeFrame(why.WebSocket, why.Text, nil))
	t.up.say(closeFrame(statusGoingAway, why.Text, key))
	t.ended.Store(true)
	go func() {
		defer t.guard()
		t.up.end()
	}()
	go func() {
		defer t.guard()
		t.down.end()
		t.partFromClient()
	}()
}

// guard is deferred in all goroutines of the tunnel: a panic there would end the process, and with it everybody else's connections.
func (t *tunnel) guard() {
	if recover() != nil { // what it says may quote the bytes that pass
		t.broke(debug.Stack())
		t.cut()
	}
}

// partFromClient closes the client's connection when both have sent a Close frame: it is for the server to do (RFC 6455 §7.1.1).
func (t *tunnel) partFromClient() {
	if t.down.over.Load() && t.up.hasClosed() {
		_ = t.client.Close()
	}
}

func (t *tunnel) cut() {
	_ = t.client.Close()
	_ = t.app.Close()
}

func closeWrite(side any) error {
	if closer, ok := side.(interface{ CloseWrite() error }); ok {
		return closer.CloseWrite()
	}
	return errors.ErrUnsupported
}

// half is one direction of a tunnel.
type half struct {
	to       io.Writer
	strict   bool                   // where there is no boundary it ends without a farewell, rather than after the rest of the frame
	farewell atomic.Pointer[[]byte] // to be said at the next boundary
	over     atomic.Bool            // nothing more is passed on
	mu       sync.Mutex             // held while writing, which may take long; the end of the tunnel cuts it short
	frames   frames                 // guarded by mu
}

// Write implements [io.Writer]. What comes after the end is read for the other side's Close frame, and dropped.
func (h *half) Write(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for rest := p; len(rest) > 0; {
		h.takeLeave()
		length := len(rest)
		switch {
		case h.over.Load():
			h.frames.pass(rest)
			return len(p), nil
		case h.farewell.Load() != nil:
			length = h.frames.next(rest)
		default:
			h.frames.pass(rest)
		}
		if _, err := h.to.Write(rest[:length]); err != nil {
			return 0, err
		}
		rest = rest[length:]
	}
	h.takeLeave()
	return len(p), nil
}

// say asks for a farewell.
func (h *half) say(farewell []byte) { h.farewell.Store(&farewell) }

// end takes leave, while nobody writes.
func (h *half) end() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.takeLeave()
}

// takeLeave ends the direction if that was asked for and can be done here. A side that has taken leave itself, or speaks something else than
// WebSocket, is told nothing.
func (h *half) takeLeave() {
	farewell := h.farewell.Load()
	switch {
	case farewell == nil || h.over.Load():
	case h.frames.atBoundary():
		_, _ = h.to.Write(*farewell)
		h.over.Store(true)
	case h.frames.closed, h.frames.lost, h.strict:
		h.over.Store(true)
	}
}

// hasClosed says whether a Close frame has come.
func (h *half) hasClosed() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.frames.closed
}

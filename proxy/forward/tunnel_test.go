package forward

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var testEnding = &Ending{Reason: "test", Text: "session ended", WebSocket: 1008, GRPC: "16"}

// errand is one whose streams the test ends.
type errand struct {
	preparing

	open   func(*Stream) // nil: as the test likes
	opened chan *Stream
	closed chan *Ending
}

func newErrand() *errand {
	return &errand{
		preparing: func(_, _ *http.Request) {}, opened: make(chan *Stream, 10), closed: make(chan *Ending, 10),
	}
}

func (e *errand) Opened(s *Stream) func(*Ending) {
	if e.open != nil {
		e.open(s)
	}
	e.opened <- s
	return func(why *Ending) { e.closed <- why }
}

// newTunnelApp accepts every upgrade and then talks bytes.
func newTunnelApp(t *testing.T, talk func(conn net.Conn, from *bufio.Reader)) there {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				from := bufio.NewReader(conn)
				if _, err := http.ReadRequest(from); err != nil {
					return
				}
				_, _ = io.WriteString(conn, switching+"websocket\r\n\r\n")
				talk(conn, from)
			}()
		}
	}()
	return there{Host: listener.Addr().String()}
}

// upgrade opens a WebSocket by hand.
func upgrade(t *testing.T, server *front) (net.Conn, *bufio.Reader) {
	t.Helper()
	conn := dial(t, server.Server)
	_, _ = io.WriteString(conn, "GET /ws HTTP/1.1\r\nHost: app\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	reader := bufio.NewReader(conn)
	if status, _, _ := readAnswer(t, reader); status != http.StatusSwitchingProtocols {
		t.Fatalf("status %d", status)
	}
	return conn, reader
}

// readFrame reads one frame and takes its mask away.
func readFrame(r io.Reader) (first byte, payload []byte, err error) {
	head := make([]byte, 2)
	if _, err = io.ReadFull(r, head); err != nil {
		return 0, nil, err
	}
	length := uint64(head[1] & 0x7f)
	if size := map[uint64]int{126: 2, 127: 8}[length]; size > 0 {
		extended := make([]byte, 8)
		if _, err = io.ReadFull(r, extended[8-size:]); err != nil {
			return 0, nil, err
		}
		length = binary.BigEndian.Uint64(extended)
	}
	key := make([]byte, 4)
	if head[1]&0x80 != 0 {
		if _, err = io.ReadFull(r, key); err != nil {
			return 0, nil, err
		}
	}
	payload = make([]byte, length)
	_, err = io.ReadFull(r, payload)
	for i := range payload {
		payload[i] ^= key[i%4]
	}
	return head[0], payload, err
}

// wantClose reads frames until one says Close.
func wantClose(t *testing.T, r io.Reader, code uint16) (before [][]byte) {
	t.Helper()
	for {
		first, payload, err := readFrame(r)
		if err != nil {
			t.Errorf("%v; want a Close frame", err)
			return before
		}
		if first == 0x88 {
			if want := string(binary.BigEndian.AppendUint16(nil, code)) + "session ended"; string(payload) != want && code == 1008 || len(payload) < 2 ||
				binary.BigEndian.Uint16(payload) != code {
				t.Errorf("Close says %q", payload)
			}
			return before
		}
		before = append(before, payload)
	}
}

func wantClosed(t *testing.T, e *errand, want *Ending) {
	t.Helper()
	select {
	case got := <-e.closed:
		if got != want {
			t.Errorf("the stream ended for %+v, want %+v", got, want)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the stream does not end")
	}
}

// TestS44WebSocketIsClosedBetweenTwoFrames: each side hears a Close frame at the end of the frame that it is reading, nothing of the client
// reaches the app after the end, and the answer to the Close frame ends the connection.
func TestS44WebSocketIsClosedBetweenTwoFrames(t *testing.T) {
	t.Parallel()
	type step struct{ first, rest []byte } // what the app sends before the end, and after it
	long := frameOf(0x82, bytes.Repeat([]byte("x"), 100_000), nil)
	for name, test := range map[string]struct {
		step
		frames int // that arrive whole before the Close frame
	}{
		"nothing was said":    {step{nil, nil}, 0},
		"between two":         {step{frameOf(0x81, []byte("hei"), nil), frameOf(0x81, []byte("late"), nil)}, 1},
		"between fragments":   {step{frameOf(0x01, []byte("he"), nil), frameOf(0x80, []byte("i"), nil)}, 1},
		"in a head":           {step{long[:5], append(bytes.Clone(long[5:]), frameOf(0x81, []byte("late"), nil)...)}, 1},
		"in a payload":        {step{long[:50_000], append(bytes.Clone(long[50_000:]), frameOf(0x81, []byte("late"), nil)...)}, 1},
		"in the second of it": {step{append(frameOf(0x89, nil, nil), long[:50_000]...), long[50_000:]}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			heard, ended := make(chan bool), make(chan bool)
			app := newTunnelApp(t, func(conn net.Conn, from *bufio.Reader) {
				_, _ = conn.Write(test.first)
				if first, payload, err := readFrame(from); first != 0x81 || string(payload) != "before" || err != nil {
					t.Errorf("the app read %x %q %v", first, payload, err)
				}
				close(heard)
				<-ended
				if before := wantClose(t, from, 1001); len(before) > 0 {
					t.Errorf("the app read %q after the end", before)
				}
				_, _ = conn.Write(test.rest)
				_, _ = conn.Write(frameOf(0x88, []byte{3, 233}, nil))
			})
			e := newErrand()
			server := newFront(t, app, Outgoing{Errand: e})
			conn, reader := upgrade(t, server)
			if _, err := conn.Write(frameOf(0x81, []byte("before"), []byte("key!"))); err != nil {
				t.Fatal(err)
			}
			stream := <-e.opened
			begun := make([]byte, len(test.first))
			if _, err := io.ReadFull(reader, begun); err != nil {
				t.Fatal(err)
			}
			<-heard
			stream.End(testEnding)
			close(ended)
			before := wantClose(t, io.MultiReader(bytes.NewReader(begun), reader), 1008)
			if len(before) != test.frames {
				t.Errorf("%d frames before the Close frame, want %d", len(before), test.frames)
			}
			for range 3 {
				_, _ = conn.Write(frameOf(0x81, []byte("after"), []byte("key!")))
			}
			_, _ = conn.Write(frameOf(0x88, []byte{3, 240}, []byte("key!")))
			if rest, err := io.ReadAll(reader); err != nil || len(rest) > 0 {
				t.Errorf("%d bytes after the Close frame, %v", len(rest), err)
			}
			wantClosed(t, e, testEnding)
		})
	}
}

// TestS44WhatIsNoWebSocketIsClosedAsItIs: bounded, and without a word of ours in the middle of somebody's bytes.
func TestS44WhatIsNoWebSocketIsClosedAsItIs(t *testing.T) {
	t.Parallel()
	for name, said := range map[string][]byte{
		"another protocol":        []byte("220 mail.example ESMTP\r\n"),
		"masked by the server":    frameOf(0x81, []byte("hei"), []byte("key!")),
		"a frame that never ends": {0x82, 127, 0x7f, 255, 255, 255, 255, 255, 255, 255, 'x', 'y'},
		"half a head":             {0x82, 127, 0},
		"a Close frame already":   frameOf(0x88, []byte{3, 232}, nil),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			app := newTunnelApp(t, func(conn net.Conn, from *bufio.Reader) {
				_, _ = conn.Write(said)
				_, _ = io.Copy(io.Discard, from)
				_, _ = io.Copy(io.Discard, conn)
			})
			e := newErrand()
			_, reader := upgrade(t, newFront(t, app, Outgoing{Errand: e}))
			got := make([]byte, len(said))
			if _, err := io.ReadFull(reader, got); err != nil {
				t.Fatal(err)
			}
			(<-e.opened).End(testEnding)
			if rest, err := io.ReadAll(reader); len(rest) > 0 || errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("%q after what the app said, %v", rest, err)
			}
			wantClosed(t, e, testEnding)
		})
	}
}

// TestS44ClientThatDoesNotReadHoldsNothing: neither the connection to the app nor the goroutines of the stream.
func TestS44ClientThatDoesNotReadHoldsNothing(t *testing.T) {
	t.Parallel()
	blocked, gone := make(chan bool), make(chan bool)
	app := newTunnelApp(t, func(conn net.Conn, _ *bufio.Reader) {
		defer close(gone)
		var once sync.Once
		for frame := frameOf(0x82, make([]byte, 1<<20), nil); ; {
			_ = conn.SetWriteDeadline(time.Now().Add(300 * time.Millisecond))
			if _, err := conn.Write(frame); isTimeout(err) {
				once.Do(func() { close(blocked) })
			} else if err != nil {
				return
			}
		}
	})
	e := newErrand()
	upgrade(t, newFront(t, app, Outgoing{Errand: e}))
	stream := <-e.opened
	<-blocked
	stream.End(testEnding)
	wantClosed(t, e, testEnding)
	<-gone
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

// TestS44EndedBeforeTheUpgradeIsAnswered: the handshake is finished first, so that the client can be told.
func TestS44EndedBeforeTheUpgradeIsAnswered(t *testing.T) {
	t.Parallel()
	app := newTunnelApp(t, func(conn net.Conn, from *bufio.Reader) {
		wantClose(t, from, 1001)
		_, _ = conn.Write(frameOf(0x88, []byte{3, 233}, nil))
	})
	e := newErrand()
	e.open = func(s *Stream) {
		s.End(testEnding)
		s.End(GoingAway) // the first one counts
	}
	conn, reader := upgrade(t, newFront(t, app, Outgoing{Errand: e}))
	if before := wantClose(t, reader, 1008); len(before) > 0 {
		t.Errorf("%q before the Close frame", before)
	}
	_, _ = conn.Write(frameOf(0x88, []byte{3, 240}, []byte("key!")))
	wantClosed(t, e, testEnding)
}

// TestStreamThatEndsByItselfIsNotOurs: whoever ends it, half a connection at a time or at once, and a late end is none.
func TestStreamThatEndsByItselfIsNotOurs(t *testing.T) {
	t.Parallel()
	app := newTunnelApp(t, func(conn net.Conn, from *bufio.Reader) {
		said, _ := io.ReadAll(from) // the client has closed its half
		_, _ = conn.Write(said)
	})
	e := newErrand()
	conn, reader := upgrade(t, newFront(t, app, Outgoing{Errand: e}))
	_, _ = io.WriteString(conn, "any bytes")
	_ = conn.(*net.TCPConn).CloseWrite()
	if back, err := io.ReadAll(reader); string(back) != "any bytes" || err != nil {
		t.Errorf("%q %v", back, err)
	}
	stream := <-e.opened
	wantClosed(t, e, nil)
	stream.End(testEnding)
	if stream.Ended() != nil {
		t.Error("a stream was ended after its end")
	}
}

// TestS44AnAppThatClosesAtOnceDoesNotSwallowTheFarewell: the app hears of the end first and is gone before the client's turn has come.
func TestS44AnAppThatClosesAtOnceDoesNotSwallowTheFarewell(t *testing.T) {
	t.Parallel()
	toClient, client := net.Pipe()
	defer toClient.Close()
	defer client.Close()
	tunnel := newTunnel(toClient, nil, nil)
	tunnel.down.say(closeFrame(testEnding.WebSocket, testEnding.Text, nil)) // as [tunnel.end] does before the app hears of it
	closed := make(chan error, 1)
	go func() {
		closed <- tunnel.closeDown()
		toClient.Close()
	}()
	wantClose(t, client, 1008)
	if err := <-closed; err != nil {
		t.Errorf("the client's side was closed before its answer: %v", err)
	}
}

// TestUpgradeLetsItsRequestGo: the handler returns, and what it ran in with it; the tunnel goes on until its sides end it.
func TestUpgradeLetsItsRequestGo(t *testing.T) {
	t.Parallel()
	app := newTunnelApp(t, func(conn net.Conn, from *bufio.Reader) { _, _ = io.Copy(conn, from) })
	e := newErrand()
	behind := newFront(t, app, Outgoing{Errand: e})
	served := make(chan error, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := &Answer{ResponseWriter: w}
		behind.forwarder.Serve(answer, r, Outgoing{Errand: e})
		_, err := answer.Write([]byte("more"))
		if !answer.Upgraded() || len(answer.Header()) > 0 {
			err = errors.New("the writer of the answer is still held")
		}
		served <- err
	}))
	t.Cleanup(server.Close)
	conn, reader := upgrade(t, &front{Server: server})
	if err := <-served; !errors.Is(err, http.ErrHijacked) {
		t.Errorf("an answer after the upgrade: %v", err)
	}
	for _, size := range []int{1, idleBuffer, 10 * copyBufferSize, 7} {
		said := bytes.Repeat([]byte("x"), size)
		go func() { _, _ = conn.Write(said) }()
		back := make([]byte, size)
		if _, err := io.ReadFull(reader, back); err != nil || !bytes.Equal(back, said) {
			t.Fatalf("%d bytes after the request: %v", size, err)
		}
	}
	if len(e.closed) > 0 {
		t.Error("closed while it was open")
	}
	conn.Close()
	wantClosed(t, e, nil)
}

// TestBytesAheadOfTheAnswerAreNotLost: a client that does not wait for the 101 has its frames passed on once the app has agreed, in order.
func TestBytesAheadOfTheAnswerAreNotLost(t *testing.T) {
	t.Parallel()
	ahead, later := frameOf(0x81, []byte("ahead"), []byte("key!")), frameOf(0x81, []byte("later"), []byte("key!"))
	app := newTunnelApp(t, func(conn net.Conn, from *bufio.Reader) {
		if n := from.Buffered(); n > 0 {
			t.Errorf("%d bytes came before the app had agreed", n)
		}
		for _, want := range []string{"ahead", "later"} {
			if _, payload, err := readFrame(from); err != nil || string(payload) != want {
				t.Errorf("%q %v; want %q", payload, err, want)
			}
			_, _ = conn.Write(frameOf(0x81, []byte("got "+want), nil))
		}
	})
	e := newErrand()
	conn := dial(t, newFront(t, app, Outgoing{Errand: e}).Server)
	_, _ = conn.Write(append([]byte("GET /ws HTTP/1.1\r\nHost: app\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"), ahead...))
	reader := bufio.NewReader(conn)
	if status, _, _ := readAnswer(t, reader); status != http.StatusSwitchingProtocols {
		t.Fatalf("status %d", status)
	}
	for _, want := range []string{"got ahead", "got later"} {
		if _, payload, err := readFrame(reader); err != nil || string(payload) != want {
			t.Errorf("%q %v; want %q", payload, err, want)
		}
		_, _ = conn.Write(later)
	}
	conn.Close()
	wantClosed(t, e, nil)
}

// TestAppThatClosesItsHalfStillHears: also the other way round than [TestStreamThatEndsByItselfIsNotOurs].
func TestAppThatClosesItsHalfStillHears(t *testing.T) {
	t.Parallel()
	heard := make(chan string, 1)
	app := newTunnelApp(t, func(conn net.Conn, from *bufio.Reader) {
		_ = conn.(*net.TCPConn).CloseWrite()
		said, _ := io.ReadAll(from)
		heard <- string(said)
	})
	e := newErrand()
	conn, reader := upgrade(t, newFront(t, app, Outgoing{Errand: e}))
	if rest, err := io.ReadAll(reader); len(rest) > 0 || err != nil {
		t.Errorf("%q %v", rest, err)
	}
	_, _ = io.WriteString(conn, "last words")
	conn.Close()
	if got := <-heard; got != "last words" {
		t.Errorf("the app heard %q", got)
	}
	wantClosed(t, e, nil)
}

// TestBusyBufferIsGivenBack: a direction that was busy once is as small as any other when it is idle again.
func TestBusyBufferIsGivenBack(t *testing.T) {
	t.Parallel()
	reader := &scriptedReader{sizes: []int{5, idleBuffer, 5000, idleBuffer, copyBufferSize, 3, idleBuffer - 1, 0}}
	var passed int
	if err := copyAll(reader, new(buffers), func(p []byte) error { passed += len(p); return nil }); err != nil {
		t.Fatal(err)
	}
	const small, large = idleBuffer, copyBufferSize
	if diff := cmp.Diff([]int{small, small, large, large, large, large, small, small}, reader.offered); diff != "" {
		t.Errorf("buffers (-want +got):\n%s", diff)
	}
	if want := 5 + 5000 + 2*idleBuffer + copyBufferSize + 3 + idleBuffer - 1; passed != want {
		t.Errorf("%d bytes were passed on; want %d", passed, want)
	}
}

// scriptedReader reads so many bytes each time, then the end, and notes how many it could have read.
type scriptedReader struct {
	sizes   []int
	offered []int
}

func (r *scriptedReader) Read(p []byte) (int, error) {
	r.offered = append(r.offered, len(p))
	n := r.sizes[0]
	if r.sizes = r.sizes[1:]; len(r.sizes) == 0 {
		return n, io.EOF
	}
	return n, nil
}

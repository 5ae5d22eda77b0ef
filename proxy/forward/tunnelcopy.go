package forward

import (
	"errors"
	"io"
)

// idleBuffer is what a direction of a tunnel reads into while it has little to say, which most WebSockets have most of the time.
const idleBuffer = 1 << 10

// start copies both ways in goroutines of its own, the first of what the client says being ahead, and returns. When both sides are done,
// or one has failed, both connections are closed and over is called.
func (t *tunnel) start(ahead []byte, large *buffers, over func()) {
	go t.run(over, func() error { return t.copyDown(large) })
	go t.run(over, func() error { return t.copyUp(ahead, large) })
}

// errBroken is how a direction ends that does not come to its end.
var errBroken = errors.New("panic")

func (t *tunnel) run(over func(), copyOn func() error) {
	err := errBroken
	defer func() { t.done(err, over) }()
	defer t.guard()
	err = copyOn()
}

// copyDown takes the app's words to the client.
func (t *tunnel) copyDown(large *buffers) error {
	err := copyAll(t.app, large, func(p []byte) error {
		_, err := t.down.Write(p)
		return err
	})
	if err != nil {
		return err
	}
	return t.closeDown()
}

// copyUp takes the client's words to the app.
func (t *tunnel) copyUp(ahead []byte, large *buffers) error {
	err := t.say(ahead)
	if err == nil {
		err = copyAll(t.client, large, t.say)
	}
	if err == nil || t.ended.Load() { // the app is still to be heard out
		return closeWrite(t.app)
	}
	return err
}

// done closes both sides after the second direction, or after one that could not end in order.
func (t *tunnel) done(err error, over func()) {
	last := t.copied.Add(1) == 2
	if err != nil || last {
		t.cut()
	}
	if last {
		over()
	}
}

// copyAll reads until the end, which is no error. While reads fill the small buffer a large one takes its place.
func copyAll(from io.Reader, large *buffers, pass func([]byte) error) error {
	small := make([]byte, idleBuffer)
	buffer := small
	defer func() {
		if len(buffer) > len(small) {
			large.Put(buffer)
		}
	}()
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			if err := pass(buffer[:n]); err != nil {
				return err
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case n == len(small) && len(buffer) == len(small):
			buffer = large.Get()
		case n < len(small) && len(buffer) > len(small):
			large.Put(buffer)
			buffer = small
		}
	}
}

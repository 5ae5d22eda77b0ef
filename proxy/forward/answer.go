package forward

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"net/http"
)

// Answer is the writer of a request's answer. It notes what was written, for the log and to know what can still be said.
type Answer struct {
	http.ResponseWriter

	Status int  // the final one; 0 before that
	Wrote  bool // the head is on its way
}

// WriteHeader notes the status. Informational answers (1xx) come before the real one.
func (a *Answer) WriteHeader(status int) {
	if status >= 200 && !a.Wrote {
		a.Wrote, a.Status = true, status
	}
	a.ResponseWriter.WriteHeader(status)
}

// Write implements [http.ResponseWriter].
func (a *Answer) Write(p []byte) (int, error) {
	if !a.Wrote {
		a.Wrote, a.Status = true, http.StatusOK
	}
	return a.ResponseWriter.Write(p)
}

// Hijack notes an upgrade, whose 101 is written to the connection itself. From then on there is nobody to answer, and nothing of the server
// that would have done it is held on to.
func (a *Answer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffered, err := http.NewResponseController(a.ResponseWriter).Hijack()
	if err == nil {
		a.Wrote, a.Status = true, http.StatusSwitchingProtocols
		a.ResponseWriter = hijacked{}
	}
	return conn, buffered, err
}

// Upgraded says whether the connection has become a stream of both sides' own.
func (a *Answer) Upgraded() bool { return a.Status == http.StatusSwitchingProtocols }

// hijacked is the writer of an answer that nobody can write any more.
type hijacked struct{}

func (hijacked) Header() http.Header       { return http.Header{} }
func (hijacked) WriteHeader(int)           {}
func (hijacked) Write([]byte) (int, error) { return 0, http.ErrHijacked }

// Unwrap lets http.ResponseController reach Flush.
func (a *Answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// Conclude is for the deferred end of a handler, with what it recovered. A panic of ours is an error without its text, which may quote the
// request: explain gets it, to answer, or only to note it when the head of the answer is on its way. It says whether the connection is to be cut.
func (a *Answer) Conclude(panicked any, explain func(err error, answered bool)) (cut bool) {
	err, isError := panicked.(error)
	switch {
	case panicked == nil:
		if a.Status == 0 {
			a.Status = http.StatusOK // net/http writes it for a handler that wrote nothing
		}
		return false
	case isError && errors.Is(err, http.ErrAbortHandler):
		return true
	}
	cut = a.Wrote
	explain(fmt.Errorf("panic of type %T", panicked), cut)
	return cut
}

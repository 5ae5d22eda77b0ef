package forward

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// IsUpgrade says that a request is a WebSocket handshake (RFC 6455 §4.1), the only upgrade that is forwarded: HTTP/1.1, GET, no body, and
// no other protocol offered beside it. Behind any other upgrade the connection would carry requests that nobody decides on (S-01).
func IsUpgrade(r *http.Request) bool {
	upgrade := r.Header["Upgrade"]
	return len(upgrade) == 1 && strings.EqualFold(upgrade[0], "websocket") &&
		r.Method == http.MethodGet && r.ProtoMajor == 1 && r.ProtoMinor == 1 &&
		r.ContentLength == 0 && len(r.TransferEncoding) == 0 &&
		hasToken(r.Header["Connection"], "upgrade")
}

// AsksForUpgrade is wider than [IsUpgrade]: anything that a client may have meant as one.
func AsksForUpgrade(r *http.Request) bool { return len(r.Header["Upgrade"]) > 0 }

var (
	errUnaskedUpgrade = errors.New("server switched protocols without being asked")
	errOtherProtocol  = errors.New("server switched to another protocol than it was asked for")
	errNoConnection   = errors.New("server switched protocols on a connection that cannot be written to")
)

// switchProtocols passes on a 101 (RFC 9110 §15.2.2), and makes a tunnel of the two connections. It goes on when the request is over for the
// server that it came in by: nothing is kept of the request, its goroutine with a deep stack, and the buffers of the server, which is several times
// the memory of a tunnel.
func (x *exchange) switchProtocols(res *http.Response) error {
	app, isConn := res.Body.(io.ReadWriteCloser)
	switch protocol := res.Header["Upgrade"]; {
	case !x.upgrade:
		return errUnaskedUpgrade
	case len(protocol) == 0 || !strings.EqualFold(protocol[0], "websocket") || !hasToken(res.Header["Connection"], "upgrade"):
		return errOtherProtocol
	case !isConn:
		return errNoConnection
	}
	header := x.client.Header()
	for name, values := range res.Header {
		header[name] = append(header[name], values...)
	}
	client, buffered, err := http.NewResponseController(x.client).Hijack()
	if err != nil {
		return err
	}
	s := x.open(false)
	t := newTunnel(client, app, s.broke)
	res.Header, res.Body = header, http.NoBody // nobody closes the connection but the tunnel
	if err := errors.Join(res.Write(buffered), buffered.Flush()); err != nil {
		t.cut()
		return nil // the client has left; see closed
	}
	ahead, _ := buffered.Peek(buffered.Reader.Buffered()) // nobody has waited for the 101, and it is the app that was spoken to
	x.stream = nil
	s.endBy(t.end)
	t.start(bytes.Clone(ahead), x.buffers, func() { x.close(s) })
	return nil
}

// Remainder is what may still be asked about a request whose connection was upgraded, which a log wants when it is closed. The rest of the
// request is let go of: there may be thousands of such connections, for days.
func Remainder(r *http.Request) *http.Request {
	rest := &http.Request{Method: r.Method, URL: &url.URL{Path: r.URL.Path}, Header: http.Header{}}
	return rest.WithContext(context.WithoutCancel(r.Context()))
}

// hasToken looks for a token in a comma-separated header, without case.
func hasToken(lines []string, token string) bool {
	for _, line := range lines {
		for element := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(strings.Trim(element, " \t"), token) {
				return true
			}
		}
	}
	return false
}

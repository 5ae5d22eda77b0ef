package e2e

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// RawHTTP2 is a client of HTTP/2 that keeps to no rule: it sends the frames that a test writes, and nothing else.
type RawHTTP2 struct {
	*http2.Framer
	net.Conn

	host, scheme string
	encoder      *hpack.Encoder // one for the connection, as its table is
	decoder      *hpack.Decoder // the same
	block        bytes.Buffer
}

// DialHTTP2 says hello by HTTP/2, by TLS if roots are given, else with prior knowledge; settings are the client's.
func DialHTTP2(t testing.TB, addr, host string, config *tls.Config, settings ...http2.Setting) *RawHTTP2 {
	t.Helper()
	c := &RawHTTP2{Conn: Dial(t, addr), host: host, scheme: "http"}
	_ = c.Conn.(*net.TCPConn).SetReadBuffer(16 << 10) // whoever does not read shows it soon
	if config != nil {
		c.Conn, c.scheme = DialTLS(t, c.Conn, config, "h2"), "https"
	}
	c.encoder, c.decoder = hpack.NewEncoder(&c.block), hpack.NewDecoder(4096, nil)
	c.Framer = http2.NewFramer(c.Conn, c.Conn)
	if _, err := io.WriteString(c.Conn, http2.ClientPreface); err != nil {
		t.Fatal(err)
	}
	if err := c.WriteSettings(settings...); err != nil {
		t.Fatal(err)
	}
	_ = c.SetDeadline(time.Now().Add(Patience))
	return c
}

// DialTLS is TLS over a connection, with one protocol offered.
func DialTLS(t testing.TB, conn net.Conn, config *tls.Config, protocol string) *tls.Conn {
	t.Helper()
	config = config.Clone()
	config.NextProtos = []string{protocol}
	secure := tls.Client(conn, config)
	_ = conn.SetDeadline(time.Now().Add(Patience))
	if err := secure.HandshakeContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	_ = conn.SetDeadline(time.Time{})
	return secure
}

// Head is the header block of a request, with further fields as names and values in turn.
func (c *RawHTTP2) Head(method, path string, fields ...string) []byte {
	c.block.Reset()
	for i, all := 0, append([]string{":method", method, ":scheme", c.scheme, ":authority", c.host, ":path", path}, fields...); i < len(all); i += 2 {
		_ = c.encoder.WriteField(hpack.HeaderField{Name: all[i], Value: all[i+1]})
	}
	return bytes.Clone(c.block.Bytes())
}

// Open sends the head of a request; end says that there is no body. A head that does not fit a frame is continued.
func (c *RawHTTP2) Open(stream uint32, end bool, head []byte) error {
	const most = 16 << 10
	first := head[:min(len(head), most)]
	err := c.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: first, EndHeaders: len(first) == len(head), EndStream: end})
	for rest := head[len(first):]; err == nil && len(rest) > 0; {
		part := rest[:min(len(rest), most)]
		rest = rest[len(part):]
		err = c.WriteContinuation(stream, len(rest) == 0, part)
	}
	return err
}

// StatusOf reads until the head of the answer on a stream comes: its status. Another end is "reset" with the code, "goaway" with the code, or
// "closed"; "timeout" is none. Settings and pings are acknowledged, as the server waits for that.
func (c *RawHTTP2) StatusOf(stream uint32) string {
	for {
		frame, err := c.ReadFrame()
		if err != nil {
			if strings.Contains(err.Error(), "timeout") {
				return "timeout"
			}
			return "closed"
		}
		switch f := frame.(type) {
		case *http2.SettingsFrame:
			if !f.IsAck() {
				_ = c.WriteSettingsAck()
			}
		case *http2.PingFrame:
			if !f.IsAck() {
				_ = c.WritePing(true, f.Data)
			}
		case *http2.GoAwayFrame:
			if f.ErrCode != http2.ErrCodeNo {
				return "goaway " + f.ErrCode.String()
			}
		case *http2.RSTStreamFrame:
			if f.StreamID == stream {
				return "reset " + f.ErrCode.String()
			}
		case *http2.HeadersFrame:
			fields, err := c.decoder.DecodeFull(f.HeaderBlockFragment())
			if err != nil {
				return err.Error()
			}
			if f.StreamID == stream && len(fields) > 0 && fields[0].Name == ":status" {
				return fields[0].Value
			}
		}
	}
}

// EndOf reads until the other side ends the connection, and says how: by the code of a GOAWAY, "closed" or "timeout".
func (c *RawHTTP2) EndOf() string {
	for {
		frame, err := c.ReadFrame()
		switch {
		case err == nil:
			if away, is := frame.(*http2.GoAwayFrame); is && away.ErrCode != http2.ErrCodeNo {
				return away.ErrCode.String()
			}
		case strings.Contains(err.Error(), "timeout"):
			return "timeout"
		default:
			return "closed"
		}
	}
}

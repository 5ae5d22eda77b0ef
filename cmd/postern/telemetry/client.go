package telemetry

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"postern/config"
	"postern/oidc"
)

const (
	maxAnswer      = 64 << 10 // of a collector; what it says is a few bytes
	connectTimeout = 5 * time.Second
)

// client sends one signal. It never follows a redirect: the headers may carry a credential.
type client struct {
	cfg       config.OtelExport
	transport transport
	now       func() time.Time
}

// transport is [http.Transport].
type transport interface {
	http.RoundTripper
	CloseIdleConnections()
}

// newClient reads the certificates; it does no other I/O.
func newClient(cfg config.OtelExport, now func() time.Time) (*client, error) {
	trust := &tls.Config{MinVersion: tls.VersionTLS12}
	if cfg.CAFile != "" {
		pem, err := os.ReadFile(cfg.CAFile)
		if err != nil {
			return nil, fmt.Errorf("read certificates: %w", err)
		}
		trust.RootCAs = x509.NewCertPool()
		if !trust.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("read certificates: %s has none", cfg.CAFile)
		}
	}
	if cfg.CertFile != "" {
		trust.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { // anew for each connection: it may be renewed
			pair, err := tls.LoadX509KeyPair(cfg.CertFile, cfg.KeyFile)
			return &pair, err
		}
	}
	protocols := new(http.Protocols)
	plain := strings.HasPrefix(cfg.URL, "http:")
	protocols.SetHTTP1(!cfg.GRPC)
	protocols.SetHTTP2(!plain)
	protocols.SetUnencryptedHTTP2(cfg.GRPC && plain)
	return &client{cfg: cfg, now: now, transport: &http.Transport{
		DialContext:     oidc.DialLocalNames(&net.Dialer{Timeout: connectTimeout}),
		TLSClientConfig: trust, TLSHandshakeTimeout: connectTimeout, Protocols: protocols,
		DisableCompression: true, MaxResponseHeaderBytes: 16 << 10, MaxConnsPerHost: 2, IdleConnTimeout: 90 * time.Second,
	}}, nil
}

// trouble is why something was not taken. It holds nothing that a collector said but numbers.
type trouble struct {
	what  string
	again bool          // it may be taken later
	after time.Duration // that the collector wants to be left alone; 0: it has not said
	err   error         // of the way there
}

func (t *trouble) Error() string {
	if t.err != nil {
		return t.what + ": " + cause(t.err)
	}
	return t.what
}

// cause is what may be told of an error: that of a malformed answer quotes it.
func cause(err error) string {
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
		return op.Error()
	}
	if bad, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return "its certificate is not accepted: " + oidc.CleanText(bad.Err.Error())
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return "no answer in time"
	case errors.Is(err, errLongAnswer):
		return err.Error()
	}
	return "the connection broke off, or it does not speak this protocol"
}

func (t *trouble) Unwrap() error { return t.err }

var errLongAnswer = errors.New("the answer is larger than 64 KiB")

// send makes one attempt. rejected is how many items the collector has thrown away of those that it took.
func (c *client) send(ctx context.Context, body []byte) (rejected int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	req, err := c.request(ctx, body)
	if err != nil {
		return 0, &trouble{what: "no request could be made", err: err}
	}
	res, err := c.transport.RoundTrip(req)
	if err != nil {
		return 0, &trouble{what: "the collector cannot be reached", again: true, err: err}
	}
	answer, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	_ = res.Body.Close()
	switch {
	case err != nil:
		return 0, &trouble{what: "the answer broke off", again: true, err: err}
	case len(answer) > maxAnswer:
		return 0, &trouble{what: "the answer is no answer", err: errLongAnswer}
	}
	if problem := c.verdict(res); problem != nil {
		return 0, problem
	}
	if c.cfg.GRPC {
		answer = answer[min(len(answer), frameHead):]
	}
	return partial(answer), nil
}

const frameHead = 5 // a flag for compression, and the length of the message

func (c *client) request(ctx context.Context, body []byte) (*http.Request, error) {
	var content bytes.Buffer
	if c.cfg.GRPC {
		content.Write(make([]byte, frameHead))
	}
	if c.cfg.Gzip {
		w := gzip.NewWriter(&content)
		_, _ = w.Write(body) // a Buffer takes everything
		_ = w.Close()
	} else {
		content.Write(body)
	}
	if c.cfg.GRPC {
		head := content.Bytes()[:frameHead]
		if c.cfg.Gzip {
			head[0] = 1
		}
		binary.BigEndian.PutUint32(head[1:], uint32(content.Len()-frameHead))
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.cfg.URL, &content)
	if err != nil {
		return nil, err
	}
	req.GetBody = nil // net/http would send it again and again to a server that resets it
	for _, h := range c.cfg.Headers {
		req.Header.Set(h.Name, h.Value.Reveal())
	}
	req.Header.Set("User-Agent", "postern")
	if c.cfg.GRPC {
		req.Header.Set("Content-Type", "application/grpc")
		req.Header.Set("Te", "trailers")
		req.Header.Set("Grpc-Timeout", strconv.FormatInt(c.cfg.Timeout.Milliseconds(), 10)+"m")
		if c.cfg.Gzip {
			req.Header.Set("Grpc-Encoding", "gzip")
		}
		return req, nil
	}
	req.Header.Set("Content-Type", "application/x-protobuf")
	if c.cfg.Gzip {
		req.Header.Set("Content-Encoding", "gzip")
	}
	return req, nil
}

// verdict is nil if everything was taken.
func (c *client) verdict(res *http.Response) error {
	if res.StatusCode < 200 || res.StatusCode > 299 {
		t := &trouble{what: "the collector answered " + strconv.Itoa(res.StatusCode)}
		switch res.StatusCode {
		case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout: // OTLP, "Retryable Response Codes"
			t.again, t.after = true, retryAfter(res.Header.Get("Retry-After"), c.now())
		}
		return t
	}
	if !c.cfg.GRPC {
		return nil
	}
	said := res.Trailer.Get("Grpc-Status")
	if said == "" {
		said = res.Header.Get("Grpc-Status") // of an answer that is nothing but trailers
	}
	code, err := strconv.ParseUint(said, 10, 8)
	switch {
	case err != nil:
		return &trouble{what: "what answered does not speak gRPC"}
	case code == 0:
		return nil
	}
	t := &trouble{what: "the collector answered with the gRPC status " + strconv.FormatUint(code, 10)}
	switch code {
	case 1, 4, 8, 10, 11, 14, 15: // OTLP, "Failures"; 8 (resource exhausted) asks for patience in any case
		t.again = true
	}
	return t
}

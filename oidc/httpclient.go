package oidc

import (
	"cmp"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"golang.org/x/net/http/httpproxy"

	"postern/config"
)

const (
	connectTimeout = 2 * time.Second
	callTimeout    = 10 * time.Second
	maxBody        = 1 << 20

	tokenConnectTimeout = time.Second
	tokenAttemptTimeout = 2500 * time.Millisecond // twice this is how long an app waits at most
)

var (
	errBodyTooLarge = errors.New("answer is larger than 1 MiB")
	errWebProxy     = errors.New("address of the web proxy is not a URL")
)

// NewHTTPClient makes the client for every call to a provider: redirects are refused, a body over 1 MiB is an error and not cut short,
// connecting takes at most 2 s and the whole call 10 s (S-50). Names below .localhost are loopback (RFC 6761 §6.3), which Go's resolver
// does not know. The web proxy of out is used as Go does by the same environment variables, never for loopback.
func NewHTTPClient(out config.Outbound) *http.Client {
	return newHTTPClient(out, config.TokenHTTP{ConnectTimeout: connectTimeout, OverallTimeout: callTimeout})
}

// NewTokenHTTPClient is the same for calls that an app waits for, in the times that the operator gave. An attempt must be short, so that
// another one fits in before the app gives up.
func NewTokenHTTPClient(out config.Outbound, t config.TokenHTTP) *http.Client {
	t.ConnectTimeout = cmp.Or(t.ConnectTimeout, tokenConnectTimeout)
	t.OverallTimeout = cmp.Or(t.OverallTimeout, tokenAttemptTimeout)
	return newHTTPClient(out, t)
}

func newHTTPClient(out config.Outbound, t config.TokenHTTP) *http.Client {
	return &http.Client{
		Timeout:       t.OverallTimeout,
		CheckRedirect: refuseRedirect,
		Transport: &cappedTransport{next: &http.Transport{
			Proxy:                  WebProxy(out),
			DialContext:            DialLocalNames(&net.Dialer{Timeout: t.ConnectTimeout, KeepAlive: 30 * time.Second}),
			ForceAttemptHTTP2:      true,
			TLSHandshakeTimeout:    t.ConnectTimeout,
			ResponseHeaderTimeout:  t.ReadTimeout,
			MaxIdleConns:           cmp.Or(t.PoolMaxIdle, maxInFlight),
			MaxIdleConnsPerHost:    cmp.Or(t.PoolMaxIdle, maxInFlight/4),
			IdleConnTimeout:        30 * time.Second,
			MaxResponseHeaderBytes: 64 << 10,
		}},
	}
}

// refuseRedirect hands the 3xx itself to the caller: a redirect must never carry a client assertion, code or token elsewhere.
func refuseRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// WebProxy chooses the web proxy of a call, for [http.Transport]. It is the one of every call to a provider, and never one for loopback.
func WebProxy(out config.Outbound) func(*http.Request) (*url.URL, error) {
	// The library ignores an address that it cannot parse, and would then go directly. Who configured a proxy wants no direct calls.
	for _, address := range []string{out.HTTPProxy.Reveal(), out.HTTPSProxy.Reveal()} {
		if address == "" {
			continue
		}
		probe := httpproxy.Config{HTTPProxy: address}
		if u, err := probe.ProxyFunc()(&url.URL{Scheme: "http", Host: "provider.invalid"}); err != nil || u == nil || u.Host == "" {
			return func(*http.Request) (*url.URL, error) { return nil, errWebProxy }
		}
	}
	choose := (&httpproxy.Config{
		HTTPProxy:  out.HTTPProxy.Reveal(),
		HTTPSProxy: out.HTTPSProxy.Reveal(),
		NoProxy:    out.NoProxy,
	}).ProxyFunc()
	return func(r *http.Request) (*url.URL, error) {
		if config.LoopbackHost(r.URL.Hostname()) {
			return nil, nil
		}
		return choose(r.URL)
	}
}

// DialFunc is what [http.Transport] dials with.
type DialFunc = func(ctx context.Context, network, address string) (net.Conn, error)

// DialLocalNames dials loopback for names below .localhost (RFC 6761 §6.3), and what d dials for all others.
func DialLocalNames(d *net.Dialer) DialFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		host, port, err := net.SplitHostPort(address)
		if err != nil || !config.LoopbackHost(host) || net.ParseIP(host) != nil {
			return d.DialContext(ctx, network, address)
		}
		conn, err := d.DialContext(ctx, network, net.JoinHostPort("127.0.0.1", port))
		if err != nil && ctx.Err() == nil {
			if six, sixErr := d.DialContext(ctx, network, net.JoinHostPort("::1", port)); sixErr == nil {
				return six, nil
			}
		}
		return conn, err
	}
}

// cappedTransport makes a body that is too large an error, also where a library reads it.
type cappedTransport struct{ next http.RoundTripper }

func (t *cappedTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := t.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	if resp.ContentLength > maxBody {
		resp.Body.Close()
		return nil, errBodyTooLarge
	}
	resp.Body = &cappedBody{ReadCloser: resp.Body, left: maxBody}
	return resp, nil
}

// CloseIdleConnections serves [http.Client.CloseIdleConnections].
func (t *cappedTransport) CloseIdleConnections() {
	if c, ok := t.next.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

type cappedBody struct {
	io.ReadCloser
	left int
}

func (b *cappedBody) Read(p []byte) (int, error) {
	if b.left < 0 {
		return 0, errBodyTooLarge
	}
	if len(p) > b.left+1 { // one byte more than allowed shows that there is more
		p = p[:b.left+1]
	}
	n, err := b.ReadCloser.Read(p)
	if b.left -= n; b.left < 0 {
		return 0, errBodyTooLarge
	}
	return n, err
}

// readBody reads and closes a body under the same cap, for clients that were not made here.
func readBody(resp *http.Response) ([]byte, error) {
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	if err != nil {
		return nil, err
	}
	if len(body) > maxBody {
		return nil, errBodyTooLarge
	}
	return body, nil
}

package e2e

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
	"time"
)

// Client is a browser without a screen: it keeps cookies, stops at each redirect so that a test can look at it, and knows *.localhost.
type Client struct {
	Header http.Header // sent with every request, such as Accept-Language

	t    testing.TB
	http *http.Client
	jar  *jar
}

// NewClient has an empty cookie jar.
func NewClient(t testing.TB) *Client {
	t.Helper()
	return newClient(t, loopback())
}

// NewClientThrough is [NewClient] with another way to the servers, such as into a cluster, for every name that is asked for.
func NewClientThrough(t testing.TB, dial func(ctx context.Context, network, address string) (net.Conn, error)) *Client {
	t.Helper()
	return newClient(t, &http.Transport{DisableCompression: true, DialContext: dial})
}

func newClient(t testing.TB, transport *http.Transport) *Client {
	t.Helper()
	inner, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	c := &Client{t: t, jar: &jar{Jar: inner, t: t}, Header: http.Header{}}
	t.Cleanup(transport.CloseIdleConnections)
	c.http = &http.Client{
		Jar: c.jar, Transport: transport, Timeout: 30 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return c
}

// loopback finds *.localhost where RFC 6761 6.3 puts it, and uses no web proxy.
func loopback() *http.Transport {
	dialer := &net.Dialer{Timeout: 5 * time.Second}
	return &http.Transport{
		DisableCompression: true,
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			if host, port, err := net.SplitHostPort(addr); err == nil && isLocalhost(host) {
				addr = net.JoinHostPort("127.0.0.1", port)
			}
			return dialer.DialContext(ctx, network, addr)
		},
	}
}

func isLocalhost(host string) bool {
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}

// Response is an answer with its body read.
type Response struct {
	*http.Response
	Body string
}

// Where is the absolute URL that a redirect points to, or the address of the page itself.
func (r *Response) Where() *url.URL {
	if to, err := r.Location(); err == nil {
		return to
	}
	return r.Request.URL
}

// Redirects says whether a browser would go on to [Response.Where].
func (r *Response) Redirects() bool {
	return r.StatusCode >= 300 && r.StatusCode < 400 && r.Header.Get("Location") != ""
}

// Get asks for a URL; headers are names and values in turn. One hop: a redirect is returned.
func (c *Client) Get(url string, headers ...string) *Response {
	c.t.Helper()
	return c.Send(http.MethodGet, url, "", headers...)
}

// PostForm sends a form as a browser does.
func (c *Client) PostForm(url string, form url.Values, headers ...string) *Response {
	c.t.Helper()
	return c.Send(http.MethodPost, url, form.Encode(), append([]string{"Content-Type", "application/x-www-form-urlencoded"}, headers...)...)
}

// Navigate is Get with the headers of a top-level navigation that the person started.
func (c *Client) Navigate(url string, headers ...string) *Response {
	c.t.Helper()
	return c.Get(url, append([]string{
		"Accept", "text/html,application/xhtml+xml,*/*;q=0.8", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document", "Sec-Fetch-Site", "none",
	}, headers...)...)
}

// Send makes one request.
func (c *Client) Send(method, url, body string, headers ...string) *Response {
	c.t.Helper()
	r, err := c.Try(method, url, body, headers...)
	if err != nil {
		c.t.Fatal(err)
	}
	return r
}

// Try is Send for where no answer at all is a possible outcome; unlike Send it may be called from any goroutine.
func (c *Client) Try(method, url, body string, headers ...string) (*Response, error) {
	req, err := http.NewRequestWithContext(context.Background(), method, url, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	for name, values := range c.Header {
		req.Header[name] = values
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
		if strings.EqualFold(headers[i], "Host") {
			req.Host = headers[i+1]
		}
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	return &Response{Response: resp, Body: string(text)}, nil
}

// Follow goes on from a redirect until there is none, 20 hops at most.
func (c *Client) Follow(r *Response) *Response {
	c.t.Helper()
	return c.FollowUntil(r, func(*url.URL) bool { return false })
}

// FollowUntil goes on from a redirect until there is none, or until the next address is one that the test wants to see before it is asked for.
func (c *Client) FollowUntil(r *Response, stop func(next *url.URL) bool) *Response {
	c.t.Helper()
	for range 20 {
		if !r.Redirects() || stop(r.Where()) {
			return r
		}
		r = c.Navigate(r.Where().String())
	}
	c.t.Fatalf("redirected 20 times; the last to %s", r.Where().Redacted())
	return nil
}

// Cookies is what would be sent to a URL, by name.
func (c *Client) Cookies(rawURL string) map[string]string {
	c.t.Helper()
	u, err := url.Parse(rawURL)
	if err != nil {
		c.t.Fatal(err)
	}
	all := map[string]string{}
	for _, cookie := range c.jar.Cookies(u) {
		all[cookie.Name] = cookie.Value
	}
	return all
}

// SetCookie puts a cookie into the jar, as if the URL had set it.
func (c *Client) SetCookie(rawURL string, cookie *http.Cookie) {
	c.t.Helper()
	u, err := url.Parse(rawURL)
	if err != nil {
		c.t.Fatal(err)
	}
	c.jar.SetCookies(u, []*http.Cookie{cookie})
}

// Forget empties the jar.
func (c *Client) Forget() {
	c.t.Helper()
	inner, err := cookiejar.New(nil)
	if err != nil {
		c.t.Fatal(err)
	}
	c.jar.Jar = inner
}

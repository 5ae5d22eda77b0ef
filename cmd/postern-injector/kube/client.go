package kube

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

const (
	callTime = 10 * time.Second
	maxBody  = 8 << 20  // of one answer; the largest object is 1.5 MiB
	maxList  = 64 << 20 // of all pages of a list
	pageSize = 500
)

// Content types of the patches of the Kubernetes API.
const (
	mergePatch = "application/merge-patch+json"
	jsonPatch  = "application/json-patch+json"
)

// errTooLarge is an answer that nobody could have meant.
var errTooLarge = errors.New("the answer is too large")

// Client asks one API server. It is safe for concurrent use.
type Client struct {
	server *url.URL
	access access
}

// access is the way in: the transport and the credential of one request. It may change from call to call.
type access interface {
	transport() (http.RoundTripper, error)
	token() (string, error) // empty: the connection itself says who asks
}

// newClient never follows redirects: the token is for this server alone.
func newClient(server string, a access) (*Client, error) {
	u, err := url.Parse(server)
	if err != nil {
		return nil, fmt.Errorf("address of the API server: %w", err)
	}
	if u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("address of the API server: want https://HOST[:PORT]")
	}
	return &Client{server: u, access: a}, nil
}

// request is one call: the elements of its path are escaped here, so that no name can become another path.
type request struct {
	verb     string
	resource string // for errors
	path     []string
	query    url.Values
	content  string // type of the body
	body     any    // nil: none
	limit    int64  // bytes of the answer; 0: maxBody
}

// do sends a request and decodes the answer into out, unless that is nil. Every error is an [*Error].
func (c *Client) do(ctx context.Context, r request, out any) error {
	trouble := func(status int, err error) error {
		return &Error{Verb: r.verb, Resource: r.resource, Status: status, Cause: err}
	}
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	req, err := c.newRequest(ctx, r)
	if err != nil {
		return trouble(0, err)
	}
	rt, err := c.access.transport()
	if err != nil {
		return trouble(0, err)
	}
	resp, err := rt.RoundTrip(req)
	if err != nil {
		return trouble(0, err)
	}
	defer resp.Body.Close()
	limit := cmp.Or(r.limit, maxBody)
	body, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	switch {
	case err != nil:
		return trouble(0, err)
	case int64(len(body)) > limit:
		return trouble(resp.StatusCode, errTooLarge)
	case resp.StatusCode < 200 || resp.StatusCode > 299:
		return refused(r.verb, r.resource, resp.StatusCode, body)
	case out == nil:
		return nil
	}
	if err := json.Unmarshal(body, out); err != nil {
		return trouble(resp.StatusCode, fmt.Errorf("decode the answer: %w", err))
	}
	return nil
}

func (c *Client) newRequest(ctx context.Context, r request) (*http.Request, error) {
	var body io.Reader
	if r.body != nil {
		text, err := json.Marshal(r.body)
		if err != nil {
			return nil, fmt.Errorf("encode: %w", err)
		}
		body = bytes.NewReader(text)
	}
	u := *c.server
	for _, element := range r.path {
		if element == "" || element == "." || element == ".." {
			return nil, errors.New("an empty name")
		}
		u = *u.JoinPath(url.PathEscape(element))
	}
	u.RawQuery = r.query.Encode()
	req, err := http.NewRequestWithContext(ctx, r.verb, u.String(), body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "postern-injector")
	if r.content != "" {
		req.Header.Set("Content-Type", r.content)
	}
	token, err := c.access.token()
	if err != nil {
		return nil, err
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	return req, nil
}

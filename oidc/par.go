package oidc

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"
)

const (
	pushTime  = 5 * time.Second // for all attempts
	pushPause = 100 * time.Millisecond
)

// push sends the authorization request directly to the provider (RFC 9126) and returns the two parameters for the browser. Pushing has
// no effect beyond itself, so it is tried again, with a new assertion each time.
func (c *Client) push(ctx context.Context, md *Metadata, params url.Values) (url.Values, error) {
	const op = "push authorization request"
	ctx, cancel := context.WithTimeout(ctx, pushTime)
	defer cancel()
	wait := pushPause
	for {
		body, err := c.endpoint.post(ctx, op, md, md.PushedAuthorizationRequestEndpoint, params)
		if err == nil {
			return c.pushed(op, body)
		}
		t := (*TroubleError)(nil)
		if !errors.As(err, &t) || !(t.again || t.fault) {
			return nil, err
		}
		// A provider that says when to come back is not asked sooner.
		next := max(c.deps.jitter(wait), t.RetryAfter)
		if deadline, _ := ctx.Deadline(); time.Until(deadline) <= next || !pause(ctx, next) {
			return nil, err
		}
		wait *= 2
	}
}

func (c *Client) pushed(op string, body []byte) (url.Values, error) {
	answer, err := readObject(string(body))
	if err != nil {
		return nil, c.endpoint.trouble(op, fmt.Errorf("the answer %w", err))
	}
	reference, err := answer.text("request_uri")
	if err != nil || reference == "" || !isTokenText(reference) {
		return nil, c.endpoint.trouble(op, errors.New("the answer has no usable request_uri"))
	}
	return url.Values{"client_id": {c.cfg.ClientID}, "request_uri": {reference}}, nil
}

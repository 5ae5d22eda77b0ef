package cluster

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"
)

// StatusError is an answer of the API server that is not a 2xx.
type StatusError struct {
	Code    int
	Reason  string // of the Status object, such as NotFound
	Message string
}

// Error is the API server's own message.
func (e *StatusError) Error() string { return fmt.Sprintf("status %d: %s", e.Code, e.Message) }

// NotFound says whether the API server has no such object.
func NotFound(err error) bool {
	status, ok := errors.AsType[*StatusError](err)
	return ok && status.Code == http.StatusNotFound
}

// Patch is a body for [Cluster.Do] with the content type that tells the kinds of patches apart.
type Patch struct {
	Type string // application/merge-patch+json, application/strategic-merge-patch+json, application/json-patch+json
	Body any
}

// Do is one call of the Kubernetes API as the administrator. The body is JSON (or a [Patch]) and may be nil; out is decoded from JSON and may
// be nil, or a *[]byte for the answer as it is.
func (c *Cluster) Do(ctx context.Context, method, path string, body, out any) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	resp, err := c.call(ctx, method, path, body)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	switch raw := out.(type) {
	case nil:
		return err
	case *[]byte:
		*raw = answer
		return err
	}
	return errors.Join(err, json.Unmarshal(answer, out))
}

// Stream is the body of a GET that goes on, such as a watch. The caller closes it.
func (c *Cluster) Stream(ctx context.Context, path string) (io.ReadCloser, error) {
	resp, err := c.call(ctx, http.MethodGet, path, nil)
	if err != nil {
		return nil, err
	}
	return resp.Body, nil
}

func (c *Cluster) call(ctx context.Context, method, path string, body any) (*http.Response, error) {
	contentType := "application/json"
	if p, ok := body.(Patch); ok {
		contentType, body = p.Type, p.Body
	}
	var payload io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		payload = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.Server+path, payload)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+c.Token)
	req.Header.Set("Accept", "application/json, */*")
	if body != nil {
		req.Header.Set("Content-Type", contentType)
	}
	resp, err := c.client.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode < 300 {
		return resp, nil
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return nil, err
	}
	var status struct{ Message, Reason string }
	if json.Unmarshal(answer, &status) != nil || status.Message == "" {
		status.Message = string(bytes.TrimSpace(answer))
	}
	return nil, &StatusError{Code: resp.StatusCode, Reason: status.Reason, Message: status.Message}
}

// Get reads an object or a list, such as /api/v1/namespaces/x/pods, and fails the test if there is none.
func (c *Cluster) Get(t testing.TB, path string, out any) {
	t.Helper()
	if err := c.Do(t.Context(), http.MethodGet, path, nil, out); err != nil {
		t.Fatalf("GET %s: %v", path, err)
	}
}

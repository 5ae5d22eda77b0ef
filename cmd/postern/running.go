package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"

	"postern/config"
)

var errNotRunning = errors.New("no sidecar of this configuration answers here")

// runsHere is nil if a sidecar answers at the addresses of this configuration, ready or not: it says so by its probes, or by its metrics.
func runsHere(ctx context.Context, server config.Server) error {
	if server.ProbeBindAddress != "" {
		var state readiness
		if body, err := askOwn(ctx, server.ProbeBindAddress, "/readyz"); err == nil && json.Unmarshal(body, &state) == nil && state.Status != "" {
			return nil
		}
	}
	if server.MetricsBindAddress != "" {
		if body, err := askOwn(ctx, server.MetricsBindAddress, "/metrics"); err == nil && strings.Contains(string(body), "\npostern_build_info{") {
			return nil
		}
	}
	return errNotRunning
}

// askOwn is the body of an answer of whatever status, the first megabyte of it.
func askOwn(ctx context.Context, address, path string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://localhost"+path, nil)
	if err != nil {
		return nil, err
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return dialOwn(ctx, address)
	}}}
	response, err := client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", path, err)
	}
	defer response.Body.Close()
	return io.ReadAll(io.LimitReader(response.Body, 1<<20))
}

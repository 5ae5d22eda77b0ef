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
	"time"

	"postern/config"
)

// healthcheckTime bounds all of a health check.
const healthcheckTime = 3 * time.Second

// healthcheck asks the running sidecar of this configuration whether it is ready. All that it wants of the configuration is whom to ask: a
// policy or a secret's file that has become unusable since the start leaves the sidecar running, and must not end it by way of its probe.
func healthcheck(ctx context.Context, p program) int {
	loaded, err := config.Load(config.Source{Args: p.args, Environ: p.environ, Offline: true})
	if loaded == nil { // help was asked for
		_, code := load(p)
		return code
	}
	address := probeAddress(loaded.Values)
	if problems, is := errors.AsType[*config.ProblemsError](err); is && (address == "" || concerns(problems, "probe-bind-address")) {
		printProblems(p.stderr, err)
		return exitUsage
	}
	if address == "" {
		_, _ = fmt.Fprintln(p.stderr, "postern: probe-bind-address is not set, so there is nothing to ask")
		return exitFailure
	}
	ctx, cancel := context.WithTimeout(ctx, healthcheckTime)
	defer cancel()
	if err := askReady(ctx, address); err != nil {
		_, _ = fmt.Fprintln(p.stderr, "postern:", err)
		return exitFailure
	}
	_, _ = fmt.Fprintln(p.stdout, "ready")
	return exitOK
}

func probeAddress(values []config.Value) string {
	for _, v := range values {
		if v.Name == "probe-bind-address" {
			return v.Value
		}
	}
	return ""
}

func concerns(problems *config.ProblemsError, option string) bool {
	for _, problem := range problems.Problems {
		if problem.Option == option {
			return true
		}
	}
	return false
}

// askReady asks the probe listener at an address. Its error says what holds readiness back, by the codes of /readyz.
func askReady(ctx context.Context, address string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://localhost/readyz", nil)
	if err != nil {
		return err
	}
	client := &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{DisableKeepAlives: true, MaxResponseHeaderBytes: 16 << 10, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialOwn(ctx, address)
		}},
	}
	response, err := client.Do(request)
	if err != nil {
		return fmt.Errorf("ask for readiness: %w", err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 64<<10))
	if err != nil {
		return fmt.Errorf("ask for readiness: %w", err)
	}
	var state readiness
	if problem := json.Unmarshal(body, &state); problem != nil || state.Status == "" {
		return fmt.Errorf("not ready: status %d, and what answers at probe-bind-address is no postern", response.StatusCode)
	}
	if response.StatusCode == http.StatusOK {
		return nil
	}
	reasons := make([]string, 0, len(state.Degraded))
	for _, d := range state.Degraded {
		reasons = append(reasons, fmt.Sprintf("%.40q %.40q", d.Name, d.Reason))
	}
	return fmt.Errorf("not ready: status %d, %.40q (%s)", response.StatusCode, state.Status, strings.Join(reasons, ", "))
}

// dialOwn connects to an address that this program listens on: any address at all means this machine, by number, since an image without a shell
// may be without /etc/hosts too.
func dialOwn(ctx context.Context, address string) (net.Conn, error) {
	var dialer net.Dialer
	if path, isUnix := strings.CutPrefix(address, "unix:"); isUnix {
		return dialer.DialContext(ctx, "unix", path)
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	if ip := net.ParseIP(host); host != "" && (ip == nil || !ip.IsUnspecified()) {
		return dialer.DialContext(ctx, "tcp", net.JoinHostPort(host, port))
	}
	conn, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort("127.0.0.1", port))
	if err != nil { // there may be IPv6 alone
		if other, err6 := dialer.DialContext(ctx, "tcp", net.JoinHostPort("::1", port)); err6 == nil {
			return other, nil
		}
	}
	return conn, err
}

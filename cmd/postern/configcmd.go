package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"postern/config"
)

// load reads the configuration of p. When there is nothing to run it has answered already, and code is the exit status.
func load(p program) (loaded *config.Loaded, code int) {
	for _, arg := range p.args {
		if arg == "--help" || arg == "-help" || arg == "-h" {
			usage(p.stdout)
			_, _ = fmt.Fprintln(p.stdout)
			config.Help(p.stdout)
			return nil, exitOK
		}
	}
	loaded, err := config.Load(config.Source{Args: p.args, Environ: p.environ, CheckPolicy: policyProblemsOf})
	if err == nil {
		return loaded, exitOK
	}
	printProblems(p.stderr, err)
	return nil, exitUsage
}

// printProblems lists what is wrong with a configuration.
func printProblems(w io.Writer, err error) {
	if problems, ok := errors.AsType[*config.ProblemsError](err); ok {
		_, _ = fmt.Fprintln(w, problems)
	} else {
		_, _ = fmt.Fprintln(w, "postern:", err)
	}
}

// printConfig prints every option with its value, secrets redacted, and where it came from.
func printConfig(_ context.Context, p program) int {
	loaded, code := load(p)
	if loaded == nil {
		return code
	}
	for _, warning := range loaded.Warnings {
		_, _ = fmt.Fprintln(p.stderr, "warning:", warning)
	}
	if err := loaded.Print(p.stdout); err != nil {
		return exitFailure
	}
	return exitOK
}

// healthcheck asks the running sidecar of this configuration whether it is ready.
func healthcheck(ctx context.Context, p program) int {
	loaded, code := load(p)
	if loaded == nil {
		return code
	}
	address := loaded.Config.Server.ProbeBindAddress
	if address == "" {
		_, _ = fmt.Fprintln(p.stderr, "postern: probe-bind-address is not set, so there is nothing to ask")
		return exitFailure
	}
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	if err := askReady(ctx, address); err != nil {
		_, _ = fmt.Fprintln(p.stderr, "postern:", err)
		return exitFailure
	}
	_, _ = fmt.Fprintln(p.stdout, "ready")
	return exitOK
}

func askReady(ctx context.Context, address string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://localhost/readyz", nil)
	if err != nil {
		return err
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return dialOwn(ctx, address)
	}}}
	response, err := client.Do(request)
	if err != nil {
		return fmt.Errorf("ask for readiness: %w", err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("not ready: status %d", response.StatusCode)
	}
	return nil
}

// dialOwn connects to an address that this program listens on: any address at all means this machine.
func dialOwn(ctx context.Context, address string) (net.Conn, error) {
	var dialer net.Dialer
	if path, isUnix := strings.CutPrefix(address, "unix:"); isUnix {
		return dialer.DialContext(ctx, "unix", path)
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	return dialer.DialContext(ctx, "tcp", net.JoinHostPort(host, port))
}

func hasVariable(environ []string, name string) bool {
	for _, entry := range environ {
		if strings.HasPrefix(entry, name+"=") {
			return true
		}
	}
	return false
}
